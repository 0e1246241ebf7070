"""Reads and settles commands on Redis Streams.

The partition's owner reads the stream from its beginning with plain `XREAD`, and settling deletes entries:
the stream is the backlog. A replaced owner can still read, which changes nothing; its writes are refused.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence, Set
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.entry_shapes import body_to_keep, describe_wrong_fields
from numbergroup.brokers.redis.kombu_lists import NOTE, ListMover, decode_note
from numbergroup.brokers.redis.position import Position, PositionCheck
from numbergroup.brokers.redis.settling import KEEP_ALL, ReplyRetention, UnitWriter
from numbergroup.brokers.replay_stream import (
    ReplayStream,
    Rows,
    count_waiting_replays,
    pair_fields,
    read_streams,
)
from numbergroup.engine.commands import Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import decode_marks
from numbergroup.observability.logging import get_logger

_EVENT = b"event"
_NO_INDEXES: Set[int] = frozenset()
_READABLE = (b"stream", b"none")
_BLOCK_MS = 1_000
_FIRST_COUNT = 16
_MAX_ENTRIES = 1_000
_READ_BYTES = 4 * 1024 * 1024

log = get_logger("commands")


class RedisBroker:
    """Implements `numbergroup.brokers.port.Broker` on one Redis server.

    `record_ms`: how many milliseconds a settled command is remembered. `intake` decodes messages of kombu's
    lists, which belong to no partition yet, so that each goes to one of the `partitions`.
    """

    def __init__(
        self,
        client: Redis,
        record_ms: int,
        partitions: int = 1,
        intake: Intake | None = None,
        *,
        retention: ReplyRetention = KEEP_ALL,
    ) -> None:
        self._client = client
        self._mover = ListMover(client, partitions, intake or Intake())
        self._position_check = PositionCheck(client)
        self._unit_writer = UnitWriter(client, record_ms, retention)

    @property
    def is_partitioned_by_handle(self) -> bool:
        return True

    async def open(self) -> None:
        """Do nothing: streams need no declaration."""

    async def close(self) -> None:
        """Do nothing: the client belongs to the caller."""

    def open_log(self, partition: int, epoch: int) -> "StreamLog":
        return StreamLog(
            self._client,
            partition,
            epoch,
            unit_writer=self._unit_writer,
            position_check=self._position_check,
            mover=self._mover,
        )

    async def count_waiting(self, partitions: int) -> Mapping[int, int]:
        async with translate_errors(BrokerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for partition in range(partitions):
                pipe.xlen(keys.commands(partition))
            commands = await pipe.execute(raise_on_error=False)
            for partition, answer in enumerate(commands):
                _raise_error(answer, keys.commands(partition))
        replays = await count_waiting_replays(self._client, partitions)
        return {partition: commands[partition] + replays[partition] for partition in range(partitions)}


class StreamLog:
    """Implements `numbergroup.brokers.port.Log` on one partition's stream and its replay stream."""

    # The script takes about 12 µs per answer, and Redis serves no other client meanwhile.
    unit_size = 1_000

    def __init__(
        self,
        client: Redis,
        partition: int,
        epoch: int,
        *,
        unit_writer: UnitWriter,
        position_check: PositionCheck,
        mover: ListMover,
    ) -> None:
        self._client = client
        self._unit_writer = unit_writer
        self._position_check = position_check
        self._mover = mover
        self._partition = partition
        self._epoch = epoch
        self._stream = keys.commands(partition)
        self._replay_stream = ReplayStream(client, partition)
        self._can_read_replays = True
        self._unread: deque[Entry] = deque()
        self._position = Position()
        self._settled_indexes: dict[str, set[int]] | None = None
        self._entry_bytes = 1.0
        self._count = _FIRST_COUNT
        self.may_have_more = False

    async def read(self, credit: int) -> Sequence[Entry]:
        if self._unread:
            return self._pop_entries(credit)
        async with translate_errors(BrokerUnavailable):
            if self._settled_indexes is None:
                name = keys.of_partition(self._partition, keys.PARTIAL)
                stored: Any = await self._client.hgetall(name)
                self._settled_indexes = self._replay_stream.keep_own_indexes(decode_marks(stored))
            count = self._next_count(credit)
            # Halve the count until this read succeeds: a reply that is too large for the connection must not
            # be requested again and again.
            usual_count, self._count = self._count, max(1, count // 2)
            rows_by_stream = await self._read_rows(count)
        self.may_have_more = False
        if not rows_by_stream:
            self._count = usual_count
            return []
        command_rows = rows_by_stream.get(self._stream, [])
        replay_rows = rows_by_stream.get(self._replay_stream.stream, [])
        entries = [self._decode_entry(tag, fields) for tag, fields in command_rows]
        self._position.advance([entry.tag for entry in entries])
        entries += self._replay_stream.decode_rows(replay_rows)
        self.may_have_more = max(len(command_rows), len(replay_rows)) >= count
        self._count = min(_MAX_ENTRIES, usual_count * 2)
        self._entry_bytes = max(1.0, sum(len(entry.body) for entry in entries) / len(entries))
        self._unread.extend(entries)
        return self._pop_entries(credit)

    def _pop_entries(self, credit: int) -> Sequence[Entry]:
        """Return at most `credit` of the entries that were read; the two streams may have returned more."""
        entries = [self._unread.popleft() for _ in range(min(max(1, credit), len(self._unread)))]
        self.may_have_more = self.may_have_more or bool(self._unread)
        return entries

    async def _read_rows(self, count: int) -> dict[str, Rows]:
        streams = {self._stream: self._position.cursor}
        if self._can_read_replays or await self._is_replay_stream_repaired():
            streams[self._replay_stream.stream] = self._replay_stream.position.cursor
        block = None if self.may_have_more else _BLOCK_MS
        try:
            return await read_streams(self._client, streams, count, block)
        except ResponseError as error:
            if await self._client.type(self._stream) not in _READABLE:
                _raise_error(error, self._stream)
            kind = await self._client.type(self._replay_stream.stream)
            if kind in _READABLE or not self._can_read_replays:
                raise
            # A broken replay stream must not block commands.
            log.error("nothing can be replayed: its log is no stream", key=self._replay_stream.stream)
            self._can_read_replays = False
            return {}

    async def _is_replay_stream_repaired(self) -> bool:
        """Check whether the replay stream is a stream again; only when no commands wait."""
        if self.may_have_more:
            return False
        self._can_read_replays = await self._client.type(self._replay_stream.stream) in _READABLE
        if self._can_read_replays:
            log.info("replays are read again", key=self._replay_stream.stream)
        return self._can_read_replays

    async def import_messages(self) -> None:
        """Move messages of kombu's lists into the streams: only the owner of partition 0 does so."""
        if self._partition:
            await asyncio.Event().wait()
        await self._mover.move_messages(self._epoch)

    async def check_position(self) -> None:
        await self._position_check(
            {self._stream: self._position, self._replay_stream.stream: self._replay_stream.position}
        )

    def find_lost_part(
        self,
        unit: Settlement,
        serial: int,
        kept: int,
        *,
        published: bool,  # noqa: ARG002
    ) -> Settlement | None:
        return unit if serial > kept else None

    async def restore(self, unit: Settlement, serial: int) -> None:
        await self.settle(unit, serial)

    async def close(self) -> None:
        """Do nothing: reading takes no message off the stream."""

    def _next_count(self, credit: int) -> int:
        return max(1, int(min(self._count, credit, _READ_BYTES / self._entry_bytes)))

    def _decode_entry(self, tag: bytes, flat: list[bytes]) -> Entry:
        name = tag.decode()
        settled = self._settled_indexes.pop(name, _NO_INDEXES) if self._settled_indexes else _NO_INDEXES
        if len(flat) == 2 and flat[0] == _EVENT:
            return Entry(self._partition, name, flat[1], settled=settled)
        fields = pair_fields(flat)
        body = fields.get(_EVENT)
        if body is not None and describe_wrong_fields(flat) is None:
            return Entry(
                self._partition, name, body, settled=settled, **(decode_note(fields.get(NOTE, b"")) or {})
            )
        return Entry(
            self._partition, name, body_to_keep(flat), settled=settled, problem=describe_wrong_fields(flat)
        )

    async def settle(self, unit: Settlement, serial: int) -> None:
        await self._unit_writer.write(unit, self._partition, self._epoch, serial)
        self._position.settle(unit.done)
        self._replay_stream.settle(unit.replayed)


def _raise_error(answer: object, key: str) -> None:
    """Raise an answer that is an error, with the key that it is about: Redis does not name it."""
    if isinstance(answer, ResponseError):
        raise ResponseError(f"{answer} (the key {key})") from answer
    if isinstance(answer, Exception):
        raise answer
