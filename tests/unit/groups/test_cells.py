"""CSV for people: no cell is a formula, and what was written is read back."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.cli.groups.cells import escaped, unescaped
from numbergroup.cli.groups.listing import as_csv
from numbergroup.cli.groups.wanted import read_wanted
from numbergroup.engine.commands import Group
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


NAMES = ["=1+1", "+852", "-x", "@SUM(A1)", "\tx", "\rx", "'=x", "''+", "plain", " =1"]


@pytest.mark.parametrize("raw", [False, True])
def test_both_forms_are_read_back(tmp_path: Path, raw: bool) -> None:
    """What `groups list` writes, `groups diff` reads: ids, names and numbers, escaped or raw."""
    listed = [Group(f"{name.strip()}-{at}", name, f"{name}!", (A,)) for at, name in enumerate(NAMES)]
    file = tmp_path / "listed.csv"
    file.write_bytes(b"".join(as_csv(listed, raw=raw)))
    found = read_wanted(file, re.compile(PHONE).fullmatch)
    assert [one.numbers for one in found] == [{A}] * len(listed)
    ids = [(one.group_id, group.group_id) for one, group in zip(found, listed, strict=True)]
    # In raw data an apostrophe of the vendor's own before one of these cannot be told from ours.
    assert [a == b for a, b in ids] == [not raw or not one.startswith("'") for one in NAMES]
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["remark"] for row in rows] == [f"{name}!" if raw else escaped(f"{name}!") for name in NAMES]
    assert [row["groupName"] for row in rows] == [name if raw else escaped(name) for name in NAMES]


@given(TEXTS.filter(lambda text: text.strip() != ""))
def test_a_name_alone_is_read_back(folder: Path, name: str) -> None:
    """Whoever leaves the column of ids out addresses a group by its name, as the file has it."""
    (row,) = [b"".join(as_csv([Group("g", name, "", (A,))])).decode()]
    file = folder / "names.csv"
    file.write_bytes(row.replace("groupId,", "x,", 1).encode())
    (found,) = read_wanted(file, re.compile(PHONE).fullmatch)
    assert (found.group_id, found.name) == (None, name if escaped(name) != name else name.strip())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")
