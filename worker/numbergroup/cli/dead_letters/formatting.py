"""Formats dead letters for people and as JSON. Without `reveal`, phone numbers are masked."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

from numbergroup.cli.masking import mask_body, mask_json, mask_number, mask_text
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.text.escaping import escaped


def format_time(time: datetime) -> str:
    """Return the time in UTC, without its fraction of a second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def format_text(text: str, *, reveal: bool) -> str:
    """Return a text that may contain phone numbers."""
    return text if reveal else mask_text(text)


def format_number(number: str, *, reveal: bool) -> str:
    """Return a phone number."""
    return number if reveal else mask_number(number)


def format_body(body: bytes, *, reveal: bool, indent: bool = False) -> str:
    """Return the body, as JSON if it is JSON."""
    text = body.decode(errors="backslashreplace") if reveal else mask_body(body)
    if indent:
        with suppress(ValueError, TypeError):  # TypeError: nested deeper than orjson writes
            text = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    return "\n".join(map(escaped, text.splitlines()))


def describe_letter(letter: Letter, *, reveal: bool) -> dict[str, Any]:
    """Return everything about the dead letter except its body, as JSON."""
    try:
        description = orjson.loads(letter.description)
    except ValueError:
        description = {}
    description = description if isinstance(description, dict) else {}
    if not reveal:
        # Only texts of others may contain numbers. Everything else is names, by which letters are found.
        description |= {
            name: mask_json(description[name]) for name in ("error", "history") if name in description
        }
    return {
        **description,
        "id": letter.id,
        "order": None if letter.order is None else str(letter.order),
        "edited": letter.original is not None,
    }
