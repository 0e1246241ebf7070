"""Escapes CSV cells that a spreadsheet would interpret as formulas.

Source: OWASP, "CSV Injection": the characters, and the apostrophe that turns a formula into a text. Also
separators and quotes within a text, because a spreadsheet that splits at other separators begins a new cell
there.
"""

import re

# A cell begins at the start of the text, and after a foreign separator or a line break.
_BEGINNING = r"(?:\A|(?<=[;\t\r\n]))"
# The last four are the full-width forms, which spreadsheets interpret, too.
_FORMULA = r"""'*(?:[^\S\t\r\n]|")*[\t\r\n=+\-@\uff1d\uff0b\uff0d\uff20]"""
_TO_ESCAPE = re.compile(f"{_BEGINNING}(?={_FORMULA})")
_ESCAPED = re.compile(f"{_BEGINNING}'(?={_FORMULA})")


def escaped(text: str) -> str:
    """Return the text with an apostrophe before everything that a spreadsheet could read as a formula.

    Texts that look escaped already get one more, so that `unescaped` returns every text unchanged.
    """
    return _TO_ESCAPE.sub("'", text)


def unescaped(cell: str) -> str:
    """Return the text that was `escaped`. A cell that is not escaped is returned unchanged."""
    return _ESCAPED.sub("", cell)


def readings(cell: str) -> tuple[str, ...]:
    """Return the possible texts of a cell, unchanged and unescaped: a file does not say which it has."""
    return tuple(dict.fromkeys((cell, unescaped(cell))))
