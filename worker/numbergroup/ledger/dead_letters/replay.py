"""What a replay is: where a letter goes, what goes with it, and what cannot go."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from numbergroup.engine.commands import Command, Entry, HandleKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger import keys
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup_contracts.names import partition_of

_REMEMBERED = 10


@dataclass(slots=True, frozen=True)
class Obstacle:
    """Why a letter cannot be replayed as it is."""

    reason: str


def read(letter: Letter, intake: Intake, now: datetime) -> Command | Obstacle:
    """The command of a letter, as the worker's intake will read it."""
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


def destination(command: Command, letter: Letter, partitions: int) -> int:
    """The partition of the command's group; without a group the letter's own, if there is one still."""
    if command.group.kind is HandleKind.OWN:
        return letter.partition if letter.partition < partitions else 0
    return partition_of(command.group.name, partitions)


def group_field(command: Command) -> str | None:
    """Under what the ledger watches the command's group; `None` where it has none."""
    return None if command.group.kind is HandleKind.OWN else keys.field(command.group)


def replay_of(letter: Letter, command: Command, *, force: bool) -> bytes:
    """What the side log says beside the event: all that the next letter of it has to know, too."""
    said = letter.said
    failed = {"time": _time(letter.failed_at), "error": said.error.model_dump()}
    history = [{"time": _time(one.time), "error": one.error.model_dump()} for one in said.history]
    return orjson.dumps(
        {
            "letter": letter.id,
            "replays": said.replays + 1,
            # One without an order is older than all that has one.
            "order": letter.order or 0,
            "group": group_field(command),
            "firstTime": _time(said.firstTime or letter.failed_at),
            "attempts": 1 if said.attempts is None else said.attempts,
            "history": [*history, failed][-_REMEMBERED:],
            "force": force,
            "via": _via(letter, command),
        }
    )


def _via(letter: Letter, command: Command) -> dict[str, Any]:
    if letter.said.via is not None:
        return letter.said.via.model_dump()
    origin = command.origins[0]
    return {
        "listed": False,
        "replyTo": origin.reply_to,
        "correlationId": origin.correlation_id,
        "traceparent": origin.traceparent,
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
