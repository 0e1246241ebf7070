"""Compares names as people see them."""

import re
import unicodedata

from numbergroup.text.escaping import INVISIBLE_MARKS

_UNSEEN = ("Cf", "Cc")
_MARKS = re.compile(f"[{INVISIBLE_MARKS}]+")


def visible_name(name: str) -> str:
    """The name in Unicode's NFC without format, control and other invisible characters, and without white
    space at its ends.

    Names for which this is the same look the same; case, inner spaces and compatibility forms are kept apart.
    """
    if name.isascii() and name.isprintable():
        return name.strip()
    kept = "".join(
        char
        for char in _MARKS.sub("", name)
        if char.isspace() or unicodedata.category(char) not in ("Cf", "Cc")
    )
    return unicodedata.normalize("NFC", kept.strip())
