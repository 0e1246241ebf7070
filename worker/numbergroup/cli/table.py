"""Prints rows: a table on a terminal; elsewhere lines with tabs, each as soon as it is added."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.table import Table
from rich.text import Text

from numbergroup.cli.output import make_console
from numbergroup.text.escaping import escaped

_MAX_TABLE_ROWS = 1_000


@dataclass(slots=True)
class Rows:
    """Rows with the headings `columns`. At most `limit` rows are added.

    `uncut`: the columns that are never wrapped on a narrow terminal.
    """

    columns: Sequence[str]
    uncut: Sequence[str]
    limit: int
    count: int = 0
    _kept: list[list[str]] = field(default_factory=list)
    _as_table: bool = field(init=False)

    def __post_init__(self) -> None:
        self._as_table = make_console().is_terminal and self.limit <= _MAX_TABLE_ROWS

    def add(self, *cells: str) -> None:
        """Add a row with one cell for each column."""
        row = [escaped(cell) for cell in cells]
        if self._as_table:
            self._kept.append(row)
        else:
            if not self.count:
                self._print(self.columns)
            self._print(row)
        self.count += 1

    def end(self) -> None:
        """Print what is not printed yet. Raises `BrokenPipeError` when the output has no reader any more."""
        if self._kept:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for name in self.columns:
                table.add_column(name, no_wrap=name in self.uncut, overflow="fold")
            for row in self._kept:
                table.add_row(*map(Text, row))
            make_console().print(table)
        # Now, and not at the exit of the process, where the error would be a traceback.
        sys.stdout.flush()

    def _print(self, cells: Sequence[str]) -> None:
        sys.stdout.write("\t".join(cells) + "\n")
