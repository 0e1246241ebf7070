"""Reads files of wanted groups line by line, in CSV or NDJSON.

Its messages never contain phone numbers.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import display_name, read_lines
from numbergroup.cli.groups.cells import unescaped
from numbergroup.cli.groups.reconcile import WantedGroup
from numbergroup.cli.identifiers import is_identifier
from numbergroup.errors import NumbergroupError
from numbergroup.text.reading import LONGEST_LINE, Line

_MAX_ERRORS = 10
_MAX_NAME_LENGTH = 256
_SEPARATORS = re.compile(r"[\s,;]+")
_COLUMNS = {name.lower(): name for name in ("groupId", "groupName", "phone", "phones")}


class WantedRow(NamedTuple):
    """A row of CSV or a line of NDJSON: a group and numbers of it. `in_cells`: see `WantedGroup`."""

    group_id: str | None
    name: str
    numbers: Sequence[str]
    in_cells: bool = False


class _LineError(NumbergroupError):
    """A line cannot be used; the message says why."""


class _FileError(NumbergroupError):
    """The file cannot be used; the message says why."""


def read_wanted(file: Path, is_number: Callable[[str], object]) -> list[WantedGroup]:
    """Return the groups of the file in the order of their first lines, with the numbers of all their lines.

    `is_number`: whether a command may contain the number. Raises `CommandError` that names the lines which
    cannot be used, or says why the file cannot be used; also when it has no groups.
    """
    name, found = display_name(file), _WantedGroups(is_number)
    try:
        _read(read_lines(file), found)
    except _FileError as error:
        raise CommandError(f"{name}: {error}") from None
    if found.errors:
        more = ["and maybe more"] if len(found.errors) == _MAX_ERRORS else []
        shown = "\n  ".join(found.errors + more)
        raise CommandError(f"{name}: nothing was compared, because these lines cannot be used:\n  {shown}")
    if not found.groups:
        raise CommandError(f"{name}: the file has no groups")
    return list(found.groups.values())


class _WantedGroups:
    """The groups and the errors so far."""

    def __init__(self, is_number: Callable[[str], object]) -> None:
        self.groups: dict[tuple[bool, str], WantedGroup] = {}
        self.errors: list[str] = []
        self._is_number = is_number

    @property
    def has_max_errors(self) -> bool:
        return len(self.errors) >= _MAX_ERRORS

    def add(self, line: int, row: WantedRow) -> None:
        """Add the row of this line. Raises `_LineError`."""
        key = (row.group_id is None, row.group_id or row.name)
        group = self.groups.get(key)
        if group is None:
            group = WantedGroup(row.group_id, row.name, line, in_cells=row.in_cells)
            _check_names(group)
            self.groups[key] = group
        for position, number in enumerate(row.numbers, start=1):
            if not self._is_number(number):
                which = f"number {position}" if len(row.numbers) > 1 else "its number"
                raise _LineError(f"{which} {_describe_invalid(number)}")
        group.numbers.update(row.numbers)

    def add_error(self, line: int, error: _LineError) -> None:
        """Add the error of this line."""
        self.errors.append(f"line {line}: {error}")


def _describe_invalid(number: str) -> str:
    if number.startswith("+"):
        return "begins with +: remove that"
    if re.fullmatch(r"[0-9][.,][0-9]+[Ee]\+?[0-9]+", number):
        return "was rounded by a spreadsheet: format the column as text there"
    return "is invalid: a number is 7 to 15 digits with the country code, as the account accepts them"


def _check_names(group: WantedGroup) -> None:
    if group.group_id is None:
        if not group.name:
            raise _LineError("neither groupId nor groupName is given")
        if len(group.new_name) > _MAX_NAME_LENGTH:
            raise _LineError(f"groupName has more than {_MAX_NAME_LENGTH} characters")
        return
    if not is_identifier(unescaped(group.group_id.strip()) if group.in_cells else group.group_id):
        raise _LineError("groupId must be 1 to 128 printable characters")


def _read(lines: Iterator[Line], found: _WantedGroups) -> None:
    first = next((line for line in lines if line[1].strip()), None)
    if first is None:
        return
    start = first[1].lstrip()
    if start.startswith("["):
        raise _FileError(
            "this is one JSON array: put each group on a line of its own (jq -c '.[]' does that)"
        )
    if start.startswith("{"):
        _read_ndjson(chain([first], lines), found)
    else:
        _read_csv(first, lines, found)


def _read_ndjson(lines: Iterable[Line], found: _WantedGroups) -> None:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            found.add(number, _decode_object(line))
        except _LineError as error:
            found.add_error(number, error)
            if found.has_max_errors:
                return


def _decode_object(line: str) -> WantedRow:
    try:
        value = from_json(line, allow_inf_nan=False)
    except (ValueError, RecursionError):
        raise _LineError("this is not JSON: one object a line is needed") from None
    if not isinstance(value, dict):
        raise _LineError("this is not a JSON object")
    group_id, name = _get_text(value, "groupId"), _get_text(value, "groupName")
    phones = value.get("phones")
    if isinstance(phones, str):
        return WantedRow(group_id, name or "", _split_numbers(phones))
    if not isinstance(phones, list) or not all(isinstance(phone, str) for phone in phones):
        raise _LineError("phones must be an array of strings; [] empties the group")
    return WantedRow(group_id, name or "", phones)


def _get_text(value: dict[str, Any], key: str) -> str | None:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise _LineError(f"{key} must be a string")
    return found


def _split_numbers(text: str) -> list[str]:
    return [number for number in _SEPARATORS.split(text) if number]


def _read_csv(header: Line, lines: Iterable[Line], found: _WantedGroups) -> None:
    # A cell may have all numbers of a group.
    csv.field_size_limit(LONGEST_LINE)
    delimiter = next((character for character in ",;\t" if character in header[1]), ",")
    skipped = header[0] - 1
    texts = chain([header[1]], (text for _, text in lines))
    rows = csv.reader(texts, delimiter=delimiter, strict=True, skipinitialspace=True)
    columns: _Columns | None = None
    try:
        for cells in rows:
            if columns is None:
                columns = _Columns(cells)
            elif cells and any(cells):
                try:
                    found.add(skipped + rows.line_num, columns.decode_row(cells))
                except _LineError as error:
                    found.add_error(skipped + rows.line_num, error)
                    if found.has_max_errors:
                        return
    except csv.Error as error:
        raise _FileError(f"line {skipped + rows.line_num} is not CSV: {error}") from None


class _Columns:
    """Decodes rows by the header of the file. Raises `_FileError` when columns are missing or ambiguous."""

    def __init__(self, header: Sequence[str]) -> None:
        positions: dict[str, int] = {}
        for position, cell in enumerate(header):
            name = _COLUMNS.get(cell.strip().lower())
            if name in positions:
                raise _FileError(f"two columns are called {name}")
            if name is not None:
                positions[name] = position
        if (
            not {"groupId", "groupName"} & positions.keys()
            or len({"phone", "phones"} & positions.keys()) != 1
        ):
            raise _FileError(
                "this is neither NDJSON nor CSV with a header: the first line must name the columns groupId "
                "or groupName, and phone (one number a row) or phones"
            )
        self._width = len(header)
        self._id, self._name = positions.get("groupId"), positions.get("groupName")
        self._has_one_number = "phone" in positions
        self._numbers = positions["phone" if self._has_one_number else "phones"]

    def decode_row(self, cells: Sequence[str]) -> WantedRow:
        """Return the row. Raises `_LineError` when it does not have as many cells as the header."""
        if len(cells) != self._width:
            raise _LineError(
                f"it has {len(cells)} cells, and the header {self._width}: quote cells with separators"
            )
        group_id, name = _read_cell(cells, self._id), _read_cell(cells, self._name)
        text = unescaped(cells[self._numbers].strip())
        numbers = ([text] if text else []) if self._has_one_number else _split_numbers(text)
        return WantedRow(group_id or None, name, numbers, in_cells=True)


def _read_cell(cells: Sequence[str], column: int | None) -> str:
    """Return the cell, not stripped; empty if it has only white space or there is no such column."""
    text = "" if column is None else cells[column]
    return text if text.strip() else ""
