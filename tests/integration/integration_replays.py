"""Letters and replays in the ledger, as an operator sees and moves them."""

from typing import Any

import orjson
from integration_rig import ID_REF, key
from redis.asyncio import Redis

from numbergroup.engine.commands import Command, CommandKind, Entry, GroupRef, Origin
from numbergroup.engine.replays import Replay, RetryHistory
from numbergroup.engine.settling.dead_letters import DeadLetterRecord
from numbergroup.engine.settling.settlement import NumberDecision
from numbergroup.ledger import keys

REPLAYS, INDEX, LETTERS = (
    keys.of_partition(0, name) for name in (keys.REPLAYS, keys.DEAD_LETTER_INDEX, keys.DEAD_LETTERS)
)
SHAPE = b'{"kind":"refused","code":"1002","message":"parameter error"}'


def letter(
    name: str, ref: GroupRef | None = ID_REF, position: int = 1, reason: str = "f00dfeed0001", **more: Any
) -> DeadLetterRecord:
    description = orjson.dumps({"id": name, "fingerprint": reason})
    return DeadLetterRecord(name, description, b"raw\xff", reason, SHAPE, ref, position, **more)


def decided(
    number: str | None, position: int, *, present: bool = True, ref: GroupRef = ID_REF
) -> NumberDecision:
    return NumberDecision(ref, number, present, position)


def replayed(
    name: str, *numbers: str, kind: CommandKind = CommandKind.ADD, ref: GroupRef = ID_REF
) -> Command:
    """A command that is tried again, as intake reads it."""
    entry = Entry(0, "side/1-0", b"{}", replay=Replay("l", 1, 1))
    origin = Origin(entry, 0)
    return Command(
        key(name),
        "numbergroup.update.v1",
        kind,
        ref,
        numbers,
        "f1",
        [origin],
        retry_history=RetryHistory(entry.replay),
    )


async def replay(client: Redis, body: bytes, **changes: Any) -> str:
    """Add a message to the side log, as whoever moves letters does; its tag."""
    noted = {"letter": "0-1-1-0", "replays": 1, "order": 7, "group": keys.group_field(ID_REF), **changes}
    tag: Any = await client.xadd(REPLAYS, {"event": body, "replay": orjson.dumps(noted)})
    return "side/" + tag.decode()


async def move(client: Redis, letter_id: str, **more: Any) -> None:
    """Let the letter be tried again, as the command line does."""
    place: Any = await client.hget(INDEX, letter_id)
    ((_, fields),) = await client.xrange(LETTERS, place, place)
    contents = orjson.loads(fields[b"letter"])
    group = None
    if contents["group"] is not None:
        kind, _, name = contents["group"].partition(":")
        group = f"{contents['account']}\0{kind}\0{name}"
    history = [*contents["history"], {"time": contents["time"], "error": contents["error"]}]
    noted = {
        "letter": letter_id,
        "replays": contents["replays"] + 1,
        "order": int(fields[b"order"]),
        "group": group,
        "firstTime": contents["firstTime"],
        "attempts": contents["attempts"],
        "history": history[-10:],
        "force": False,
        "via": contents["via"],
        **more,
    }
    pipe = client.pipeline(transaction=True)
    pipe.xadd(REPLAYS, {"event": fields[b"body"], "replay": orjson.dumps(noted)})
    pipe.xdel(LETTERS, place)
    pipe.hdel(INDEX, letter_id)
    pipe.decr(keys.DEAD_LETTER_COUNT)
    await pipe.execute()
