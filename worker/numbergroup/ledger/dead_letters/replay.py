"""Prepares the replay of a letter: its command, its partition, what is stored with it, and obstacles."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from numbergroup.engine.commands import Command, Entry, HandleKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger import keys
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup_contracts.dead_letters import MAX_HISTORY
from numbergroup_contracts.names import partition_of


@dataclass(slots=True, frozen=True)
class Obstacle:
    """Why a letter cannot be replayed as it is."""

    reason: str


def read_command(letter: Letter, intake: Intake, now: datetime) -> Command | Obstacle:
    """Return the letter's command, as the worker's intake decodes it, or why it cannot be replayed."""
    body = letter.body
    if b"body" not in letter.fields:
        return Obstacle("it has no body")
    entry = Entry(letter.partition, letter.entry, body)
    (item, *_) = intake.read(entry)
    if entry.is_array:
        return Obstacle("it is an array: edit it into one event, and publish the others anew")
    if not isinstance(item, Command):
        return Obstacle(f"it is no command ({item.message}): edit it")
    if item.expires_at is not None and item.expires_at <= now.timestamp():
        return Obstacle("its expirytime has passed: edit it")
    return item


def target_partition(command: Command, letter: Letter, partitions: int) -> int:
    """Return the partition of the command's group; without one the letter's own, or 0 if that was removed."""
    if command.group.kind is HandleKind.OWN:
        return letter.partition if letter.partition < partitions else 0
    return partition_of(command.group.name, partitions)


def group_field(command: Command) -> str | None:
    """Return the group's field in the ledger; `None` if the command has no group."""
    return None if command.group.kind is HandleKind.OWN else keys.group_field(command.group)


def encode_replay(letter: Letter, command: Command, *, force: bool) -> bytes:
    """Return what is stored beside the event: what a further dead letter of the command must know, too."""
    details = letter.details
    failed = {"time": _time(letter.failed_at), "error": details.error.model_dump()}
    history = [
        {"time": _time(failure.time), "error": failure.error.model_dump()} for failure in details.history
    ]
    return orjson.dumps(
        {
            "letter": letter.id,
            "replays": details.replays + 1,
            # A letter without an order is older than all letters with one.
            "order": letter.order or 0,
            "group": group_field(command),
            "firstTime": _time(details.firstTime or letter.failed_at),
            "attempts": 1 if details.attempts is None else details.attempts,
            "history": [*history, failed][-MAX_HISTORY:],
            "force": force,
            "via": _via(letter, command),
        }
    )


def _via(letter: Letter, command: Command) -> dict[str, Any]:
    if letter.details.via is not None:
        return letter.details.via.model_dump()
    origin = command.origins[0]
    return {
        "listed": False,
        "replyTo": origin.reply_to,
        "correlationId": origin.correlation_id,
        "traceparent": origin.traceparent,
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
