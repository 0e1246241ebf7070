"""Cells of CSV that people open in a spreadsheet, which takes some texts for formulas.

Source: OWASP, "CSV Injection" (the characters, and the apostrophe that makes a text of a formula).
"""

import re

# The last four are the wide forms, which spreadsheets take as well.
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def escaped(text: str) -> str:
    """The text with an apostrophe before it, if a spreadsheet could take it for a formula; or if it looks as
    if that had been done, so that `unescaped` gives every text back."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: str) -> str:
    """What `escaped` was given. A cell that is not escaped is what it says."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
