"""Reads the replay stream of a partition: the dead letters that operators replay.

The stream is in the ledger, whatever the broker is. The partition's owner reads it from its beginning, and
settling deletes entries.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from pydantic import ValidationError
from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.position import Position, PositionCheck
from numbergroup.engine.commands import Entry
from numbergroup.engine.replays import REPLAY_TAG_PREFIX, Replay
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.history import HistoryChanged
from numbergroup.observability.logging import get_logger
from numbergroup_contracts import dead_letters as contract

Rows = list[tuple[bytes, list[bytes]]]
"""Entries of a stream: each has its id, and a list of alternating field names and values."""

_UNREADABLE = "what is noted of this replay cannot be read, and it is not tried again"

_MAX_ENTRIES = 500
_BLOCK_MS = 1_000
_RETRY_S = 0.5

log = get_logger("replays")


class ReplayStream:
    """The replay stream of one partition, as its owner reads it."""

    def __init__(self, client: Redis, partition: int) -> None:
        self._client = client
        self._partition = partition
        self._settled_indexes: dict[str, set[int]] = {}
        self.stream = keys.of_partition(partition, keys.REPLAYS)
        self.position = Position()
        self._position_check = PositionCheck(client)

    def keep_own_indexes(self, indexes_by_tag: Mapping[str, set[int]]) -> dict[str, set[int]]:
        """Keep the settled indexes of this stream's messages, by tag; return those of other messages."""
        self._settled_indexes = {
            tag: indexes for tag, indexes in indexes_by_tag.items() if tag.startswith(REPLAY_TAG_PREFIX)
        }
        return {
            tag: indexes for tag, indexes in indexes_by_tag.items() if not tag.startswith(REPLAY_TAG_PREFIX)
        }

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Return the next messages, at most `count`; wait up to `block_ms` milliseconds if there are none.

        Raises `BrokerUnavailable`.
        """
        async with translate_errors(BrokerUnavailable):
            rows = await read_streams(self._client, {self.stream: self.position.cursor}, count, block_ms)
        return self.decode_rows(rows.get(self.stream, []))

    def decode_rows(self, rows: Rows) -> list[Entry]:
        """Return the entries of rows that were read at the cursor, and advance the cursor."""
        self.position.advance([row.decode() for row, _ in rows])
        return [self._decode_entry(tag, pair_fields(flat)) for tag, flat in rows]

    def settle(self, replayed: Iterable[tuple[str, str | None]]) -> None:
        """Forget the replayed messages with these tags: a settlement deleted them."""
        self.position.settle([tag.removeprefix(REPLAY_TAG_PREFIX) for tag, _ in replayed])

    async def check_position(self) -> None:
        """Raise `StaleEpoch` if entries were skipped: see `numbergroup.brokers.port.Log`."""
        await self._position_check({self.stream: self.position})

    def _decode_entry(self, row: bytes, fields: dict[bytes, bytes]) -> Entry:
        body = fields.get(b"event")
        replay = decode_replay(fields.get(b"replay", b""), fields.get(b"original"))
        tag = REPLAY_TAG_PREFIX + row.decode()
        problem = None
        if body is None or replay is None:
            log.error("a replay cannot be read: it is dead-lettered", partition=self._partition, entry=tag)
            problem, replay = _UNREADABLE, replay or Replay("", 1)
        if body is None:
            body = orjson.dumps({_text(name): _text(value) for name, value in fields.items()})
        via = replay.via
        return Entry(
            self._partition,
            tag,
            body,
            settled=self._settled_indexes.pop(tag, set()),
            reply_to=via.replyTo,
            correlation_id=via.correlationId,
            from_list=via.listed,
            problem=problem,
            replay=replay,
        )


class ReplayReader:
    """Reads the replay stream in the background, for brokers other than Redis.

    It sets `arrival` when entries are ready.
    """

    def __init__(self, client: Redis, partition: int, arrival: asyncio.Event) -> None:
        self.stream = ReplayStream(client, partition)
        self._arrival = arrival
        self._entries: deque[Entry] = deque()
        self._is_empty = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    @property
    def has_entries(self) -> bool:
        """Whether entries are ready."""
        return bool(self._entries)

    def open(self) -> None:
        self._reading = asyncio.create_task(self._read())

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    def pop_entries(self, credit: int) -> list[Entry]:
        """Return entries that were read, at most `credit`."""
        entries = [self._entries.popleft() for _ in range(min(credit, len(self._entries)))]
        if not self._entries:
            self._is_empty.set()
        return entries

    async def _read(self) -> None:
        while True:
            try:
                entries = await self.stream.read(_MAX_ENTRIES, _BLOCK_MS)
            except BrokerUnavailable:
                # Settling and look-ups report the outage.
                await asyncio.sleep(_RETRY_S)
                continue
            except HistoryChanged:
                # The lease fails, too, and ends the partition.
                return
            if entries:
                self._entries.extend(entries)
                self._is_empty.clear()
                self._arrival.set()
                # Read on only when all entries were handed out: the credit may be used up.
                await self._is_empty.wait()


async def count_waiting_replays(client: Redis, partitions: int) -> list[int]:
    """Return how many replays wait in each partition. Raises `BrokerUnavailable`."""
    async with translate_errors(BrokerUnavailable):
        pipe = client.pipeline(transaction=False)
        for partition in range(partitions):
            pipe.xlen(keys.of_partition(partition, keys.REPLAYS))
        return [int(count) for count in await pipe.execute()]


async def read_streams(
    client: Redis, streams: Mapping[str, bytes | str], count: int, block_ms: int | None
) -> dict[str, Rows]:
    """Return the rows after the given entry id of each stream, at most `count` of each.

    Waits up to `block_ms` milliseconds if there are none. The command's name is given as bytes, which the
    client does not recognize: so it builds no dictionaries of the reply, which halves the time.
    """
    block = () if block_ms is None else (b"BLOCK", block_ms)
    command = (b"XREAD", b"COUNT", count, *block, b"STREAMS", *streams, *streams.values())
    answer: Any = await client.execute_command(*command)  # type: ignore[no-untyped-call]
    return {stream.decode(): rows for stream, rows in answer or ()}


def pair_fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the fields of a row: in a row, names and values alternate."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def decode_replay(data: bytes, original: bytes | None) -> Replay | None:
    """Return what is stored with a replayed dead letter; `None` if it cannot be read."""
    try:
        stored = contract.Replay.model_validate_json(data)
    except ValidationError:
        return None
    return Replay(
        stored.letter,
        stored.replays,
        stored.order,
        stored.group,
        None if stored.firstTime is None else stored.firstTime.timestamp(),
        stored.attempts,
        tuple(stored.history),
        stored.force,
        stored.via,
        original,
    )
