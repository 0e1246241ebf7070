"""Files of wanted groups: CSV or NDJSON, whichever it is. They are read line by line.

What is said of them never holds a number.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import display_name, read_lines
from numbergroup.cli.groups.cells import unescaped
from numbergroup.cli.groups.reconcile import Wanted
from numbergroup.errors import NumbergroupError
from numbergroup.text.reading import LONGEST_LINE, Line
from numbergroup_contracts.event import Identifier

_MOST_ERRORS = 10
_LONGEST_NAME = 256
_SEPARATORS = re.compile(r"[\s,;]+")
_COLUMNS = {name.lower(): name for name in ("groupId", "groupName", "phone", "phones")}
_ID: TypeAdapter[str] = TypeAdapter(Identifier)


class WantedRow(NamedTuple):
    """What a row or a line says: of which group, and which numbers. `in_cells`: see `Wanted`."""

    group_id: str | None
    name: str
    numbers: Sequence[str]
    in_cells: bool = False


class _WrongLine(NumbergroupError):
    """What is wrong with a line."""


class _WrongFile(NumbergroupError):
    """What is wrong with all of it."""


def read_wanted(file: Path, speakable: Callable[[str], object]) -> list[Wanted]:
    """The groups of the file, in the order of their first lines; `speakable`: whether a number is one.

    What is said of a group on several lines is put together. Raises `CommandError` that names the lines which
    cannot be understood, or says why none can; also when there is no group in it.
    """
    name, found = display_name(file), _Collected(speakable)
    try:
        _read(read_lines(file), found)
    except _WrongFile as error:
        raise CommandError(f"{name}: {error}") from None
    if found.errors:
        more = ["and maybe more"] if len(found.errors) == _MOST_ERRORS else []
        shown = "\n  ".join(found.errors + more)
        raise CommandError(f"{name}: nothing was compared, because these lines cannot be used:\n  {shown}")
    if not found.groups:
        raise CommandError(f"{name}: there is no group in it")
    return list(found.groups.values())


class _Collected:
    """The groups so far, and what was wrong."""

    def __init__(self, speakable: Callable[[str], object]) -> None:
        self.groups: dict[tuple[bool, str], Wanted] = {}
        self.errors: list[str] = []
        self._speakable = speakable

    @property
    def is_full(self) -> bool:
        return len(self.errors) >= _MOST_ERRORS

    def take(self, line: int, said: WantedRow) -> None:
        key = (said.group_id is None, said.group_id or said.name)
        group = self.groups.get(key)
        if group is None:
            group = Wanted(said.group_id, said.name, line, in_cells=said.in_cells)
            _check_address(group)
            self.groups[key] = group
        for position, number in enumerate(said.numbers, start=1):
            if not self._speakable(number):
                which = f"number {position}" if len(said.numbers) > 1 else "its number"
                raise _WrongLine(f"{which} {_why(number)}")
        group.numbers.update(said.numbers)

    def refuse(self, line: int, problem: _WrongLine) -> None:
        self.errors.append(f"line {line}: {problem}")


def _why(number: str) -> str:
    if number.startswith("+"):
        return "begins with +: leave that out"
    if re.fullmatch(r"[0-9][.,][0-9]+[Ee]\+?[0-9]+", number):
        return "was rounded by a spreadsheet: let it show the column as text"
    return (
        "is not one that a command may have: 7 to 15 digits with the country code, as the account takes them"
    )


def _check_address(group: Wanted) -> None:
    if group.group_id is None:
        if not group.name:
            raise _WrongLine("neither groupId nor groupName is given")
        if len(group.new_name) > _LONGEST_NAME:
            raise _WrongLine(f"groupName has more than {_LONGEST_NAME} characters")
        return
    try:
        _ID.validate_python(unescaped(group.group_id.strip()) if group.in_cells else group.group_id)
    except ValidationError:
        raise _WrongLine("groupId must be 1 to 128 printable characters") from None


def _read(lines: Iterator[Line], found: _Collected) -> None:
    first = next((line for line in lines if line[1].strip()), None)
    if first is None:
        return
    start = first[1].lstrip()
    if start.startswith("["):
        raise _WrongFile(
            "this is one JSON array: put each group on a line of its own (jq -c '.[]' does that)"
        )
    if start.startswith("{"):
        _read_ndjson(chain([first], lines), found)
    else:
        _read_csv(first, lines, found)


def _read_ndjson(lines: Iterable[Line], found: _Collected) -> None:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            found.take(number, _of_object(line))
        except _WrongLine as problem:
            found.refuse(number, problem)
            if found.is_full:
                return


def _of_object(line: str) -> WantedRow:
    try:
        value = from_json(line, allow_inf_nan=False)
    except (ValueError, RecursionError):
        raise _WrongLine("this is not JSON: one object a line is needed") from None
    if not isinstance(value, dict):
        raise _WrongLine("this is no JSON object")
    group_id, name = _text(value, "groupId"), _text(value, "groupName")
    phones = value.get("phones")
    if isinstance(phones, str):
        return WantedRow(group_id, name or "", _split(phones))
    if not isinstance(phones, list) or not all(isinstance(one, str) for one in phones):
        raise _WrongLine("phones must be there, an array of strings; to empty the group: []")
    return WantedRow(group_id, name or "", phones)


def _text(value: dict[str, Any], key: str) -> str | None:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise _WrongLine(f"{key} must be a string")
    return found


def _split(text: str) -> list[str]:
    return [one for one in _SEPARATORS.split(text) if one]


def _read_csv(header: Line, lines: Iterable[Line], found: _Collected) -> None:
    # A cell may hold all numbers of a group.
    csv.field_size_limit(LONGEST_LINE)
    delimiter = next((one for one in ",;\t" if one in header[1]), ",")
    passed = header[0] - 1
    texts = chain([header[1]], (text for _, text in lines))
    rows = csv.reader(texts, delimiter=delimiter, strict=True, skipinitialspace=True)
    row_of: _Columns | None = None
    try:
        for cells in rows:
            if row_of is None:
                row_of = _Columns(cells)
            elif cells and any(cells):
                try:
                    found.take(passed + rows.line_num, row_of(cells))
                except _WrongLine as problem:
                    found.refuse(passed + rows.line_num, problem)
                    if found.is_full:
                        return
    except csv.Error as error:
        raise _WrongFile(f"line {passed + rows.line_num} is no CSV: {error}") from None


class _Columns:
    """Reads rows by the header of the file."""

    def __init__(self, header: Sequence[str]) -> None:
        at: dict[str, int] = {}
        for position, cell in enumerate(header):
            name = _COLUMNS.get(cell.strip().lower())
            if name in at:
                raise _WrongFile(f"two columns are called {name}")
            if name is not None:
                at[name] = position
        if not {"groupId", "groupName"} & at.keys() or len({"phone", "phones"} & at.keys()) != 1:
            raise _WrongFile(
                "this is neither NDJSON nor CSV with a header: the first line must name the columns groupId "
                "or groupName, and phone (one number a row) or phones"
            )
        self._width = len(header)
        self._id, self._name = at.get("groupId"), at.get("groupName")
        self._numbers, self._one = at.get("phones", at.get("phone", 0)), "phone" in at

    def __call__(self, cells: Sequence[str]) -> WantedRow:
        if len(cells) != self._width:
            raise _WrongLine(
                f"it has {len(cells)} cells, and the header {self._width}: quote cells that hold separators"
            )
        group_id, name = _cell(cells, self._id), _cell(cells, self._name)
        text = unescaped(cells[self._numbers].strip())
        numbers = ([text] if text else []) if self._one else _split(text)
        return WantedRow(group_id or None, name, numbers, in_cells=True)


def _cell(cells: Sequence[str], column: int | None) -> str:
    """What is in the cell, white space at its ends included; but white space alone says nothing."""
    text = "" if column is None else cells[column]
    return text if text.strip() else ""
