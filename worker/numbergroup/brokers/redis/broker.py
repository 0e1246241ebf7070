"""Reads and settles commands on Redis Streams.

The partition's owner reads the stream from its beginning with plain `XREAD`, and settling deletes entries:
the stream is the backlog. A replaced owner can still read, which changes nothing; its writes are refused.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.brokers.redis import envelope
from numbergroup.brokers.redis.entry_shapes import body_to_keep, describe_wrong_fields
from numbergroup.brokers.redis.kombu_lists import NOTE, ListMover, decode_note
from numbergroup.brokers.redis.position import Position, PositionCheck
from numbergroup.brokers.replay_stream import (
    ReplayStream,
    Rows,
    count_waiting_replays,
    fields_of,
    read_streams,
)
from numbergroup.engine.commands import Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.replays import SIDE
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import decode_marks, encode_quarantine, encode_records
from numbergroup.observability.logging import get_logger
from numbergroup_contracts import names

_EVENT = b"event"
_NO_INDEXES: Set[int] = frozenset()
_READABLE = (b"stream", b"none")
_BLOCK_MS = 1_000
_FIRST_COUNT = 16
_MAX_ENTRIES = 1_000
_READ_BYTES = 4 * 1024 * 1024
_DEAD_LETTER_KEYS = (
    keys.LETTER_PARTITIONS,
    keys.LETTER_COUNT,
    keys.FINGERPRINTS,
    keys.SHAPES,
    keys.LETTERED,
    keys.SETTLEMENTS,
    keys.QUARANTINED,
)

log = get_logger("commands")


@dataclass(frozen=True, slots=True)
class ReplyRetention:
    """Limits the age and the number of messages in reply queues; 0 means no limit.

    It applies to queues whose names begin with the name of a default reply queue. Limits are enforced when
    replies are written, and approximately: some more may stay. The replies written last always stay.
    """

    age_ms: int = 0
    messages: int = 0


KEEP_ALL = ReplyRetention()


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
        self._record_ms = record_ms
        self._retention = retention
        self._mover = ListMover(client, partitions, intake or Intake())
        self._position_check = PositionCheck(client)
        self._settle = client.register_script(files(__package__).joinpath("settle.lua").read_text())

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
            settle_script=self._settle,
            position_check=self._position_check,
            mover=self._mover,
            record_ms=self._record_ms,
            retention=self._retention,
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
        settle_script: Any,
        position_check: PositionCheck,
        mover: ListMover,
        record_ms: int,
        retention: ReplyRetention,
    ) -> None:
        self._retention = retention
        self._client = client
        self._settle_script = settle_script
        self._position_check = position_check
        self._mover = mover
        self._partition = partition
        self._epoch = epoch
        self._record_ms = record_ms
        self._stream = keys.commands(partition)
        self._replay_stream = ReplayStream(client, partition)
        self._can_read_replays = True
        self._unread: deque[Entry] = deque()
        self._position = Position()
        self._marks: dict[str, set[int]] | None = None
        self._entry_bytes = 1.0
        self._count = _FIRST_COUNT
        self.may_have_more = False

    async def read(self, credit: int) -> Sequence[Entry]:
        if self._unread:
            return self._pop_entries(credit)
        async with translate_errors(BrokerUnavailable):
            if self._marks is None:
                name = keys.of_partition(self._partition, keys.PARTIAL)
                marks: Any = await self._client.hgetall(name)
                self._marks = self._replay_stream.keep_own_marks(decode_marks(marks))
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
        settled = self._marks.pop(name, _NO_INDEXES) if self._marks else _NO_INDEXES
        if len(flat) == 2 and flat[0] == _EVENT:
            return Entry(self._partition, name, flat[1], settled=settled)
        fields = fields_of(flat)
        body = fields.get(_EVENT)
        if body is not None and describe_wrong_fields(flat) is None:
            return Entry(
                self._partition, name, body, settled=settled, **(decode_note(fields.get(NOTE, b"")) or {})
            )
        return Entry(
            self._partition, name, body_to_keep(flat), settled=settled, problem=describe_wrong_fields(flat)
        )

    async def settle(self, unit: Settlement, serial: int) -> None:
        partition = self._partition
        script_keys = [
            *(keys.of_partition(partition, name) for name in (keys.EPOCH, keys.UNIT)),
            self._stream,
            keys.of_partition(partition, keys.PARTIAL),
            keys.GROUP_KEYS,
            keys.CREATES,
            keys.of_partition(partition, keys.DEAD_LETTERS),
            keys.REPLIES,
            names.REPLIES,
            *(keys.of_partition(partition, name) for name in (keys.CALLS, keys.ATTEMPTED, keys.SIDE)),
            keys.of_partition(partition, keys.LETTER_INDEX),
            *_DEAD_LETTER_KEYS,
        ]
        args: list[bytes | str | int] = [self._epoch, serial, self._record_ms]
        args.append(envelope.encode_address(names.REPLIES))
        args.append(len(unit.done))
        args += unit.done
        to_lists = [reply for reply in unit.replies if reply.listed]
        to_streams = [reply for reply in unit.replies if not reply.listed] if to_lists else unit.replies
        args.append(len(to_streams))
        for reply in to_streams:
            args += (reply.queue or b"", reply.body)
        args.append(len(to_lists))
        for reply in to_lists:
            queue = reply.queue or names.REPLIES
            args += (
                queue,
                envelope.encode_address(queue),
                envelope.encode_contents(reply.body, reply.correlation_id),
            )
        args.append(len(unit.records))
        args += encode_records(unit.records)
        args.append(len(unit.letters))
        for letter in unit.letters:
            args += (letter.id, letter.description, letter.body, letter.original or "", letter.fingerprint)
            group = "" if letter.group is None else keys.field(letter.group)
            args += (letter.shape, group, letter.place, "" if letter.order is None else letter.order)
        args.append(len(unit.partial) + len(unit.unacknowledged))
        for tag, indexes in unit.partial:
            args += (tag, orjson.dumps(indexes))
        for answered in unit.unacknowledged:
            args += answered
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
        args.append(len(unit.decisions))
        for decision in unit.decisions:
            group = keys.field(decision.group)
            number = keys.EVERYTHING if decision.number is None else decision.number
            args += (keys.since(group), group, number, "+" if decision.present else "-", decision.place)
            args.append("" if decision.order is None else decision.order)
        args.append(len(unit.replayed))
        for tag, field in unit.replayed:
            args += (tag.removeprefix(SIDE), tag, field or "", "" if field is None else keys.since(field))
        args.append(len(unit.quarantined))
        for ref, fault in unit.quarantined.items():
            args += (keys.field(ref), "" if fault is None else encode_quarantine(fault))
        args.append(len(unit.forgotten))
        args += unit.forgotten
        args += (partition, self._retention.age_ms, self._retention.messages)
        async with translate_errors(BrokerUnavailable):
            answer = await self._settle_script(keys=script_keys, args=args)
        if answer == b"stale":
            raise StaleEpoch(f"partition {partition}: epoch {self._epoch} is over")
        if answer == b"late":
            raise StaleEpoch(f"partition {partition}: another worker has epoch {self._epoch}, too")
        self._position.settle(unit.done)
        self._replay_stream.settle(unit.replayed)


def _raise_error(answer: object, key: str) -> None:
    """Raise an answer that is an error, with the key that it is about: Redis does not name it."""
    if isinstance(answer, ResponseError):
        raise ResponseError(f"{answer} (the key {key})") from answer
    if isinstance(answer, Exception):
        raise answer
