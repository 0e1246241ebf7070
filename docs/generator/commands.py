"""The command line, from typer."""

import inspect
from collections.abc import Iterator
from typing import Any

from docs.generator.markup import code, escaped, table
from typer.main import get_command

from numbergroup.cli.app import app

_LEFT_OUT = {"--install-completion", "--show-completion", "--help"}


def page() -> str:
    """A section for each command, with its arguments and options."""
    return "\n".join(_section(path, command) for path, command in leaves())


def leaves() -> list[tuple[str, Any]]:
    """All commands that can be run, with their full names."""
    return list(_leaves("numbergroup", get_command(app)))


def _leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
    for name, one in (below or {}).items():
        yield from _leaves(f"{path} {name}", one)


def _section(path: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [
        one
        for one in command.params
        if one.param_type_name == "option" and not _LEFT_OUT.intersection(one.opts)
    ]
    usage = " ".join([path, *("[OPTIONS]" for _ in options[:1]), *map(_usage, arguments)])
    text = "\n\n".join(escaped(part) for part in inspect.cleandoc(command.help or "").split("\n\n"))
    rows = [*((code(one.metavar), escaped(one.help or "")) for one in arguments), *map(_option, options)]
    listed = f"\n{table(('', ''), rows)}" if rows else ""
    anchor = path.removeprefix("numbergroup ").replace(" ", "-")
    return f"### {code(path)} {{ #{anchor} }}\n\n```text\n{usage}\n```\n\n{text}\n{listed}"


def _usage(argument: Any) -> str:
    name = argument.metavar + ("…" if argument.nargs == -1 else "")
    return str(name if argument.required else f"[{name}]")


def _option(option: Any) -> tuple[str, str]:
    names = ", ".join([*option.opts, *option.secondary_opts])
    shown = f"{names} {option.metavar}" if option.metavar else names
    default = getattr(option.default, "value", option.default)
    is_shown = not isinstance(default, bool) and default not in (None, "")
    value = f"{default:g}" if isinstance(default, float) else str(default)
    return code(shown), escaped(option.help or "") + (f" Default: {code(value)}." if is_shown else "")
