"""Explains which command of a script an ACL forbids: Redis names only the script and the line."""

import hashlib
import re

_LOCATION = re.compile(r"script: ([0-9a-f]{40}), on @user_script:([0-9]+)")
_COMMAND = re.compile(r"redis\.p?call\('([A-Z]+)'")
_scripts: dict[str, str] = {}


def register_text(script: str) -> None:
    """Keep the text of a script for `explain_error`; a process uses about twenty scripts."""
    _scripts[hashlib.sha1(script.encode()).hexdigest()] = script  # noqa: S324  # as Redis names it


def explain_error(message: str) -> str:
    """Return an error's message; if an ACL stopped a script, add the command that it forbids."""
    if "can't run this command" in message:
        return f"{message.strip()}: the ACL of this user forbids {_forbidden_command(message)}"
    if "can't access at least one of the keys" in message:
        return f"{message.strip()}: the ACL of this user forbids the keys of {_forbidden_command(message)}"
    return message


def _forbidden_command(message: str) -> str:
    location = _LOCATION.search(message)
    lines = _scripts.get(location[1], "").splitlines() if location else []
    line = lines[int(location[2]) - 1] if location and int(location[2]) <= len(lines) else ""
    commands = list(dict.fromkeys(_COMMAND.findall(line)))
    return " or ".join(commands) if commands else "a command of a script (see `numbergroup run --check`)"
