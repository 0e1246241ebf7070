"""What a settled command costs in the ledger's memory, for as long as repeats of it are recognised.

    python -m bench.remembered [--commands 100000]

Records as the worker writes them, settled in a redis-server of its own; the difference in its `used_memory`.
"""

import argparse
import asyncio

from redis.asyncio import Redis

from bench.processes import connected, redis_server
from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.engine.commands import Command, CommandKey, CommandKind, GroupRef, HandleKind, SequenceKey
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Fault, Record
from numbergroup.ledger.redis import RedisLedger
from numbergroup_contracts.results import Status

DAY_MS = 86_400_000
UNIT = 1_000

APPLIED = Record(
    "0123456789ab", Status.APPLIED, "6a7sd3402px21429s04", ("1602248485121429504",), 1, None, None, 1.8e9
)
REJECTED = APPLIED._replace(
    status=Status.REJECTED,
    fault=Fault("refused", "1002", "parameter error: phones"),
    dead_letter_id="0-1795000000000-0-0",
)
CASES = {
    "applied by one call": (APPLIED, False),
    "applied by one call, with a sequence": (APPLIED, True),
    "decided by three calls": (APPLIED._replace(request_ids=("1602248485121429504",) * 3), False),
    "rejected": (REJECTED, False),
}
"""Records, and whether each is of a group and source of its own that numbers its commands."""


def _command(name: str) -> Command:
    group = GroupRef("default", HandleKind.ID, "g")
    return Command(CommandKey("crm", name), "numbergroup.update.v1", CommandKind.ADD, group, (), "", [])


async def measure(client: Redis, commands: int, record: Record, sequenced: bool) -> float:
    """Bytes a command."""
    await client.flushall()
    epoch = await RedisLedger(client).acquire_lease(0, "bench", 600.0)
    assert epoch is not None
    log = RedisBroker(client, DAY_MS).open_log(0, epoch)
    await log.settle(Settlement(0), 0)
    before = (await client.info("memory"))["used_memory"]
    for serial, start in enumerate(range(0, commands, UNIT), 1):
        names = [f"c-{number}" for number in range(start, start + UNIT)]
        unit = Settlement(0, records=[(_command(name), record) for name in names])
        if sequenced:
            groups = [GroupRef("default", HandleKind.ID, name) for name in names]
            unit.sequences = {SequenceKey("crm", group): 1_000_000 for group in groups}
        await log.settle(unit, serial)
    return ((await client.info("memory"))["used_memory"] - before) / commands


async def run(commands: int) -> None:
    with redis_server() as port:
        client = Redis(port=port, protocol=2)
        await connected(client)
        print(f"{commands:,} settled commands, redis-server\n\n{'bytes of memory a command':<40}")
        for name, (record, sequenced) in CASES.items():
            print(f"{name:<40}{await measure(client, commands, record, sequenced):>8.0f}")
        await client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--commands", type=int, default=100_000)
    asyncio.run(run(parser.parse_args().commands))


if __name__ == "__main__":
    main()
