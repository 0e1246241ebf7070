"""The files that settings come from: TOML, an environment file, and files that hold one secret each."""

import errno
import io
import os
import stat
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from numbergroup.settings.errors import Key, SettingsError, variable
from numbergroup.text.reading import UnreadableText, text_of

_MOST_BYTES = 2**20


def read_toml(file: str) -> dict[str, Any]:
    """Raises SettingsError."""
    text = _text(file, variable("config"))
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise SettingsError(f"{file} must be TOML in UTF-8 but is not, correct it: {error}") from None
    except RecursionError:
        raise SettingsError(f"{file} has brackets nested far too deep, correct it") from None


def read_env_file(file: str) -> dict[str, str]:
    """The variables of a file as systemd and dotenv have it; nothing in it is expanded. Raises SettingsError.

    The last of several lines about one variable counts, as it does there.
    """
    text = _text(file, variable("env_file"))
    values: dict[str, str] = {}
    for line in parse_stream(io.StringIO(text)):
        if line.error or (line.key is not None and line.value is None):
            # Empty lines before it are taken for a part of it.
            said = line.original.string
            number = line.original.line + said[: len(said) - len(said.lstrip())].count("\n")
            raise SettingsError(f"line {number} of {file} is not KEY=value: correct it")
        if line.key is not None and line.value is not None:
            values[line.key] = line.value
    return values


def fill_in(
    values: dict[str, Any], written: Mapping[Key, str], of_files: Collection[str], problems: list[str]
) -> dict[Key, str]:
    """Put what is in the accounts' files in its place; the places, and how to name them in an error.

    `written` is how the keys are written where they are set, `of_files` which of an account's keys may be in
    the file that `<key>_file` names. A file that cannot be used is added to `problems`, and its place is
    among those that are returned.
    """
    filled: dict[Key, str] = {}
    accounts = values.get("accounts")
    for name, account in accounts.items() if isinstance(accounts, dict) else ():
        for key in of_files:
            file, place = account.get(f"{key}_file"), ("accounts", name, key)
            # What is no path is the model's to refuse.
            if not isinstance(file, str) or not file.strip():
                continue
            where = written[*place[:2], f"{key}_file"]
            if key in account:
                problems.append(f"{written[place]} and {where} say the same thing: unset one of them")
                continue
            filled[place] = f"{where} ({file.strip()})"
            try:
                account[key] = _secret(file.strip(), where)
            except SettingsError as error:
                problems.append(str(error))
    return filled


def _secret(file: str, where: str) -> str:
    text = _text(file, where).strip()
    if not text:
        raise SettingsError(f"{where} names {file}, which is empty")
    if "\n" in text:
        raise SettingsError(f"{where} names {file}, which has several lines: it must hold the value only")
    return text


def _text(file: str, where: str) -> str:
    try:
        return text_of(content_of(Path(file)))
    except UnreadableText as error:
        raise SettingsError(f"{where} names {file}, which cannot be read: {error}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no path"
        raise SettingsError(f"{where} names {file}, which cannot be read: {why}") from None


def content_of(file: Path) -> bytes:
    """What is in a regular file of at most a megabyte, or in the one that links lead to.

    Never waits for anybody who writes: a thread that waits for a pipe cannot be stopped. Raises OSError,
    and ValueError for what is no path.
    """
    # Opening alone can do something to a device, and wakes who waits to write into a pipe.
    _check(file.stat())
    opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check(os.fstat(opened))
        content = b""
        while more := os.read(opened, _MOST_BYTES):
            content += more
            if len(content) > _MOST_BYTES:
                raise OSError(errno.EFBIG, f"it has more than {_MOST_BYTES} bytes")
        return content
    finally:
        os.close(opened)


def _check(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
