"""Records: what is kept of a settled command, and the names of what settling writes."""

import hashlib
from datetime import UTC, datetime

from numbergroup.engine.commands import (
    Command,
    CommandKey,
    HandleKind,
    Origin,
    Record,
    SequenceKey,
    Verdict,
    tuple_of,
)
from numbergroup.engine.replays import replays_of
from numbergroup_contracts.results import Status

DEAD_LETTERED = frozenset({Status.REJECTED, Status.FAILED})


def is_remembered(verdict: Verdict) -> bool:
    """Whether a repeat is answered with it. A list changes nothing, and is made again."""
    return verdict.groups is None and not verdict.conflict


def milliseconds(now: float) -> float:
    """The time (Unix seconds) as it is written."""
    return round(now, 3)


def record_of(verdict: Verdict, at: float) -> Record:
    """What a repeat of the command will be answered with, settled `at` that time, in whole `milliseconds`.

    It is made once, when the engine settles the command: what is written is what it remembers.
    """
    if verdict.record is None:
        command = verdict.command
        said = (
            command.fingerprint,
            verdict.status,
            verdict.group_id,
            verdict.request_ids,
            verdict.merged,
            verdict.fault,
            dead_letter_id(command.origins[0]) if verdict.status in DEAD_LETTERED else None,
            at,
            replays_of(command.past) if command.past is not None else 0,
            command.as_written(verdict.rejected) if verdict.rejected else (),
            verdict.vendor,
        )
        verdict.record = tuple_of(Record, said)
    return verdict.record


def sequence_key(command: Command) -> SequenceKey | None:
    """Under what the command's `sequence` is remembered; `None` where there is none, or no group to share."""
    if command.sequence is None or command.group.kind is HandleKind.OWN:
        return None
    return SequenceKey(command.key.source, command.group)


def dead_letter_id(origin: Origin) -> str:
    """Names the letter of one event of one message: the same however often it is written."""
    entry = origin.entry
    return f"{entry.partition}-{entry.name or entry.tag}-{origin.index}"


def replay_variant(replays: int) -> str:
    """Sets apart the answers to a command that was tried again so often."""
    return f"replay {replays}" if replays else ""


def time_of(at: float) -> str:
    """RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def variant_id(key: CommandKey, variant: str) -> str:
    """The id of a result event that is not a command's first answer (that one has the key's digest): the same
    for the same command, so that consumers can drop repeats.

    `variant` sets apart the answers to what came under the same key: another command, or the same once more.
    """
    return hashlib.blake2b(f"{key.source}\0{key.id}\0{variant}".encode(), digest_size=16).hexdigest()
