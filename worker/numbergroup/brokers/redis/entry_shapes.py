"""Recognizes stream entries with wrong fields, and describes the mistake to their producer.

Descriptions never quote values, which may contain phone numbers.
"""

import re
from collections.abc import Sequence

import orjson

_EVENT = b"event"
_NAME = re.compile(rb"[A-Za-z_][A-Za-z_.-]{0,31}")
_MAX_LISTED = 5
_CORRECT_FORM = "an entry has one field, event, whose value is the whole JSON"


def describe_wrong_fields(flat: Sequence[bytes]) -> str | None:
    """Describe what is wrong with an entry's fields; `None` if nothing is wrong.

    `flat` has alternating names and values. Further fields beside one `event` are no mistake.
    """
    names = flat[::2]
    count = names.count(_EVENT)
    if count == 1:
        return None
    if count:
        return f"the entry has the field event {count} times: put several events into one JSON array"
    if len(names) == 1:
        return f"the entry has the field {_printable(names[0])} and no field event: {_CORRECT_FORM}"
    more = ", …" if len(names) > _MAX_LISTED else ""
    listed = ", ".join(map(_printable, names[:_MAX_LISTED]))
    return f"the entry has {len(names)} fields ({listed}{more}) and no field event: {_CORRECT_FORM}"


def body_to_keep(flat: Sequence[bytes]) -> bytes:
    """Return the body to keep for an entry with wrong fields.

    It is what was probably meant as the event or events, so that the producer can get an answer. Otherwise it
    is a JSON object of all fields.
    """
    names, values = flat[::2], flat[1::2]
    if len(names) == 1 and _NAME.fullmatch(names[0]):
        return values[0]
    if set(names) == {_EVENT} and all(value.lstrip().startswith(b"{") for value in values):
        return b"[" + b",".join(values) + b"]"
    pairs = zip(names, values, strict=True)
    return orjson.dumps({_text(name): _text(value) for name, value in pairs})


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _printable(name: bytes) -> str:
    return name.decode() if _NAME.fullmatch(name) else "of another name"
