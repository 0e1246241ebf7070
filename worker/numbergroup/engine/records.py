"""Builds the records of settled commands, and the ids of results and dead letters."""

import hashlib
from datetime import UTC, datetime

from numbergroup.engine.commands import Command, CommandKey, HandleKind, Origin, SequenceKey, build_tuple
from numbergroup.engine.replays import replays_of
from numbergroup.engine.verdicts import Record, Verdict
from numbergroup_contracts.results import Status

DEAD_LETTERED = frozenset({Status.REJECTED, Status.FAILED})
"""The statuses of commands that become dead letters."""


def is_remembered(verdict: Verdict) -> bool:
    """Return whether repeats get this result. A repeated list is carried out again."""
    return verdict.groups is None and not verdict.conflict


def round_to_milliseconds(now: float) -> float:
    """Round a time (Unix seconds) to the precision in which it is stored."""
    return round(now, 3)


def build_record(verdict: Verdict, at: float) -> Record:
    """Return the command's record, which answers its repeats. `at`: its time, in whole milliseconds.

    The record is built once and kept in the verdict, so the engine and the ledger store the same.
    """
    if verdict.record is None:
        command = verdict.command
        fields = (
            command.fingerprint,
            verdict.status,
            verdict.group_id,
            verdict.request_ids,
            verdict.merged,
            verdict.fault,
            dead_letter_id(command.origins[0]) if verdict.status in DEAD_LETTERED else None,
            at,
            replays_of(command.retry_history) if command.retry_history is not None else 0,
            command.as_received(verdict.rejected) if verdict.rejected else (),
            verdict.vendor,
        )
        verdict.record = build_tuple(Record, fields)
    return verdict.record


def sequence_key(command: Command) -> SequenceKey | None:
    """Return the key of the command's `sequence`. `None` without a sequence or without a group handle."""
    if command.sequence is None or command.group.kind is HandleKind.OWN:
        return None
    return SequenceKey(command.key.source, command.group)


def dead_letter_id(origin: Origin) -> str:
    """Return the id of the dead letter of this event. It stays the same if the letter is written again."""
    entry = origin.entry
    return f"{entry.partition}-{entry.dead_letter_name or entry.tag}-{origin.index}"


def replay_variant(replays: int) -> str:
    """Return the variant for `variant_event_id` that tells the answers to successive replays apart."""
    return f"replay {replays}" if replays else ""


def format_time(at: float) -> str:
    """Return the time (Unix seconds) in RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def variant_event_id(key: CommandKey, variant: str) -> str:
    """Return the event id of a result that is not a command's first one.

    The first result uses the key's digest. Equal arguments give equal ids, so consumers can drop repeats.
    `variant` tells different results under the same key apart: of another command, or of a replay.
    """
    return hashlib.blake2b(f"{key.source}\0{key.id}\0{variant}".encode(), digest_size=16).hexdigest()
