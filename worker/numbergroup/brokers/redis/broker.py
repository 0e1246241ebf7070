"""Redis Streams as a log.

The holder of the lease reads the stream from its beginning with plain `XREAD`, and what is settled is
deleted: the stream is the backlog. Reading harms nothing, so an owner that was replaced can only read.
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
_NONE: Set[int] = frozenset()
_BLOCK_MS = 1_000
_FIRST_COUNT = 16
_MOST_ENTRIES = 1_000
_READ_BYTES = 4 * 1024 * 1024
_OF_LETTERS = (
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
    """How long replies stay in a reply queue, and how many messages of them; 0 is without end.

    It holds for queues whose names begin with those of the default ones. It is enforced when replies are
    written, and approximately: some more may stay. The replies written last always stay.
    """

    age_ms: int = 0
    messages: int = 0


KEEP_ALL = ReplyRetention()


class RedisBroker:
    """Every partition's log on one Redis. `record_ms`: how long a settled command is remembered.

    `intake` tells to which of the `partitions` a command belongs that came without one.
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
        """There is nothing to declare."""

    async def close(self) -> None:
        """The client is its owner's."""

    def open_log(self, partition: int, epoch: int) -> "StreamLog":
        return StreamLog(
            self._client,
            (self._settle, self._position_check),
            self._mover,
            partition,
            epoch,
            self._record_ms,
            retention=self._retention,
        )

    async def count_waiting(self, partitions: int) -> Mapping[int, int]:
        async with translate_errors(BrokerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for partition in range(partitions):
                pipe.xlen(keys.commands(partition))
            commands = await pipe.execute()
        replays = await count_waiting_replays(self._client, partitions)
        return {partition: commands[partition] + replays[partition] for partition in range(partitions)}


class StreamLog:
    """See `numbergroup.brokers.port.Log`."""

    # The script takes some 12 µs for each, and nobody else is served meanwhile.
    unit_size = 1_000

    def __init__(
        self,
        client: Redis,
        scripts: tuple[Any, PositionCheck],
        mover: ListMover,
        partition: int,
        epoch: int,
        record_ms: int,
        *,
        retention: ReplyRetention = KEEP_ALL,
    ) -> None:
        self._retention = retention
        self._client = client
        self._script, self._position_check = scripts
        self._mover = mover
        self._partition = partition
        self._epoch = epoch
        self._record_ms = record_ms
        self._stream = keys.commands(partition)
        self._side = ReplayStream(client, partition)
        self._side_usable = True
        self._left: deque[Entry] = deque()
        self._position = Position()
        self._marks: dict[str, set[int]] | None = None
        self._entry_bytes = 1.0
        self._count = _FIRST_COUNT
        self.may_have_more = False

    async def read(self, credit: int) -> Sequence[Entry]:
        if self._left:
            return self._some(credit)
        async with translate_errors(BrokerUnavailable):
            if self._marks is None:
                name = keys.of_partition(self._partition, keys.PARTIAL)
                marks: Any = await self._client.hgetall(name)
                self._marks = self._side.keep_own_marks(decode_marks(marks))
            count = self._affordable(credit)
            # Smaller from here on, until a read has come back: one that is too large for the way here
            # must not be asked for again and again.
            usual, self._count = self._count, max(1, count // 2)
            found = await self._next(count)
        self.may_have_more = False
        if not found:
            self._count = usual
            return []
        rows, replays = found.get(self._stream, []), found.get(self._side.stream, [])
        entries = [self._entry(tag, fields) for tag, fields in rows]
        self._position.advance([entry.tag for entry in entries])
        entries += self._side.decode_rows(replays)
        self.may_have_more = max(len(rows), len(replays)) >= count
        self._count = min(_MOST_ENTRIES, usual * 2)
        self._entry_bytes = max(1.0, sum(len(entry.body) for entry in entries) / len(entries))
        self._left.extend(entries)
        return self._some(credit)

    def _some(self, credit: int) -> Sequence[Entry]:
        """Of what was read no more than there is credit for: each of the two streams may have had as much."""
        some = [self._left.popleft() for _ in range(min(max(1, credit), len(self._left)))]
        self.may_have_more = self.may_have_more or bool(self._left)
        return some

    async def _next(self, count: int) -> dict[str, Rows]:
        streams = {self._stream: self._position.cursor}
        if self._side_usable or await self._is_mended():
            streams[self._side.stream] = self._side.position.cursor
        block = None if self.may_have_more else _BLOCK_MS
        try:
            return await read_streams(self._client, streams, count, block)
        except ResponseError:
            kind = await self._client.type(self._side.stream)
            if kind in (b"stream", b"none") or not self._side_usable:
                raise
            # Commands must not wait until somebody has put it right.
            log.error("nothing can be replayed: its log is no stream", key=self._side.stream)
            self._side_usable = False
            return {}

    async def _is_mended(self) -> bool:
        """Whether the side log is a stream again, asked when there is nothing else to do."""
        if self.may_have_more:
            return False
        self._side_usable = await self._client.type(self._side.stream) in (b"stream", b"none")
        if self._side_usable:
            log.info("replays are read again", key=self._side.stream)
        return self._side_usable

    async def import_messages(self) -> None:
        """The first partition's owner serves the lists; the others have nothing to do."""
        if self._partition:
            await asyncio.Event().wait()
        await self._mover.move_messages(self._epoch)

    async def check_position(self) -> None:
        await self._position_check({self._stream: self._position, self._side.stream: self._side.position})

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
        """Nothing was taken, so nothing has to be given back."""

    def _affordable(self, credit: int) -> int:
        return max(1, int(min(self._count, credit, _READ_BYTES / self._entry_bytes)))

    def _entry(self, tag: bytes, flat: list[bytes]) -> Entry:
        name = tag.decode()
        settled = self._marks.pop(name, _NONE) if self._marks else _NONE
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
        used = [
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
            *_OF_LETTERS,
        ]
        args: list[bytes | str | int] = [self._epoch, serial, self._record_ms]
        args.append(envelope.encode_address(names.REPLIES))
        args.append(len(unit.done))
        args += unit.done
        listed = [reply for reply in unit.replies if reply.listed]
        streamed = [reply for reply in unit.replies if not reply.listed] if listed else unit.replies
        args.append(len(streamed))
        for reply in streamed:
            args += (reply.queue or b"", reply.body)
        args.append(len(listed))
        for reply in listed:
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
        for said in unit.decisions:
            group = keys.field(said.group)
            number = keys.EVERYTHING if said.number is None else said.number
            args += (keys.since(group), group, number, "+" if said.present else "-", said.place)
            args.append("" if said.order is None else said.order)
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
            answer = await self._script(keys=used, args=args)
        if answer == b"stale":
            raise StaleEpoch(f"partition {partition}: epoch {self._epoch} is over")
        if answer == b"late":
            raise StaleEpoch(f"partition {partition}: epoch {self._epoch} is somebody else's, too")
        self._position.settle(unit.done)
        self._side.settle(unit.replayed)
