"""Rows for people: a table on a terminal; elsewhere lines with tabs, printed as they come."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.table import Table
from rich.text import Text

from numbergroup.cli.screen import screen
from numbergroup.text.escaping import escaped

_MOST_IN_A_TABLE = 1_000


@dataclass(slots=True)
class Rows:
    """`columns` are the headings; of the `whole` ones nothing is cut off on a narrow terminal."""

    columns: Sequence[str]
    whole: Sequence[str]
    most: int
    _kept: list[list[str]] = field(default_factory=list)
    _as_table: bool = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self._as_table = screen().is_terminal and self.most <= _MOST_IN_A_TABLE

    def add(self, *cells: str) -> None:
        row = [escaped(cell) for cell in cells]
        if self._as_table:
            self._kept.append(row)
        else:
            if not self.count:
                self._print(self.columns)
            self._print(row)
        self.count += 1

    def end(self) -> None:
        if self._kept:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for name in self.columns:
                table.add_column(name, no_wrap=name in self.whole, overflow="fold")
            for row in self._kept:
                table.add_row(*map(Text, row))
            screen().print(table)

        # Whoever reads may have gone: that is to be noticed here, and not when the process ends.
        sys.stdout.flush()

    def _print(self, cells: Sequence[str]) -> None:
        sys.stdout.write("\t".join(cells) + "\n")
