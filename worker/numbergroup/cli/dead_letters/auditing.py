"""`numbergroup dead-letters audit`."""

from typing import Any

import orjson
import typer

from numbergroup.cli.dead_letters.formatting import format_time
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.output import print_json
from numbergroup.cli.table import Rows
from numbergroup.cli.times import from_milliseconds
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.reading import LetterReader

_IDS_SHOWN = 3


def run(limit: int, *, as_json: bool) -> None:
    """Print the newest `limit` entries of the audit stream."""
    rows = Rows(("time", "who", "action", "what"), ("time", "who", "action"), limit)

    async def work(reader: LetterReader, _: LetterChanger) -> None:
        printed = 0
        async for entry, fields in reader.scan_audit():
            if printed == limit:
                return
            printed += 1
            time = from_milliseconds(int(entry.partition("-")[0]))
            operator, action = (
                fields.get(name, b"").decode(errors="replace") for name in (b"who", b"action")
            )
            detail = _decode_detail(fields.get(b"detail", b""))
            if as_json:
                print_json({"time": time.isoformat(), "who": operator, "action": action, "detail": detail})
            else:
                rows.add(format_time(time), operator, action, _format_detail(detail))

    OperatorSession().run(work)
    rows.end()
    if not rows.count and not as_json:
        typer.echo("no actions yet", err=True)


def _decode_detail(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def _format_detail(detail: Any) -> str:
    """Return `2: 0-1-0, 0-2-0; {…}` for an action on dead letters, and other details unchanged."""
    if not isinstance(detail, dict) or not isinstance(detail.get("ids"), list):
        return detail if isinstance(detail, str) else orjson.dumps(detail).decode()
    ids = [str(letter_id) for letter_id in detail["ids"]]
    more = ", …" if len(ids) > _IDS_SHOWN else ""
    rest = {name: value for name, value in detail.items() if name not in ("count", "ids") and value}
    selection = f"; {orjson.dumps(rest).decode()}" if rest else ""
    return f"{detail.get('count')}: {', '.join(ids[:_IDS_SHOWN])}{more}{selection}"
