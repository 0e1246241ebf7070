"""Text files as programs save them: each is read, or refused in one plain sentence."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbergroup.cli.dead_letters.importing import check_file
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import RereadableFile, read_text
from numbergroup.cli.groups.wanted import read_wanted
from numbergroup.cli.ndjson import read_commands
from numbergroup.settings import SettingsError, load_settings
from numbergroup.text.reading import UnreadableText, lines_of, text_of

SECRET = "s3cret-of-the-account"
PREFIX = "NUMBERGROUP_ACCOUNTS__DEFAULT__"
ACCOUNT = {f"{PREFIX}ACCESS_KEY": "key", f"{PREFIX}ACCESS_SECRET": SECRET}

SAVED_AS = {
    "UTF-8": "utf-8",
    "UTF-8 with a byte order mark": "utf-8-sig",
    "UTF-16 with a byte order mark": "utf-16",
    "UTF-16 LE": "utf-16-le",
    "UTF-16 BE": "utf-16-be",
    "UTF-32 with a byte order mark": "utf-32",
    "UTF-32 LE": "utf-32-le",
    "UTF-32 BE": "utf-32-be",
}
ENDS = {"LF": "\n", "CRLF": "\r\n", "a lone CR": "\r"}
REFUSED = {
    "NUL": (b"%s\n\0\n", "has a NUL character"),
    "invalid UTF-8": (b"%s\n\xff\xfe\xfd\n", "is not UTF-8"),
    "Latin-1": (b"%s\nM\xfcller\n", "is not UTF-8"),
    "GB 18030": (b"%s\n\xb7\xd6\xd7\xe9\n", "is not UTF-8"),
    "gzip": (b"\x1f\x8b\x08\x00%s", "it is compressed with gzip"),
    "zstd": (b"\x28\xb5\x2f\xfd%s", "it is compressed with zstd"),
    "xz": (b"\xfd7zXZ\x00%s", "it is compressed with xz"),
    "bzip2": (b"BZh91AY%s", "it is compressed with bzip2"),
    "a spreadsheet": (b"PK\x03\x04%s", "it is a zip archive or a spreadsheet"),
    "half of UTF-16": (b"\xff\xfe{\x00}", "it looks like UTF-16, but is not"),
}

UPDATE = {"groupId": "g-1", "operateType": "add", "phones": ["85211111114"], "groupName": "Größe"}
LETTER = {"id": "0-1-0", "partition": 0, "letter": {"time": "ü"}, "body": "{}", "order": "1"}


def event(group: str) -> object:
    head = {"specversion": "1.0", "id": "c-ä", "source": "crm", "type": "numbergroup.delete.v1"}
    return {**head, "data": {"groupId": group}}


Reads = Callable[[Path], object]


def commands(file: Path) -> object:
    return [body for body, _ in read_commands(file, lambda _: {"id": "c", "source": "s"}, 2**20)]


def wanted(file: Path) -> object:
    return [(one.name, one.numbers) for one in read_wanted(file, str.isdigit)]


def letters(file: Path) -> object:
    with RereadableFile(file) as content:
        check_file(file, content)
        return [json.loads(line) for _, line in content.lines()]


def edited(file: Path) -> object:
    return json.loads(read_text(file))


def toml(file: Path) -> object:
    return load_settings({"NUMBERGROUP_CONFIG": str(file)}).accounts["default"].credentials


def variables(file: Path) -> object:
    return load_settings({"NUMBERGROUP_ENV_FILE": str(file)}).accounts["default"].credentials


def secret(file: Path) -> object:
    files = {f"{PREFIX}ACCESS_KEY": "key", f"{PREFIX}ACCESS_SECRET_FILE": str(file)}
    return load_settings(files).accounts["default"].credentials


READ_BY: dict[str, tuple[Reads, list[str]]] = {
    "publish, plan": (
        commands,
        [json.dumps(event(name), ensure_ascii=False) for name in "ab"],
    ),
    "groups diff, CSV": (wanted, ["groupName,phone", "Größe,85211111114", '"a ""b""",85211111115']),
    "groups diff, NDJSON": (wanted, [json.dumps({"groupName": n, "phones": ["1234567"]}) for n in "ab"]),
    "dead-letters import": (letters, [json.dumps(LETTER, ensure_ascii=False)] * 2),
    "dead-letters edit": (edited, json.dumps(UPDATE, indent=1, ensure_ascii=False).split("\n")),
    "the TOML file": (
        toml,
        ["# größe", "[accounts.default]", "access_key = 'key'", f"access_secret = '{SECRET}'"],
    ),
    "the environment file": (variables, ["# größe", *(f"{name}={value}" for name, value in ACCOUNT.items())]),
    "a secret": (secret, [SECRET]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


@pytest.mark.parametrize("reader", READ_BY)
def test_however_it_was_saved(folder: Path, reader: str) -> None:
    """What stands in a file does not depend on its encoding, or on how its lines end."""
    read, lines = READ_BY[reader]
    file = folder / "file"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    expected = read(file)
    for encoding in SAVED_AS.values():
        for end in ENDS.values():
            file.write_bytes((end.join(lines) + end).encode(encoding))
            assert read(file) == expected, (encoding, end)


@pytest.mark.parametrize("reader", READ_BY)
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_text(folder: Path, reader: str, what: str) -> None:
    """It is refused in one sentence that names the file and says what to do, and quotes nothing of it."""
    read, lines = READ_BY[reader]
    content, why = REFUSED[what]
    file = folder / "file"
    file.write_bytes(content.replace(b"%s", "\n".join(lines).encode()))
    with pytest.raises((CommandError, SettingsError)) as refused:
        read(file)
    message = str(refused.value)
    assert str(file) in message
    assert why in message
    assert "\n" not in message
    assert not any(hidden in message for hidden in (SECRET, "85211111114", "g-1"))


@pytest.mark.parametrize("read", [commands, wanted, letters])
def test_standard_input(
    folder: Path, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as files are."""
    lines = next(lines for one, lines in READ_BY.values() if one is read)
    file = folder / "file"
    file.write_text("\n".join(lines), "utf-8")
    given_bytes = "\r\n".join(lines).encode("utf-16")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given_bytes)))
    assert read(Path("-")) == read(file)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x1f\x8b\x08")))
    with pytest.raises(CommandError, match=r"^standard input: it is compressed with gzip"):
        read(Path("-"))


def test_files_put_together() -> None:
    """Each may have brought its own byte order mark."""
    content = b"".join(f"{text}\n".encode("utf-8-sig") for text in ("one", "two"))
    assert [line for _, line in lines_of(io.BytesIO(content))] == ["one\n", "two\n"]


def test_a_secret_of_several_lines(folder: Path) -> None:
    """A file that holds more than the secret is refused, before a vendor sees half of it."""
    file = folder / "secret"
    file.write_text(f"{SECRET}\nand more\n")
    with pytest.raises(SettingsError, match="which has several lines") as refused:
        secret(file)
    assert SECRET not in str(refused.value)


class Endless(io.RawIOBase):
    """The same two bytes again and again."""

    def __init__(self, two: bytes) -> None:
        self._two = two

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        buffer[:] = self._two * (len(buffer) // 2) + self._two[: len(buffer) % 2]
        return len(buffer)


def test_lines_are_read_as_they_are_asked_for() -> None:
    """A file larger than memory costs no more than its longest line."""
    lines = lines_of(io.BufferedReader(Endless(b"x\n")))
    assert [next(lines) for _ in range(3)] == [(1, "x\n"), (2, "x\n"), (3, "x\n")]


def test_a_line_without_an_end() -> None:
    """No more of it is read than a line may have."""
    with pytest.raises(UnreadableText, match=r"^line 1 has more than 1,000 characters$"):
        list(lines_of(io.BufferedReader(Endless(b"xx")), longest=1_000))
    exactly = "x" * 999 + "\n"
    assert list(lines_of(io.BytesIO(exactly.encode() * 2), longest=1_000)) == [(1, exactly), (2, exactly)]


@pytest.mark.parametrize("read", [commands, wanted, letters])
@pytest.mark.parametrize("two", [b"x\n", b"[\n"])
def test_bad_lines_without_an_end(
    read: Callable[[Path], object], two: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some of them nothing more is read, from whatever program they come."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless(two))))
    with pytest.raises(CommandError, match=r"^standard input: "):
        read(Path("-"))


def test_what_is_said_of_many_bad_lines(folder: Path) -> None:
    """The first ones are named, and that there are more."""
    file = folder / "bad"
    file.write_text("x\n" * 50)
    with pytest.raises(CommandError, match=r"\n  line 10: .*\n  and 40 more$"):
        commands(file)
    file.write_text("x\n" * 500)
    with pytest.raises(CommandError, match=r"\n  and 90 more; the rest was not read$"):
        commands(file)
    document = [json.loads(READ_BY["publish, plan"][1][0])] * 100
    file.write_text(json.dumps(document, indent=1))
    with pytest.raises(CommandError, match="one JSON document over several lines"):
        commands(file)


def test_a_pipe_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was read to its end before or not."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n" * 10_000)))
    with RereadableFile(Path("-")) as content:
        assert next(content.lines()) == (1, "one\n")
        first, again = list(content.lines()), list(content.lines())
        assert first == again
        assert len(first) == 20_000


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_anything(content: bytes) -> None:
    """Whatever is in a file, it is text without NUL and lone surrogates, or refused."""
    with suppress(UnreadableText):
        text = text_of(content)
        text.encode()
        assert "\0" not in text
        assert "\r" not in text


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufeff"), min_size=1))
def test_any_text_in_utf8(text: str) -> None:
    """Whatever its characters are, none is taken for another encoding."""
    if not text.encode().startswith((b"BZh", b"%PDF-", b"PK\x03\x04")):
        assert text_of(text.encode()) == text
