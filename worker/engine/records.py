"""Records: what is kept of a settled command, and the names of what settling writes."""

import hashlib

from contracts.results import Status
from worker.engine.model import Command, CommandKey, HandleKind, Origin, Record, SequenceKey, Verdict

DEAD_LETTERED = frozenset({Status.REJECTED, Status.FAILED})


def is_remembered(verdict: Verdict) -> bool:
    """Whether a repeat is answered with it. A list changes nothing, and is made again."""
    return verdict.groups is None and not verdict.conflict


def record_of(verdict: Verdict, now: float) -> Record:
    """What a repeat of the command will be answered with; its time has milliseconds, as it is written."""
    command = verdict.command
    letter = dead_letter_id(command.origins[0]) if verdict.status in DEAD_LETTERED else None
    return Record(
        command.fingerprint,
        verdict.status,
        verdict.group_id,
        verdict.request_ids,
        verdict.merged,
        verdict.fault,
        letter,
        round(now, 3),
    )


def sequence_key(command: Command) -> SequenceKey | None:
    """Under what the command's `sequence` is remembered; `None` where there is none, or no group to share."""
    if command.sequence is None or command.group.kind is HandleKind.OWN:
        return None
    return SequenceKey(command.key.source, command.group)


def dead_letter_id(origin: Origin) -> str:
    """Names the letter of one event of one message: the same however often it is written."""
    entry = origin.entry
    return f"{entry.partition}-{entry.tag}-{origin.index}"


def result_id(key: CommandKey, variant: str = "") -> str:
    """The id of a result event: the same for the same command, so that consumers can drop repeats.

    `variant` sets apart the answers to other commands that came under the same key.
    """
    return hashlib.blake2b(f"{key.source}\0{key.id}\0{variant}".encode(), digest_size=16).hexdigest()
