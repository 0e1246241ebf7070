"""Letters as lines for people."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

from numbergroup.cli.dead_letters.masking import mask_body, mask_json, mask_text
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.text.escaping import escaped


def when(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def revealed(text: str, *, reveal: bool) -> str:
    return text if reveal else mask_text(text)


def body_text(body: bytes, *, reveal: bool, indent: bool = False) -> str:
    """The body, as JSON where it is JSON."""
    text = body.decode(errors="backslashreplace") if reveal else mask_body(body)
    if indent:
        with suppress(ValueError, TypeError):  # TypeError: nested deeper than it is written
            text = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    return "\n".join(map(escaped, text.splitlines()))


def described(letter: Letter, *, reveal: bool) -> dict[str, Any]:
    """The letter's description and what else is known of it, without its body."""
    try:
        told = orjson.loads(letter.description)
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    if not reveal:
        told = _masked(told)
    return {
        **told,
        "id": letter.id,
        "order": None if letter.order is None else str(letter.order),
        "edited": letter.original is not None,
    }


def _masked(told: dict[str, Any]) -> dict[str, Any]:
    """Only what came from elsewhere may hold numbers: the rest are names, by which letters are found."""
    free: dict[str, Any] = {name: mask_json(told[name]) for name in ("error", "history") if name in told}
    return {**told, **free}
