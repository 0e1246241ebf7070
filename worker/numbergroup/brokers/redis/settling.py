"""Writes settlements to Redis, each as one unit, by the script `settle.lua`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import orjson
from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.brokers.redis import envelope
from numbergroup.engine.replays import REPLAY_TAG_PREFIX
from numbergroup.engine.settling.fitting import to_default_queue
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import encode_quarantine, encode_records
from numbergroup.observability.logging import get_logger
from numbergroup_contracts import names

_DEAD_LETTER_KEYS = (
    keys.DEAD_LETTER_PARTITIONS,
    keys.DEAD_LETTER_COUNT,
    keys.FINGERPRINTS,
    keys.SHAPES,
    keys.DEAD_LETTER_GROUPS,
    keys.SETTLEMENTS,
    keys.QUARANTINED,
)
_REFUSED = "the worker may not write to it, or it is no {}"
_MAX_REMEMBERED = 10_000

Argument = bytes | str | int

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


class UnitWriter:
    """Writes units of every partition.

    `record_ms`: how many milliseconds a settled command is remembered.
    """

    def __init__(self, client: Redis, record_ms: int, retention: ReplyRetention) -> None:
        self._script = client.register_script(files(__package__).joinpath("settle.lua").read_text())
        self._record_ms = record_ms
        self._retention = retention
        self._refusing: set[str] = set()

    async def write(self, unit: Settlement, partition: int, epoch: int, serial: int) -> None:
        """Write all of the unit or nothing.

        Replies to a queue that takes none go to the default one, with an `error`. Raises `StaleEpoch`, and
        `BrokerUnavailable`.
        """
        answer = await self._run(unit, partition, epoch, serial)
        if isinstance(answer, list):
            refusing = [one.decode() for one in answer]
            unit = replace(unit, replies=[*_redirect(unit.replies, refusing[::2], refusing[1::2])])
            answer = await self._run(unit, partition, epoch, serial)
            self._complain(refusing[1::2])
        if answer == b"stale":
            raise StaleEpoch(f"partition {partition}: epoch {epoch} is over")
        if answer == b"late":
            raise StaleEpoch(f"partition {partition}: another worker has epoch {epoch}, too")
        if answer not in (b"ok", b"done"):
            raise BrokerUnavailable("a reply queue takes nothing any more")

    async def _run(self, unit: Settlement, partition: int, epoch: int, serial: int) -> Any:
        args: list[Argument] = [epoch, serial, self._record_ms]
        args += [len(unit.done), *unit.done, *_encode_replies(unit), *_encode_facts(unit)]
        args += [partition, self._retention.age_ms, self._retention.messages]
        async with translate_errors(BrokerUnavailable):
            return await self._script(keys=_keys(partition), args=args)

    def _complain(self, queues: Sequence[str]) -> None:
        """Name each queue once."""
        for queue in queues:
            if queue not in self._refusing:
                log.error("a reply queue takes nothing: its results go to the default one", queue=queue)
        if len(self._refusing) > _MAX_REMEMBERED:
            self._refusing.clear()
        self._refusing.update(queues)


def _redirect(replies: Sequence[Reply], kinds: Sequence[str], queues: Sequence[str]) -> Iterator[Reply]:
    refused = set(zip(kinds, queues, strict=True))
    for reply in replies:
        kind = "list" if reply.from_list else "stream"
        if (kind, reply.queue) in refused:
            yield to_default_queue(reply, _REFUSED.format(kind))
        else:
            yield reply


def _keys(partition: int) -> list[str]:
    return [
        *(keys.of_partition(partition, name) for name in (keys.EPOCH, keys.UNIT)),
        keys.commands(partition),
        keys.of_partition(partition, keys.PARTIAL),
        keys.GROUP_KEYS,
        keys.CREATES,
        keys.of_partition(partition, keys.DEAD_LETTERS),
        keys.REPLIES,
        names.REPLIES,
        *(keys.of_partition(partition, name) for name in (keys.CALLS, keys.ATTEMPTED, keys.REPLAYS)),
        keys.of_partition(partition, keys.DEAD_LETTER_INDEX),
        *_DEAD_LETTER_KEYS,
    ]


def _encode_replies(unit: Settlement) -> list[Argument]:
    """Two sections: the replies to streams and those to lists."""
    to_lists = [reply for reply in unit.replies if reply.from_list]
    to_streams = [reply for reply in unit.replies if not reply.from_list] if to_lists else unit.replies
    args: list[Argument] = [len(to_streams)]
    for reply in to_streams:
        args += (reply.queue or b"", reply.body)
    args.append(len(to_lists))
    for reply in to_lists:
        queue = reply.queue or names.REPLIES
        contents = envelope.encode_contents(reply.body, reply.correlation_id)
        args += (queue, envelope.encode_address(queue), contents)
    return args


def _encode_facts(unit: Settlement) -> list[Argument]:
    """The other sections, in the script's order."""
    args: list[Argument] = []
    args.append(len(unit.records))
    args += encode_records(unit.records)
    args.append(len(unit.dead_letters))
    for letter in unit.dead_letters:
        args += (letter.id, letter.description, letter.body, letter.original or "", letter.fingerprint)
        group = "" if letter.group is None else keys.group_field(letter.group)
        args += (letter.shape, group, letter.position, "" if letter.order is None else letter.order)
    args.append(len(unit.partial) + len(unit.unacknowledged))
    for tag, indexes in unit.partial:
        args += (tag, orjson.dumps(indexes))
    for answered in unit.unacknowledged:
        args += answered
    args.append(len(unit.bindings))
    for ref, group_id in unit.bindings.items():
        args += (keys.group_field(ref), group_id or "")
    args.append(len(unit.intents_done))
    args += [keys.group_field(ref) for ref in unit.intents_done]
    args.append(len(unit.sequences))
    for sequence, latest in unit.sequences.items():
        args += (keys.sequence(sequence), latest)
    args.append(len(unit.calls_done))
    for ref, call_id in unit.calls_done:
        args += (keys.group_field(ref), call_id)
    args.append(len(unit.attempts_done))
    args += [keys.command_member(key) for key in unit.attempts_done]
    args.append(len(unit.decisions))
    for decision in unit.decisions:
        group = keys.group_field(decision.group)
        number = keys.ALL_NUMBERS if decision.number is None else decision.number
        args += (keys.since(group), group, number, "+" if decision.present else "-", decision.position)
        args.append("" if decision.order is None else decision.order)
    args.append(len(unit.replayed))
    for tag, field in unit.replayed:
        args += (
            tag.removeprefix(REPLAY_TAG_PREFIX),
            tag,
            field or "",
            "" if field is None else keys.since(field),
        )
    args.append(len(unit.quarantined))
    for ref, fault in unit.quarantined.items():
        args += (keys.group_field(ref), "" if fault is None else encode_quarantine(fault))
    args.append(len(unit.forgotten))
    args += unit.forgotten
    return args
