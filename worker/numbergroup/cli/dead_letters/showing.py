"""`numbergroup dead-letters show`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import typer

from numbergroup.cli.dead_letters.formatting import body_text, described, revealed, when
from numbergroup.cli.dead_letters.masking import mask_number
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.screen import counted, print_json
from numbergroup.engine.commands import CommandKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.dead_letters.replay import Obstacle, group_field, read_command
from numbergroup.ledger.dead_letters.staleness import Staleness, compute_staleness, numbers_added_since
from numbergroup.text.escaping import escaped


@dataclass(slots=True, frozen=True)
class Outlook:
    """What a replay would meet. `added`: how many numbers a replace would leave in, for they came since."""

    obstacle: str | None = None
    stale: Staleness = field(default_factory=Staleness)
    added: int = 0


def run(letter_id: str, as_json: bool, reveal: bool) -> None:
    """Raises `Failure` when there is no such letter."""
    session = OperatorSession()

    async def work(reader: LetterReader, _: LetterChanger) -> tuple[Letter | None, Outlook]:
        letter = (await reader.find([letter_id])).get(letter_id)
        if letter is None:
            return None, Outlook()
        return letter, await _outlook(
            reader, letter, Intake(session.settings.max_message_bytes, session.settings.spellings)
        )

    letter, outlook = session.run(work)
    if letter is None:
        raise CommandError(f"no such letter: {escaped(letter_id)}")
    if as_json:
        print_json(_as_json(letter, outlook, reveal))
    else:
        _print(letter, outlook, reveal)


async def _outlook(reader: LetterReader, letter: Letter, intake: Intake) -> Outlook:
    command = read_command(letter, intake, await reader.server_time())
    if isinstance(command, Obstacle):
        return Outlook(command.reason)
    field, order = group_field(command), letter.order or 0
    if field is None:
        return Outlook()
    (since,) = await reader.read_decisions([(field, command.targets)])
    added: set[str] = set()
    if command.kind is CommandKind.REPLACE:
        own = set(command.numbers)
        async for number, word in reader.scan_decisions(field):
            added.update(one for one in numbers_added_since(order, {number: word}) if one not in own)
    return Outlook(stale=compute_staleness(command, order, since), added=len(added))


def _as_json(letter: Letter, outlook: Outlook, reveal: bool) -> dict[str, Any]:
    return {
        **described(letter, reveal=reveal),
        "body": _value(letter.body, reveal),
        "original": None if letter.original is None else _value(letter.original, reveal),
        "replay": {
            "obstacle": outlook.obstacle,
            "superseded": outlook.stale.superseded,
            "leftOut": [_number(one, reveal) for one in outlook.stale.left_out],
            "addedSince": outlook.added,
            "knownSince": None if letter.watched_ms is None else _utc(letter.watched_ms).isoformat(),
        },
    }


def _value(body: bytes, reveal: bool) -> Any:
    text = body_text(body, reveal=reveal)
    try:
        value = orjson.loads(text)
        orjson.dumps({"body": [value]})
    except (ValueError, TypeError):  # TypeError: nested deeper than it is written
        return text
    return value


def _print(letter: Letter, outlook: Outlook, reveal: bool) -> None:
    said, error = letter.details, letter.details.error
    code = "" if error.code is None else f" {error.code}"
    facts: list[tuple[str, object]] = [
        ("letter", letter.id),
        ("error", f"{error.kind}{code}: {revealed(error.message, reveal=reveal)}"),
        ("fingerprint", said.fingerprint),
        ("command", said.command and f"{said.command.source} {said.command.id}"),
        ("type", said.command and said.command.type),
        ("account", said.account),
        ("group", said.group),
        ("failed", when(letter.failed_at)),
        ("first failed", said.firstTime and when(said.firstTime)),
        ("tries", said.attempts),
        ("replays", said.replays),
        ("requestIds", ", ".join(said.requestIds)),
        ("partition", letter.partition),
    ]
    for name, value in facts:
        if value is not None and value != "":
            typer.echo(f"{name:13}{escaped(str(value))}")
    for one in said.history:
        message = revealed(one.error.message, reveal=reveal)
        typer.echo(f"{'before that':13}{when(one.time)} {escaped(f'{one.error.kind}: {message}')}")
    for line in outlook_lines(letter, outlook, reveal):
        typer.echo(f"{'replay':13}{escaped(line)}")
    typer.echo("\n" + body_text(letter.body, reveal=reveal, indent=True))
    if letter.original is not None:
        typer.echo("\nas it first arrived:\n" + body_text(letter.original, reveal=reveal, indent=True))


def outlook_lines(letter: Letter, outlook: Outlook, reveal: bool) -> list[str]:
    if outlook.obstacle is not None:
        return [f"not possible: {outlook.obstacle}"]
    lines = []
    if outlook.stale.superseded:
        lines.append("superseded: later commands have decided all of it")
    elif outlook.stale.left_out:
        numbers = [_number(one, reveal) for one in outlook.stale.left_out]
        lines.append(f"leaves out {counted(len(numbers), 'number')} decided since: {', '.join(numbers)}")
    else:
        lines.append("possible: nothing of it is known to have been decided since")
    if outlook.added:
        lines.append(f"leaves in {counted(outlook.added, 'number')} added since")
    if letter.order is None:
        lines.append("what was decided before the workers' last update is not known")
    if letter.watched_ms is not None:
        lines.append(f"what was decided before {when(_utc(letter.watched_ms))} is not known")
    return lines


def _number(number: str, reveal: bool) -> str:
    return number if reveal else mask_number(number)


def _utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(min(milliseconds, 253_402_300_799_999) / 1000, UTC)
