"""The side log of a partition: the letters that operators let be tried again, beside the broker's log.

It is a stream of the ledger, whatever the broker is, and read like the log on Redis: from its beginning, by
the partition's owner; what is settled is deleted.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.position import Position, PositionCheck
from numbergroup.engine.commands import Entry
from numbergroup.engine.replays import SIDE, Replay
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import decode_replay
from numbergroup.ledger.history import HistoryChanged
from numbergroup.observability.logging import get_logger

Rows = list[tuple[bytes, list[bytes]]]
"""Entries of a stream: of each its id, and its fields, a name and a value in turn."""

_NOT_READ = "what is noted of this replay cannot be read, and it is not tried again"

_MOST_ENTRIES = 500
_BLOCK_MS = 1_000
_AGAIN_S = 0.5

log = get_logger("replays")


class ReplayStream:
    """One owner's. `marks`: which events of a message are settled, by its tag."""

    def __init__(self, client: Redis, partition: int) -> None:
        self._client = client
        self._partition = partition
        self._marks: dict[str, set[int]] = {}
        self.stream = keys.of_partition(partition, keys.SIDE)
        self.position = Position()
        self._position_check = PositionCheck(client)

    def keep_own_marks(self, marks: Mapping[str, set[int]]) -> dict[str, set[int]]:
        """Keep those of this log; the others."""
        self._marks = {tag: indexes for tag, indexes in marks.items() if tag.startswith(SIDE)}
        return {tag: indexes for tag, indexes in marks.items() if not tag.startswith(SIDE)}

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """The next messages, `count` at most; waits so long when there are none.

        Raises `BrokerUnavailable`.
        """
        async with translate_errors(BrokerUnavailable):
            found = await read_streams(self._client, {self.stream: self.position.cursor}, count, block_ms)
        return self.decode_rows(found.get(self.stream, []))

    def decode_rows(self, rows: Rows) -> list[Entry]:
        """The entries of rows that were read from the cursor on."""
        self.position.advance([row.decode() for row, _ in rows])
        return [self._entry(tag, fields_of(flat)) for tag, flat in rows]

    def settle(self, replayed: Iterable[tuple[str, str | None]]) -> None:
        """These messages, by their tags, are done."""
        self.position.settle([tag.removeprefix(SIDE) for tag, _ in replayed])

    async def check_position(self) -> None:
        """See `numbergroup.brokers.port.Log`."""
        await self._position_check({self.stream: self.position})

    def _entry(self, row: bytes, fields: dict[bytes, bytes]) -> Entry:
        body = fields.get(b"event")
        replay = decode_replay(fields.get(b"replay", b""), fields.get(b"original"))
        tag = SIDE + row.decode()
        problem = None
        if body is None or replay is None:
            log.error("a replay cannot be read: it is dead-lettered", partition=self._partition, entry=tag)
            problem, replay = _NOT_READ, replay or Replay("", 1)
        if body is None:
            body = orjson.dumps({_text(name): _text(value) for name, value in fields.items()})
        via = replay.via
        return Entry(
            self._partition,
            tag,
            body,
            settled=self._marks.pop(tag, set()),
            reply_to=via.replyTo,
            correlation_id=via.correlationId,
            listed=via.listed,
            problem=problem,
            replay=replay,
        )


class ReplayReader:
    """Reads the log beside a broker that is no Redis: `arrival` is set when there is something to take."""

    def __init__(self, client: Redis, partition: int, arrival: asyncio.Event) -> None:
        self.stream = ReplayStream(client, partition)
        self._arrival = arrival
        self._entries: deque[Entry] = deque()
        self._taken = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    @property
    def has_entries(self) -> bool:
        """Whether there is something to take."""
        return bool(self._entries)

    def open(self) -> None:
        self._reading = asyncio.create_task(self._read())

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    def pop_entries(self, credit: int) -> list[Entry]:
        """What has been read, `credit` at most."""
        found = [self._entries.popleft() for _ in range(min(credit, len(self._entries)))]
        if not self._entries:
            self._taken.set()
        return found

    async def _read(self) -> None:
        while True:
            try:
                found = await self.stream.read(_MOST_ENTRIES, _BLOCK_MS)
            except BrokerUnavailable:
                # Whoever settles or looks up complains of it.
                await asyncio.sleep(_AGAIN_S)
                continue
            except HistoryChanged:
                # The partition is about to be lost: its owner hears of it from the lease.
                return
            if found:
                self._entries.extend(found)
                self._taken.clear()
                self._arrival.set()
                # No more before all of it was taken: there may be no credit.
                await self._taken.wait()


async def count_waiting_replays(client: Redis, partitions: int) -> list[int]:
    """How many replays wait in each partition. Raises `BrokerUnavailable`."""
    async with translate_errors(BrokerUnavailable):
        pipe = client.pipeline(transaction=False)
        for partition in range(partitions):
            pipe.xlen(keys.of_partition(partition, keys.SIDE))
        return [int(count) for count in await pipe.execute()]


async def read_streams(
    client: Redis, streams: Mapping[str, bytes | str], count: int, block_ms: int | None
) -> dict[str, Rows]:
    """What comes after these entries in each stream, `count` at most of each; waits up to `block_ms` when
    there is nothing.

    By its name as bytes the client does not know the command, and makes no dictionaries of the reply: that
    is half the time of reading it.
    """
    waiting = () if block_ms is None else (b"BLOCK", block_ms)
    asked = (b"XREAD", b"COUNT", count, *waiting, b"STREAMS", *streams, *streams.values())
    found: Any = await client.execute_command(*asked)  # type: ignore[no-untyped-call]
    return {stream.decode(): rows for stream, rows in found or ()}


def fields_of(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
