"""`numbergroup dead-letters audit`."""

from datetime import UTC, datetime
from typing import Any

import orjson
import typer

from numbergroup.cli.dead_letters.formatting import when
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.dead_letters.table import Rows
from numbergroup.cli.screen import print_json
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.reading import LetterReader

_IDS_SHOWN = 3
_LAST_MS = 253_402_300_799_999


def run(limit: int, as_json: bool) -> None:
    """What was done with letters, and whatever else operators did."""
    rows = Rows(("time", "who", "action", "what"), ("time", "who", "action"), limit)

    async def work(reader: LetterReader, _: LetterChanger) -> None:
        shown = 0
        async for entry, fields in reader.scan_audit():
            if shown == limit:
                return
            shown += 1
            at = datetime.fromtimestamp(min(int(entry.partition("-")[0]), _LAST_MS) / 1000, UTC)
            who, action = (fields.get(name, b"").decode(errors="replace") for name in (b"who", b"action"))
            detail = _detail(fields.get(b"detail", b""))
            if as_json:
                print_json({"time": at.isoformat(), "who": who, "action": action, "detail": detail})
            else:
                rows.add(when(at), who, action, _said(detail))

    OperatorSession().run(work)
    rows.end()
    if not rows.count and not as_json:
        typer.echo("nothing was done yet", err=True)


def _detail(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def _said(detail: Any) -> str:
    """`2 letters: 0-1-0, 0-2-0; filter …`; what other commands note, as they note it."""
    if not isinstance(detail, dict) or not isinstance(detail.get("ids"), list):
        return detail if isinstance(detail, str) else orjson.dumps(detail).decode()
    ids = [str(one) for one in detail["ids"]]
    more = ", …" if len(ids) > _IDS_SHOWN else ""
    rest = {name: value for name, value in detail.items() if name not in ("count", "ids") and value}
    asked = f"; {orjson.dumps(rest).decode()}" if rest else ""
    return f"{detail.get('count')}: {', '.join(ids[:_IDS_SHOWN])}{more}{asked}"
