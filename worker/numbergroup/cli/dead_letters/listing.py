"""`numbergroup dead-letters list`."""

import heapq
from collections import Counter
from collections.abc import Callable

import typer

from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.formatting import described, revealed, when
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.dead_letters.table import Rows
from numbergroup.cli.screen import counted, print_json
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.reading import LetterReader

_WAYS: dict[str, Callable[[Letter], str | None]] = {
    "fingerprint": lambda letter: letter.details.fingerprint,
    "account": lambda letter: letter.details.account,
    "kind": lambda letter: letter.details.error.kind,
}
_NONE = "-"


def run(asked: DeadLetterFilter, limit: int, by: str | None, as_json: bool, reveal: bool) -> None:
    """Print letters, or how many there are of each sort."""
    asked.check()
    if by is not None and by not in _WAYS:
        raise typer.BadParameter(f"{by!r} is none of {', '.join(_WAYS)}", param_hint="--by")

    async def work(reader: LetterReader, _: LetterChanger) -> None:
        if by is None:
            await _list(reader, asked, limit, as_json, reveal)
        else:
            await _count(reader, asked, limit, by, as_json, reveal)

    OperatorSession().run(work)


async def _list(
    reader: LetterReader, asked: DeadLetterFilter, limit: int, as_json: bool, reveal: bool
) -> None:
    selection = asked.selection(await reader.server_time())
    columns = ("failed", "letter", "account", "group", "error", "code", "tries", "fingerprint", "message")
    rows = Rows(columns, ("failed", "letter", "fingerprint"), limit)
    shown, more = 0, False
    async for letter in reader.scan(newest_first=True):
        if not selection.matches(letter):
            continue
        if shown == limit:
            more = True
            break
        shown += 1
        if as_json:
            print_json(described(letter, reveal=reveal))
        else:
            _row(rows, letter, reveal)
    rows.end()
    if as_json:
        return
    if not shown:
        typer.echo("no dead letters" if selection.is_everything else "no such dead letters", err=True)
    elif more:
        total = f"{await reader.count():,}" if selection.is_everything else "more"
        typer.echo(
            f"the newest {shown:,} of {total}: --limit shows more, --by fingerprint counts them", err=True
        )


def _row(rows: Rows, letter: Letter, reveal: bool) -> None:
    said = letter.details
    rows.add(
        when(letter.failed_at),
        letter.id,
        said.account or _NONE,
        said.group or _NONE,
        said.error.kind,
        said.error.code or _NONE,
        _NONE if said.attempts is None else str(said.attempts),
        said.fingerprint or _NONE,
        revealed(said.error.message, reveal=reveal),
    )


async def _count(
    reader: LetterReader, asked: DeadLetterFilter, limit: int, by: str, as_json: bool, reveal: bool
) -> None:
    selection = asked.selection(await reader.server_time())
    if by == "fingerprint" and selection.is_everything:
        # The ledger counts them as they are written: nothing has to be read.
        most = heapq.nlargest(
            limit,
            [(count, name) async for name, count in reader.scan_fingerprints()],
            key=lambda pair: pair[0],
        )
        counts = [(name, count) for count, name in most]
    else:
        found: Counter[str] = Counter()
        async for letter in reader.scan():
            if selection.matches(letter):
                found[_WAYS[by](letter) or _NONE] += 1
        counts = found.most_common(limit)
    shapes = await reader.read_shapes([name for name, _ in counts]) if by == "fingerprint" else {}
    rows = Rows(("letters", by, *(("error", "code", "message") if by == "fingerprint" else ())), (by,), limit)
    for name, count in counts:
        shape = shapes.get(name)
        message = revealed(shape.message, reveal=reveal) if shape else _NONE
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
        typer.echo(f"{counted(await reader.count(), 'letter')} in all", err=True)
