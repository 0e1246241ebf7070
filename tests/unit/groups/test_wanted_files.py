"""Files of wanted groups: what is understood, and what is said of the rest, which never holds a number."""

import csv
import io
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.groups.cells import unescaped
from numbergroup.cli.groups.listing import as_csv
from numbergroup.cli.groups.wanted import read_wanted
from numbergroup.engine.calls import Group
from numbergroup_contracts.commands import PHONE

A, B, C = "85211111114", "85235753351", "85235753311"
IS_NUMBER = re.compile(PHONE).fullmatch

Groups = dict[tuple[str | None, str], set[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wanted")


def read(folder: Path, content: bytes | str) -> Groups:
    file = folder / "wanted"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return {(one.group_id, one.name): one.numbers for one in read_wanted(file, IS_NUMBER)}


def said(folder: Path, content: bytes | str) -> str:
    """Why it cannot be used, without a number."""
    with pytest.raises(CommandError) as raised:
        read(folder, content)
    text = str(raised.value)
    assert not re.search("[0-9]{7}", text)
    return text


@pytest.mark.parametrize(
    "content",
    [
        f"groupId,phone\ng,{A}\ng,{B}\nh,{C}\n",
        f"\ufeffphone;groupid\r\n{A};g\r\n\r\n{B};g\r\n{C};h",
        f"groupId\tphones\ng\t{A},{B}\nh\t{C}\n",
        f'groupId,groupName,phones\ng,vip,"{A}, {B};{A}"\nh,,{C}\n',
        f"groupId,remark,phones\ng,x,{A} {B}\nh,y,{C}\n",
        f'{{"groupId": "g", "phones": ["{A}", "{B}"]}}\n\n{{"groupId": "h", "phones": "{C}"}}',
        f"""{{"groupId": "g", "phones": ["{A}"], "remark": "x"}}
             {{"groupId": "h", "phones": ["{C}"]}}
             {{"groupId": "g", "groupName": "n", "phones": ["{B}"]}}""",
    ],
)
def test_forms(folder: Path, content: str) -> None:
    """CSV however a spreadsheet writes it, one number or many a row, and NDJSON; what is said of a group on
    several lines is put together."""
    found = {group_id: numbers for (group_id, _), numbers in read(folder, content).items()}
    assert found == {"g": {A, B}, "h": {C}}


def test_groups_by_name(folder: Path) -> None:
    """Without an id the name counts, with whatever is in it."""
    content = f'groupId,groupName,phone\n,"Müller, ""VIP""",{A}\n,牛,{B}\n'
    assert read(folder, content) == {(None, 'Müller, "VIP"'): {A}, (None, "牛"): {B}}
    line = json.dumps({"groupName": 'Müller, "VIP"', "phones": [A]})
    assert read(folder, line) == {(None, 'Müller, "VIP"'): {A}}


def test_groups_without_numbers(folder: Path) -> None:
    """To empty a group is said by an empty cell or array."""
    assert read(folder, "groupId,phone\ng,\n") == {("g", ""): set()}
    assert read(folder, '{"groupId": "g", "phones": []}') == {("g", ""): set()}


@pytest.mark.parametrize(
    ("content", "lines", "why"),
    [
        (f"groupId,phone\ng,{A}\ng,+{A}\n", [3], "begins with +"),
        ("groupId,phone\ng,8.52111E+10\n", [2], "rounded by a spreadsheet"),
        (f"groupId,phone\n\ng,{A}55555\n", [3], "its number"),
        (f"groupId,phones\ng,{A} 0{B}\n", [2], "number 2"),
        (f"groupId,phones\ng,{A},{B}\n", [2], "3 cells"),
        (f"groupId,phone\n,{A}\n", [2], "neither groupId nor groupName"),
        (f"groupId,phone\na\x07b,{A}\n", [2], "printable"),
        (f"groupName,phone\n{'x' * 257},{A}\n", [2], "256"),
        (f"groupId,phone\ng\n,{A}\n", [2, 3], "cells"),
        (f'{{"groupId": "g", "phones": ["{A}"]}}\n{{"groupId": "g"', [2], "not JSON"),
        (f'{{"groupId": "g", "phones": [{A}]}}', [1], "array of strings"),
        (f'{{"groupId": "g", "phone": "{A}"}}', [1], "phones must be an array"),
        (f'{{"groupId": 7, "phones": "{A}"}}', [1], "groupId must be a string"),
        (f'{{"phones": "{A}"}}\n7', [1, 2], "not a JSON object"),
        (f'{{"groupId": "g", "phones": ["{A} {B}"]}}', [1], "its number"),
    ],
)
def test_bad_lines(folder: Path, content: str, lines: list[int], why: str) -> None:
    """Each is named, with what is wrong with it."""
    text = said(folder, content)
    assert [int(number) for number in re.findall(r"\n  line (\d+): ", text)] == lines
    assert why in text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file has no groups"),
        (b"groupId,phone\n", "the file has no groups"),
        (f"{A}\n{B}\n".encode(), "neither NDJSON nor CSV"),
        (f"g,{A}\n".encode(), "neither NDJSON nor CSV"),
        (b"groupId,phone,phones\n", "neither NDJSON nor CSV"),
        (b"groupId,groupId,phone\n", "two columns are called groupId"),
        (f'[{{"groupId": "g", "phones": ["{A}"]}}]'.encode(), "jq -c"),
        (b"groupId,phone\nM\xfcller,1\n", "line 2 is not UTF-8"),
        (f'groupId,phone\n"g"x,{A}\n'.encode(), "line 2 is not CSV"),
        (f'groupId,phone\n"g,{A}\n'.encode(), "not CSV"),
    ],
)
def test_bad_files(folder: Path, content: bytes, why: str) -> None:
    """What is wrong with all of it."""
    assert why in said(folder, content)


