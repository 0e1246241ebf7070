"""CSV for people: no cell is a formula, and what was written is read back."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.cli.groups.cells import escaped, unescaped
from numbergroup.cli.groups.listing import as_csv
from numbergroup.cli.groups.reconcile import Rules, reconcile
from numbergroup.cli.groups.wanted import read_wanted
from numbergroup.engine.calls import Group
from numbergroup.engine.commands import CommandKind
from numbergroup_contracts.commands import PHONE

A = "85211111114"
DANGEROUS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
TEXTS = st.text(
    st.sampled_from(DANGEROUS + "' x1") | st.characters(codec="utf-8", exclude_characters="\0"), max_size=6
)


@given(TEXTS)
def test_no_cell_is_a_formula(text: str) -> None:
    """Whatever it begins with, blanks before it included; and every text comes back."""
    cell = escaped(text)
    assert not cell.lstrip(" ").startswith(tuple(DANGEROUS))
    assert unescaped(cell) == text


@pytest.mark.parametrize("text", ["", "vip", "'vip'", "a=b", "1-2", "852", "O'Neill", "' quoted'"])
def test_other_cells_are_as_they_are(text: str) -> None:
    """An apostrophe is put before what needs it, and before nothing else."""
    assert escaped(text) == text == unescaped(text)


SEPARATORS = ";\t\r\n"


@given(TEXTS)
def test_no_cell_is_a_formula_where_others_split(text: str) -> None:
    """A spreadsheet whose cells end with another separator than ours begins no formula within a text."""
    for part in re.split(f"[{SEPARATORS}]", escaped(text))[1:]:
        assert not part.lstrip(' "').startswith(tuple(DANGEROUS))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("x;=1+1;y", "x;'=1+1;y"),
        ("x\t=1+1", "x\t'=1+1"),
        ("x\n +852", "x\n' +852"),
        ('x;"=1+1"', 'x;\'"=1+1"'),
        ("=1;-2", "'=1;'-2"),
        ("x;'=1", "x;''=1"),
        ("x;y=1", "x;y=1"),
        ("x,=1", "x,=1"),
    ],
)
def test_behind_a_separator(text: str, cell: str) -> None:
    """Our own separator needs nothing: a cell that has it is quoted."""
    assert (escaped(text), unescaped(cell)) == (cell, text)


NAMES = [
    *("=1+1", "+852", "-x", "@SUM(A1)", "\tx", "\rx", "'=x", "''+", "plain", " =1", "vip ", " vip", "vip"),
    *("x;=1+1;y", "x;'=1", "\u3000wide\u3000"),
]


def differences(file: Path, listed: Sequence[Group]) -> tuple[int, list[str], list[str]]:
    """How many of the groups are as the file has them; warnings and problems, where that is a guess."""
    rules = Rules(frozenset(CommandKind), 10, re.compile(PHONE).fullmatch)
    found = reconcile(read_wanted(file, rules.is_number), listed, rules)
    assert found.differences == []
    return found.unchanged, found.warnings, found.problems


@pytest.mark.parametrize("raw", [False, True])
def test_both_forms_are_read_back(tmp_path: Path, raw: bool) -> None:
    """What `groups list` writes, `groups diff` reads: ids, names and numbers, escaped or raw."""
    listed = [Group(f"{name}-{at}", name, f"{name}!", (A,)) for at, name in enumerate(NAMES)]
    listed = [group for group in listed if group.group_id.isprintable()]
    file = tmp_path / "listed.csv"
    file.write_bytes(b"".join(as_csv(listed, raw=raw)))
    assert differences(file, listed) == (len(listed), [], [])
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    cell = str if raw else escaped
    assert [row["remark"] for row in rows] == [cell(group.remark) for group in listed]
    assert [row["groupName"] for row in rows] == [cell(group.name) for group in listed]


@pytest.mark.parametrize("raw", [False, True])
@given(TEXTS.filter(lambda text: text.strip() != ""))
def test_a_name_alone_is_read_back(folder: Path, raw: bool, name: str) -> None:
    """Whoever leaves the column of ids out addresses a group by its name, as the file has it: exactly, white
    space at its ends included."""
    group = Group("g", name, "", (A,))
    file = folder / "names.csv"
    file.write_bytes(b"".join(as_csv([group], raw=raw)).replace(b"groupId,", b"x,", 1))
    assert differences(file, [group]) == (1, [], [])


def test_a_name_that_may_be_an_escaped_one(tmp_path: Path) -> None:
    """Of two groups, one called as the other's name is escaped, none is guessed at."""
    listed = [Group("g-1", "=x", "", (A,)), Group("g-2", "'=x", "", (A,))]
    file = tmp_path / "names.csv"
    file.write_text(f"groupName,phone\n'=x,{A}\n")
    same, warnings, problems = differences(file, listed)
    assert (same, warnings) == (0, [])
    assert problems == ["line 2: 2 groups have this name (g-2, g-1): give a groupId"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")
