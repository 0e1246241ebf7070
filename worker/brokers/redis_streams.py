"""Redis Streams as a log.

The holder of the lease reads the stream from its beginning with plain `XREAD`, and what is settled is
deleted: the stream is the backlog. Reading harms nothing, so an owner that was replaced can only read.
"""

import asyncio
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import orjson
from redis.asyncio import Redis

from contracts import names
from worker.brokers import envelope
from worker.brokers.kombu_lists import NOTE, Mover, noted
from worker.brokers.port import BrokerUnavailable, StaleEpoch
from worker.engine.intake import Intake
from worker.engine.model import Entry
from worker.engine.settlement import Settlement
from worker.ledger import keys
from worker.ledger.client import mapped
from worker.ledger.codec import encode_record

_BLOCK_MS = 1_000
_FIRST_COUNT = 16
_MOST_ENTRIES = 1_000
_READ_BYTES = 4 * 1024 * 1024


class RedisBroker:
    """Every partition's log on one Redis. `record_ms`: how long a settled command is remembered.

    `intake` tells to which of the `partitions` a command belongs that came without one.
    """

    def __init__(
        self, client: Redis, record_ms: int, partitions: int = 1, intake: Intake | None = None
    ) -> None:
        self._client = client
        self._record_ms = record_ms
        self._mover = Mover(client, partitions, intake or Intake())
        self._settle = client.register_script(files(__package__).joinpath("settle.lua").read_text())

    @property
    def by_handle(self) -> bool:
        return True

    async def open(self) -> None:
        """There is nothing to declare."""

    async def close(self) -> None:
        """The client is its owner's."""

    def log(self, partition: int, epoch: int) -> "StreamLog":
        return StreamLog(self._client, self._settle, self._mover, partition, epoch, self._record_ms)

    async def backlog(self, partitions: int) -> Mapping[int, int]:
        async with mapped(BrokerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for partition in range(partitions):
                pipe.xlen(keys.commands(partition))
            return dict(enumerate(await pipe.execute()))


class StreamLog:
    """See `worker.brokers.port.Log`."""

    def __init__(
        self, client: Redis, settle: Any, mover: Mover, partition: int, epoch: int, record_ms: int
    ) -> None:
        self._client = client
        self._script = settle
        self._mover = mover
        self._partition = partition
        self._epoch = epoch
        self._record_ms = record_ms
        self._stream = keys.commands(partition)
        self._cursor: bytes | str = "0-0"
        self._partial: dict[bytes, bytes] | None = None
        self._entry_bytes = 1.0
        self._count = _FIRST_COUNT
        self.behind = False

    async def read(self, credit: int) -> Sequence[Entry]:
        async with mapped(BrokerUnavailable):
            if self._partial is None:
                name = keys.of_partition(self._partition, "partial")
                partial: Any = await self._client.hgetall(name)
                self._partial = partial
            count = self._affordable(credit)
            # Smaller from here on, until a read has come back: one that is too large for the way here
            # must not be asked for again and again.
            usual, self._count = self._count, max(1, count // 2)
            found: Any = await self._client.xread(
                {self._stream: self._cursor}, count=count, block=None if self.behind else _BLOCK_MS
            )
        self.behind = False
        if not found:
            self._count = usual
            return []
        rows = found[0][1] if isinstance(found, list) else next(iter(found.values()))[0]
        entries = [self._entry(tag, fields) for tag, fields in rows]
        self._cursor = rows[-1][0]
        self.behind = len(rows) >= count
        self._count = min(_MOST_ENTRIES, usual * 2)
        self._entry_bytes = max(1.0, sum(len(entry.body) for entry in entries) / len(entries))
        return entries

    async def feed(self) -> None:
        """The first partition's owner serves the lists; the others have nothing to do."""
        if self._partition:
            await asyncio.Event().wait()
        await self._mover.step(self._epoch)

    async def close(self) -> None:
        """Nothing was taken, so nothing has to be given back."""

    def _affordable(self, credit: int) -> int:
        return max(1, int(min(self._count, credit, _READ_BYTES / self._entry_bytes)))

    def _entry(self, tag: bytes, fields: dict[bytes, bytes]) -> Entry:
        body = fields.get(b"event")
        properties = None if body is None else noted(fields.get(NOTE, b""))
        if body is None:
            # Not a command as the contract has it: kept whole, for intake to refuse.
            pairs = {
                name.decode(errors="replace"): value.decode(errors="replace")
                for name, value in fields.items()
            }
            body = orjson.dumps(pairs)
        settled = self._partial.pop(tag, None) if self._partial else None
        return Entry(
            self._partition,
            tag.decode(),
            body,
            settled=set(orjson.loads(settled)) if settled else set(),
            **(properties or {}),
        )

    async def settle(self, unit: Settlement, serial: int) -> None:
        partition = self._partition
        used = [
            *(keys.of_partition(partition, name) for name in ("epoch", "unit")),
            self._stream,
            keys.of_partition(partition, "partial"),
            keys.GROUP_KEYS,
            keys.CREATES,
            keys.of_partition(partition, keys.DEAD_LETTERS),
            keys.REPLIES,
            names.REPLIES,
            *(keys.of_partition(partition, name) for name in ("calls", "attempted")),
        ]
        args: list[bytes | str | int] = [self._epoch, serial, self._record_ms]
        args.append(envelope.address(names.REPLIES))
        args.append(len(unit.done))
        args += unit.done
        streamed = [reply for reply in unit.replies if not reply.listed]
        args.append(len(streamed))
        for reply in streamed:
            args += (reply.queue or "", reply.body)
        listed = [reply for reply in unit.replies if reply.listed]
        args.append(len(listed))
        for reply in listed:
            queue = reply.queue or names.REPLIES
            args += (queue, envelope.address(queue), envelope.contents(reply.body, reply.correlation_id))
        args.append(len(unit.records))
        for key, record in unit.records:
            args += (keys.settled(key), encode_record(record))
        args.append(len(unit.letters))
        for letter in unit.letters:
            args += (letter.id, letter.description, letter.body)
        args.append(len(unit.partial))
        for tag, indexes in unit.partial:
            args += (tag, orjson.dumps(indexes))
        args.append(len(unit.bindings))
        for ref, group_id in unit.bindings.items():
            args += (keys.field(ref), group_id or "")
        args.append(len(unit.intents_done))
        args += [keys.field(ref) for ref in unit.intents_done]
        args.append(len(unit.sequences))
        for sequence, latest in unit.sequences.items():
            args += (keys.sequence(sequence), latest)
        args.append(len(unit.calls_done))
        for ref, call_id in unit.calls_done:
            args += (keys.field(ref), call_id)
        args.append(len(unit.attempts_done))
        args += [keys.member(key) for key in unit.attempts_done]
        async with mapped(BrokerUnavailable):
            answer = await self._script(keys=used, args=args)
        if answer == b"stale":
            raise StaleEpoch(f"partition {partition}: epoch {self._epoch} is over")