def test_many_bad_lines(folder: Path) -> None:
    """The first ten say enough."""
    text = said(folder, "groupId,phone\n" + "g,x\n" * 50_000)
    assert len(text.splitlines()) == 12


def test_no_file(folder: Path) -> None:
    """It is named, and why it cannot be read."""
    with pytest.raises(CommandError, match="nowhere: No such file or directory"):
        read_wanted(folder / "nowhere", IS_NUMBER)
    with pytest.raises(CommandError, match="Is a directory"):
        read_wanted(folder, IS_NUMBER)


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(str.strip)
groups = st.dictionaries(
    names.filter(lambda name: name != "" and unescaped(name) == name),
    st.sets(st.from_regex(PHONE.replace("$", r"\Z"), fullmatch=True)),
    min_size=1,
)


@given(groups)
def test_what_is_written_is_read(folder: Path, written: dict[str, set[str]]) -> None:
    """Whatever the names are: as CSV of both kinds, and as NDJSON."""
    expected = {(None, name): numbers for name, numbers in written.items()}
    rows = [(name, number) for name, numbers in written.items() for number in numbers or ("",)]
    assert read(folder, _csv("phone", rows)) == expected
    assert read(folder, _csv("phones", [(name, " ".join(written[name])) for name in written])) == expected
    lines = (json.dumps({"groupName": name, "phones": list(written[name])}) for name in written)
    assert read(folder, "\n".join(lines)) == expected


@given(st.lists(st.text(max_size=8), max_size=4))
def test_what_is_listed_is_read(folder: Path, names: list[str]) -> None:
    """Whatever the vendor's groups are called, line ends and quotes included."""
    listed = [Group(f"g-{place}", name, "", (f"852{place:08}",)) for place, name in enumerate(names, 1)]
    file = folder / "listed"
    file.write_bytes(b"".join(as_csv(listed)))
    if listed:
        found = read_wanted(file, re.compile(PHONE).fullmatch)
        assert [(one.group_id, one.numbers) for one in found] == [
            (group.group_id, {*group.numbers}) for group in listed
        ]


def _csv(column: str, rows: list[tuple[str, str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([("groupName", column), *rows])
    return out.getvalue()


@given(st.binary(max_size=200), st.sampled_from([b"", b"groupId,phone\n", b"{", b'{"groupId":"g","phones":']))
def test_anything(folder: Path, junk: bytes, start: bytes) -> None:
    """Whatever is in the file, it is read or refused."""
    (folder / "junk").write_bytes(start + junk)
    with suppress(CommandError):
        for one in read_wanted(folder / "junk", IS_NUMBER):
            assert one.group_id or one.name
            assert all(map(IS_NUMBER, one.numbers))
