"""Entries of a command stream that cannot be commands by their shape, and what is said of the mistake.

Nothing of what stands in a value is quoted: phone numbers would get into results and dead letters.
"""

import re
from collections.abc import Sequence

import orjson

_EVENT = b"event"
_NAME = re.compile(rb"[A-Za-z_][A-Za-z_.-]{0,31}")
_SHOWN = 5
_HOW = "an entry has one field, event, whose value is the whole JSON"


def describe_wrong_fields(flat: Sequence[bytes]) -> str | None:
    """What is wrong with the fields of an entry, given as names and values in turn; None for nothing.

    Further fields beside one `event` are no mistake.
    """
    names = flat[::2]
    count = names.count(_EVENT)
    if count == 1:
        return None
    if count:
        return f"the entry has the field event {count} times: put several events into one JSON array"
    if len(names) == 1:
        return f"the entry has the field {_shown(names[0])} and no field event: {_HOW}"
    more = ", …" if len(names) > _SHOWN else ""
    listed = ", ".join(map(_shown, names[:_SHOWN]))
    return f"the entry has {len(names)} fields ({listed}{more}) and no field event: {_HOW}"


def body_to_keep(flat: Sequence[bytes]) -> bytes:
    """What is kept of a misshapen entry: what was meant as its event or events, so that its sender can be
    answered; else all fields as JSON."""
    names, values = flat[::2], flat[1::2]
    if len(names) == 1 and _NAME.fullmatch(names[0]):
        return values[0]
    if set(names) == {_EVENT} and all(value.lstrip().startswith(b"{") for value in values):
        return b"[" + b",".join(values) + b"]"
    pairs = zip(names, values, strict=True)
    return orjson.dumps({_text(name): _text(value) for name, value in pairs})


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _shown(name: bytes) -> str:
    return name.decode() if _NAME.fullmatch(name) else "of another name"
