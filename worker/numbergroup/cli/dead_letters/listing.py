"""`numbergroup dead-letters list`."""

import heapq
from collections import Counter
from collections.abc import Callable

import typer

from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.formatting import describe_letter, format_text, format_time
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.output import pluralize, print_json
from numbergroup.cli.table import Rows
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.reading import LetterReader

_COUNTED_BY: dict[str, Callable[[Letter], str | None]] = {
    "fingerprint": lambda letter: letter.details.fingerprint,
    "account": lambda letter: letter.details.account,
    "kind": lambda letter: letter.details.error.kind,
}
_NONE = "-"


def run(letter_filter: DeadLetterFilter, *, limit: int, by: str | None, as_json: bool, reveal: bool) -> None:
    """Print dead letters; with `by`, count them by fingerprint, account or kind."""
    letter_filter.validate()
    if by is not None and by not in _COUNTED_BY:
        raise typer.BadParameter(f"{by!r} is not one of {', '.join(_COUNTED_BY)}", param_hint="--by")

    async def work(reader: LetterReader, _: LetterChanger) -> None:
        if by is None:
            await _list(reader, letter_filter, limit, as_json=as_json, reveal=reveal)
        else:
            await _count(reader, letter_filter, by, limit=limit, as_json=as_json, reveal=reveal)

    OperatorSession().run(work)


async def _list(
    reader: LetterReader, letter_filter: DeadLetterFilter, limit: int, *, as_json: bool, reveal: bool
) -> None:
    selection = letter_filter.to_selection(await reader.server_time())
    columns = ("failed", "letter", "account", "group", "error", "code", "tries", "fingerprint", "message")
    rows = Rows(columns, ("failed", "letter", "fingerprint"), limit)
    printed, has_more = 0, False
    async for letter in reader.scan(newest_first=True):
        if not selection.matches(letter):
            continue
        if printed == limit:
            has_more = True
            break
        printed += 1
        if as_json:
            print_json(describe_letter(letter, reveal=reveal))
        else:
            _add_row(rows, letter, reveal=reveal)
    rows.end()
    if as_json:
        return
    if not printed:
        typer.echo("no dead letters" if selection.is_everything else "no such dead letters", err=True)
    elif has_more:
        total = f"{await reader.count():,}" if selection.is_everything else "more"
        typer.echo(
            f"the newest {printed:,} of {total}: --limit shows more, --by fingerprint counts them", err=True
        )


def _add_row(rows: Rows, letter: Letter, *, reveal: bool) -> None:
    details = letter.details
    rows.add(
        format_time(letter.failed_at),
        letter.id,
        details.account or _NONE,
        details.group or _NONE,
        details.error.kind,
        details.error.code or _NONE,
        _NONE if details.attempts is None else str(details.attempts),
        details.fingerprint or _NONE,
        format_text(details.error.message, reveal=reveal),
    )


async def _count(
    reader: LetterReader,
    letter_filter: DeadLetterFilter,
    by: str,
    *,
    limit: int,
    as_json: bool,
    reveal: bool,
) -> None:
    selection = letter_filter.to_selection(await reader.server_time())
    if by == "fingerprint" and selection.is_everything:
        # The ledger has these counts, so no dead letter has to be read.
        largest = heapq.nlargest(
            limit,
            [(count, name) async for name, count in reader.scan_fingerprints()],
            key=lambda pair: pair[0],
        )
        counts = [(name, count) for count, name in largest]
    else:
        found: Counter[str] = Counter()
        async for letter in reader.scan():
            if selection.matches(letter):
                found[_COUNTED_BY[by](letter) or _NONE] += 1
        counts = found.most_common(limit)
    shapes = await reader.read_shapes([name for name, _ in counts]) if by == "fingerprint" else {}
    rows = Rows(("letters", by, *(("error", "code", "message") if by == "fingerprint" else ())), (by,), limit)
    for name, count in counts:
        shape = shapes.get(name)
        message = format_text(shape.message, reveal=reveal) if shape else _NONE
        if as_json:
            error = {"kind": shape.kind, "code": shape.code, "message": message} if shape else None
            print_json({by: name, "letters": count} | ({"error": error} if by == "fingerprint" else {}))
        elif by == "fingerprint":
            kind, code = (shape.kind, shape.code or _NONE) if shape else (_NONE, _NONE)
            rows.add(f"{count}", name, kind, code, message)
        else:
            rows.add(f"{count}", name)
    rows.end()
    if not counts and not as_json:
        typer.echo("no such dead letters", err=True)
    elif by == "fingerprint" and selection.is_everything and not as_json:
        typer.echo(f"{pluralize(await reader.count(), 'dead letter')} in all", err=True)
