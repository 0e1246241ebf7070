"""Finds the settings that the environment and files set, and explains unknown ones."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from numbergroup.settings.errors import PREFIX, Key, variable
from numbergroup.settings.model import Settings
from numbergroup.settings.vendors import account_keys


def find_variables(environ: Mapping[str, str], problems: list[str], file: str = "") -> dict[Key, str]:
    """Returns each known key that `environ` sets, with the name of the variable as written there.

    `file` is the environment file that `environ` comes from, if any. Unknown variables, and different values
    for one setting, are added to `problems`.
    """
    variables: dict[Key, str] = {}
    for name in sorted(n for n in environ if n.upper().startswith(PREFIX)):
        key = tuple(name[len(PREFIX) :].lower().split("__"))
        problem = explain_unknown_key(key, f"{name} in {file}" if file else name, variable)
        if problem is None and environ[variables.setdefault(key, name)] != environ[name]:
            problem = f"{variables[key]} and {name} are one setting and differ: unset one of them"
        if problem is not None:
            problems.append(problem)
    return variables


def list_keys(table: Mapping[str, Any]) -> Iterator[Key]:
    """Yields the keys that a TOML file sets. A value in place of a table is yielded as an unknown key."""
    for top, value in table.items():
        for name, account in value.items() if top == "accounts" and isinstance(value, dict) else ():
            yield from ((top, name, key) for key in account) if isinstance(account, dict) else [(top, name)]
        if top != "accounts" or not isinstance(value, dict):
            yield (top,)


def drop_key(table: dict[str, Any], key: Key) -> None:
    """Removes a key from the content of a TOML file."""
    *path, last = key
    for part in path:
        table = table[part]
    del table[last]


def explain_unknown_key(key: Key, written: str, write: Callable[..., str]) -> str | None:
    """Returns the error for an unknown key, with the most similar known one; None if the key is known.

    `write` returns the name of a key in the notation of its source.
    """
    name = key[1] if len(key) == 3 else "default"
    known: list[Key] = [(top,) for top in Settings.model_fields if top != "accounts"]
    known += [("accounts", name, field) for field in account_keys()]
    if key in known:
        return None
    candidates = {" ".join(k): write(*k) for k in known}
    nearest = candidates[difflib.get_close_matches(" ".join(key).lower(), candidates, 1, 0)[0]]
    links = re.search("_(PORT|SERVICE_HOST|SERVICE_PORT)", written)  # of a Service called numbergroup
    hint = " If Kubernetes set it, set enableServiceLinks to false." if links else ""
    return f"{written} is unknown: did you mean {nearest}?{hint}"
