"""Reads the files of settings: TOML, the environment file, and files with one secret each."""

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

_MAX_BYTES = 2**20


def read_toml(file: str) -> dict[str, Any]:
    """Returns the content of a TOML file. Raises SettingsError if it is unreadable or invalid."""
    text = _text(file, variable("config"))
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise SettingsError(f"{file} must be TOML in UTF-8 but is not, correct it: {error}") from None
    except RecursionError:
        raise SettingsError(f"{file} has brackets nested far too deep, correct it") from None


def read_env_file(file: str) -> dict[str, str]:
    """Returns the variables of an environment file. Raises SettingsError if it is unreadable or invalid.

    The format is that of systemd and dotenv, without expansion of variables. If a variable is set several
    times, its last line counts.
    """
    text = _text(file, variable("env_file"))
    values: dict[str, str] = {}
    for line in parse_stream(io.StringIO(text)):
        if line.error or (line.key is not None and line.value is None):
            # The parser includes preceding empty lines in the text of a line.
            text = line.original.string
            number = line.original.line + text[: len(text) - len(text.lstrip())].count("\n")
            raise SettingsError(f"line {number} of {file} is not KEY=value: correct it")
        if line.key is not None and line.value is not None:
            values[line.key] = line.value
    return values


def read_secret_files(
    values: dict[str, Any], written: Mapping[Key, str], secret_keys: Collection[str], problems: list[str]
) -> dict[Key, str]:
    """Reads the accounts' secret files into `values`, and returns the keys, with their names for errors.

    `written` has the keys as they are written where they are set. `secret_keys` are the keys of an account
    that the file in `<key>_file` may set. A file that cannot be read is added to `problems`; its key is
    returned as well.
    """
    read_keys: dict[Key, str] = {}
    accounts = values.get("accounts")
    for name, account in accounts.items() if isinstance(accounts, dict) else ():
        for key in secret_keys:
            file, place = account.get(f"{key}_file"), ("accounts", name, key)
            # The model refuses values that are no path.
            if not isinstance(file, str) or not file.strip():
                continue
            where = written[*place[:2], f"{key}_file"]
            if key in account:
                problems.append(f"{written[place]} and {where} say the same thing: unset one of them")
                continue
            read_keys[place] = f"{where} ({file.strip()})"
            try:
                account[key] = _secret(file.strip(), where)
            except SettingsError as error:
                problems.append(str(error))
    return read_keys


def _secret(file: str, where: str) -> str:
    text = _text(file, where).strip()
    if not text:
        raise SettingsError(f"{where} names {file}, which is empty")
    if "\n" in text:
        raise SettingsError(f"{where} names {file}, which has several lines: it must hold the value only")
    return text


def _text(file: str, where: str) -> str:
    try:
        return text_of(read_regular_file(Path(file)))
    except UnreadableText as error:
        raise SettingsError(f"{where} names {file}, which cannot be read: {error}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no path"
        raise SettingsError(f"{where} names {file}, which cannot be read: {why}") from None


def read_regular_file(file: Path) -> bytes:
    """Returns the content of a regular file of at most 1 MiB. Follows links.

    It never blocks, because a thread that waits for a pipe cannot be stopped. Raises OSError, and ValueError
    if `file` is no valid path.
    """
    # The check comes before opening, which can affect a device and wakes a writer that waits for a pipe.
    _check(file.stat())
    opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check(os.fstat(opened))
        content = b""
        while more := os.read(opened, _MAX_BYTES):
            content += more
            if len(content) > _MAX_BYTES:
                raise OSError(errno.EFBIG, f"it has more than {_MAX_BYTES} bytes")
        return content
    finally:
        os.close(opened)


def _check(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
