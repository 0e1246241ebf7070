"""`numbergroup plan`: what commands would cost if they all waited, from the engine's own rules."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from numbergroup.cli.dry_run import PlannedCall, PlannedGroup, plan_groups
from numbergroup.cli.ndjson import read_commands
from numbergroup.cli.screen import counted, print_json, screen
from numbergroup.engine.commands import CallKind, Command, HandleKind
from numbergroup.settings import load_settings
from numbergroup.text.escaping import escaped

_NUMBERS_SHOWN = 5


def run(file: Path, numbers: bool, as_json: bool) -> None:
    """Print the plan. A group whose key the file uses but does not create is taken to exist."""
    settings = load_settings()
    commands = read_commands(
        file,
        lambda line: {"id": str(line), "source": "line"},
        settings.max_message_bytes,
        spellings=settings.spellings,
    )
    groups = plan_groups([command for _, command in commands], settings)
    if as_json:
        print_json(_as_json(groups))
    else:
        _print(groups, None if numbers else _NUMBERS_SHOWN)


def _name(group: PlannedGroup) -> str:
    """The group's handle. A command without one is alone in its group, which goes by the command."""
    names = {HandleKind.ID: group.ref.name, HandleKind.KEY: f"key {group.ref.name}"}
    return names.get(group.ref.kind, _named(group.first))


def _print(groups: Sequence[PlannedGroup], numbers_shown: int | None) -> None:
    console = screen()
    for group in groups:
        account = "" if group.ref.account == "default" else f" of account {escaped(group.ref.account)}"
        console.print(
            f"{escaped(_name(group))}{account}: {counted(group.commands, 'command')}, "
            f"{counted(len(group.calls), 'call')}"
        )
        for planned in group.calls:
            _print_call(console, planned, numbers_shown)
        if group.repeats:
            console.print(f"  {counted(group.repeats, 'repeat')}, answered like the first")
        for rejected, message in group.rejected:
            console.print(f"  rejected: {escaped(_named(rejected))}: {escaped(message)}")
    commands = sum(group.commands for group in groups)
    calls = sum(len(group.calls) for group in groups)
    console.print(f"{counted(commands, 'command')} would cost {counted(calls, 'call')}. Nothing was sent.")


def _print_call(console: Console, planned: PlannedCall, numbers_shown: int | None) -> None:
    count = len(planned.call.numbers)
    note = ", then a delete of whatever they are" if planned.call.kind is CallKind.READ_MEMBERS else ""
    numbers = f" {counted(count, 'number')}" if count else ""
    console.print(f"  {planned.call.kind.value}{numbers}{note}")
    shown = list(planned.deciders.items())[:numbers_shown]
    for number, command in shown:
        console.print(f"    {number}  by {escaped(_named(command)) if command else 'the call before it'}")
    if count > len(shown):
        console.print(f"    and {count - len(shown):,} more (--numbers shows all)")


def _named(command: Command) -> str:
    """The command by its source and id, which for bare data are the line that it stood on."""
    return f"{command.key.source} {command.key.id}"


def _as_json(groups: Sequence[PlannedGroup]) -> dict[str, Any]:
    return {
        "commands": sum(group.commands for group in groups),
        "calls": sum(len(group.calls) for group in groups),
        "groups": [
            {
                "account": group.ref.account,
                "groupId": group.ref.name if group.ref.kind is HandleKind.ID else None,
                "groupKey": group.ref.name if group.ref.kind is HandleKind.KEY else None,
                "commands": group.commands,
                "calls": [
                    {
                        "operation": planned.call.kind.value,
                        "numbers": {number: _ref(command) for number, command in planned.deciders.items()},
                    }
                    for planned in group.calls
                ],
                "rejected": [
                    {"command": _ref(command), "message": message} for command, message in group.rejected
                ],
            }
            for group in groups
        ],
    }


def _ref(command: Command | None) -> dict[str, str] | None:
    return {"source": command.key.source, "id": command.key.id} if command else None
