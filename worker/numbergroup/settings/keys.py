"""Which settings there are, and which of them the environment and a file set."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from numbergroup.settings.errors import PREFIX, Key, variable
from numbergroup.settings.model import Settings
from numbergroup.settings.vendors import account_keys


def variables(environ: Mapping[str, str], problems: list[str], file: str = "") -> dict[Key, str]:
    """Each known key that the environment (or a file of its kind) sets, and the variable as written there.

    What is unknown, and what is set twice and differs, is added to `problems`.
    """
    found: dict[Key, str] = {}
    for name in sorted(n for n in environ if n.upper().startswith(PREFIX)):
        key = tuple(name[len(PREFIX) :].lower().split("__"))
        problem = unknown(key, f"{name} in {file}" if file else name, variable)
        if problem is None and environ[found.setdefault(key, name)] != environ[name]:
            problem = f"{found[key]} and {name} are one setting and differ: unset one of them"
        if problem is not None:
            problems.append(problem)
    return found


def keys(table: Mapping[str, Any]) -> Iterator[Key]:
    """The keys that a file sets. What is no table where one belongs comes out as a key that is unknown."""
    for top, value in table.items():
        for name, account in value.items() if top == "accounts" and isinstance(value, dict) else ():
            yield from ((top, name, key) for key in account) if isinstance(account, dict) else [(top, name)]
        if top != "accounts" or not isinstance(value, dict):
            yield (top,)


def drop(table: dict[str, Any], key: Key) -> None:
    """Remove one of the keys that a file sets."""
    *path, last = key
    for part in path:
        table = table[part]
    del table[last]


def unknown(key: Key, written: str, write: Callable[..., str]) -> str | None:
    """What to say of a key that there is not, with the nearest one as `write` writes it; None if there is."""
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
