"""`numbergroup dead-letters show`."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import typer

from numbergroup.cli.dead_letters.formatting import (
    describe_letter,
    format_body,
    format_number,
    format_text,
    format_time,
)
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.output import pluralize, print_json
from numbergroup.cli.times import from_milliseconds
from numbergroup.engine.commands import CommandKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.dead_letters.replay import Obstacle, group_field, read_command
from numbergroup.ledger.dead_letters.staleness import Staleness, compute_staleness, numbers_added_since
from numbergroup.text.escaping import escaped


@dataclass(slots=True, frozen=True)
class ReplayForecast:
    """What a replay would do. `added_since`: how many later numbers the replay of a replace would keep."""

    obstacle: str | None = None
    staleness: Staleness = field(default_factory=Staleness)
    added_since: int = 0


def run(letter_id: str, *, as_json: bool, reveal: bool) -> None:
    """Print the dead letter. Raises `CommandError` when there is none with this id."""
    session = OperatorSession()
    letter = session.find(letter_id)
    forecast = session.run(lambda reader, _: _forecast_replay(reader, letter, session.make_intake()))
    if as_json:
        print_json(_as_json(letter, forecast, reveal=reveal))
    else:
        _print(letter, forecast, reveal=reveal)


async def _forecast_replay(reader: LetterReader, letter: Letter, intake: Intake) -> ReplayForecast:
    command = read_command(letter, intake, await reader.server_time())
    if isinstance(command, Obstacle):
        return ReplayForecast(command.reason)
    field, order = group_field(command), letter.order or 0
    if field is None:
        return ReplayForecast()
    (decisions,) = await reader.read_decisions([(field, command.targets)])
    added: set[str] = set()
    if command.kind is CommandKind.REPLACE:
        async for number, decision in reader.scan_decisions(field):
            added.update(numbers_added_since(order, {number: decision}))
        added -= set(command.numbers)
    return ReplayForecast(staleness=compute_staleness(command, order, decisions), added_since=len(added))


def _as_json(letter: Letter, forecast: ReplayForecast, *, reveal: bool) -> dict[str, Any]:
    known_since = None if letter.watched_ms is None else from_milliseconds(letter.watched_ms).isoformat()
    return {
        **describe_letter(letter, reveal=reveal),
        "body": _body_as_json(letter.body, reveal=reveal),
        "original": None if letter.original is None else _body_as_json(letter.original, reveal=reveal),
        "replay": {
            "obstacle": forecast.obstacle,
            "superseded": forecast.staleness.superseded,
            "leftOut": [format_number(number, reveal=reveal) for number in forecast.staleness.left_out],
            "addedSince": forecast.added_since,
            "knownSince": known_since,
        },
    }


def _body_as_json(body: bytes, *, reveal: bool) -> Any:
    """Return the body as a JSON value, or as text if it is no JSON that orjson can write."""
    text = format_body(body, reveal=reveal)
    try:
        value = orjson.loads(text)
        orjson.dumps({"body": [value]})
    except (ValueError, TypeError):  # TypeError: nested deeper than orjson writes
        return text
    return value


def _print(letter: Letter, forecast: ReplayForecast, *, reveal: bool) -> None:
    details, error = letter.details, letter.details.error
    code = "" if error.code is None else f" {error.code}"
    facts: list[tuple[str, object]] = [
        ("letter", letter.id),
        ("error", f"{error.kind}{code}: {format_text(error.message, reveal=reveal)}"),
        ("fingerprint", details.fingerprint),
        ("command", details.command and f"{details.command.source} {details.command.id}"),
        ("type", details.command and details.command.type),
        ("account", details.account),
        ("group", details.group),
        ("failed", format_time(letter.failed_at)),
        ("first failed", details.firstTime and format_time(details.firstTime)),
        ("tries", details.attempts),
        ("replays", details.replays),
        ("requestIds", ", ".join(details.requestIds)),
        ("partition", letter.partition),
    ]
    for name, value in facts:
        if value is not None and value != "":
            typer.echo(f"{name:13}{escaped(str(value))}")
    for failure in details.history:
        message = format_text(failure.error.message, reveal=reveal)
        line = escaped(f"{failure.error.kind}: {message}")
        typer.echo(f"{'before that':13}{format_time(failure.time)} {line}")
    for line in _describe_forecast(letter, forecast, reveal=reveal):
        typer.echo(f"{'replay':13}{escaped(line)}")
    typer.echo("\n" + format_body(letter.body, reveal=reveal, indent=True))
    if letter.original is not None:
        typer.echo("\nas it first arrived:\n" + format_body(letter.original, reveal=reveal, indent=True))


def _describe_forecast(letter: Letter, forecast: ReplayForecast, *, reveal: bool) -> list[str]:
    if forecast.obstacle is not None:
        return [f"not possible: {forecast.obstacle}"]
    lines = []
    if forecast.staleness.superseded:
        lines.append("superseded: later commands have decided all of it")
    elif forecast.staleness.left_out:
        numbers = [format_number(number, reveal=reveal) for number in forecast.staleness.left_out]
        lines.append(f"leaves out {pluralize(len(numbers), 'number')} decided since: {', '.join(numbers)}")
    else:
        lines.append("possible: no later command is known to have decided any of it")
    if forecast.added_since:
        lines.append(f"keeps {pluralize(forecast.added_since, 'number')} added since")
    if letter.order is None:
        lines.append("what was decided before the workers' last update is not known")
    if letter.watched_ms is not None:
        time = format_time(from_milliseconds(letter.watched_ms))
        lines.append(f"what was decided before {time} is not known")
    return lines
