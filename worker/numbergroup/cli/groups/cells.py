"""Cells of CSV that people open in a spreadsheet, which takes some texts for formulas.

Source: OWASP, "CSV Injection" (the characters; the apostrophe that makes a text of a formula; separators and
quotes within a text, by which a spreadsheet that splits cells elsewhere begins a new cell).
"""

import re

# What begins a cell: the text itself, or what follows a separator that is not ours, or the end of a line.
_BEGINNING = r"(?:\A|(?<=[;\t\r\n]))"
# The last four are the wide forms, which spreadsheets take as well.
_FORMULA = r"""'*(?:[^\S\t\r\n]|")*[\t\r\n=+\-@\uff1d\uff0b\uff0d\uff20]"""
_TO_ESCAPE = re.compile(f"{_BEGINNING}(?={_FORMULA})")
_ESCAPED = re.compile(f"{_BEGINNING}'(?={_FORMULA})")


def escaped(text: str) -> str:
    """The text with an apostrophe wherever a spreadsheet could take the beginning of a cell for a formula; or
    where it looks as if that had been done, so that `unescaped` gives every text back."""
    return _TO_ESCAPE.sub("'", text)


def unescaped(cell: str) -> str:
    """What `escaped` was given. A cell that is not escaped is what it says."""
    return _ESCAPED.sub("", cell)


def readings(cell: str) -> tuple[str, ...]:
    """What the cell may say: itself, or what it is the escaped form of. A file does not tell which it has."""
    return tuple(dict.fromkeys((cell, unescaped(cell))))
