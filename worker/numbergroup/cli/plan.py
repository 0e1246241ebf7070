"""`numbergroup plan`: the calls that commands would need, as the engine plans them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from numbergroup.cli.dry_run import PlannedCall, PlannedGroup, plan_groups
from numbergroup.cli.ndjson import read_commands
from numbergroup.cli.output import make_console, pluralize, print_json
from numbergroup.engine.calls import CallKind
from numbergroup.engine.commands import Command, HandleKind
from numbergroup.settings import load_settings
from numbergroup.text.escaping import escaped

_NUMBERS_SHOWN = 5


def run(file: Path, *, all_numbers: bool, as_json: bool) -> None:
    """Print the plan, with all numbers or only some of each call."""
    settings = load_settings()
    commands = read_commands(
        file,
        lambda line: {"id": str(line), "source": "line"},
        settings.max_message_bytes,
        spellings=settings.number_normalizers,
    )
    groups = plan_groups([command for _, command in commands], settings)
    if as_json:
        print_json(_as_json(groups))
    else:
        _print(groups, None if all_numbers else _NUMBERS_SHOWN)


def _describe_group(group: PlannedGroup) -> str:
    """Return the group's handle, or its only command if that has no handle."""
    names = {HandleKind.ID: group.ref.name, HandleKind.KEY: f"key {group.ref.name}"}
    return names.get(group.ref.kind, _describe_command(group.first))


def _print(groups: Sequence[PlannedGroup], numbers_shown: int | None) -> None:
    console = make_console()
    for group in groups:
        account = "" if group.ref.account == "default" else f" of account {escaped(group.ref.account)}"
        console.print(
            f"{escaped(_describe_group(group))}{account}: {pluralize(group.commands, 'command')}, "
            f"{pluralize(len(group.calls), 'call')}"
        )
        for planned in group.calls:
            _print_call(console, planned, numbers_shown)
        if group.repeats:
            console.print(f"  {pluralize(group.repeats, 'repeat')}, answered like the first")
        for rejected, message in group.rejected:
            console.print(f"  rejected: {escaped(_describe_command(rejected))}: {escaped(message)}")
    commands = sum(group.commands for group in groups)
    calls = sum(len(group.calls) for group in groups)
    console.print(
        f"{pluralize(commands, 'command')} would cost {pluralize(calls, 'call')}. Nothing was sent."
    )


def _print_call(console: Console, planned: PlannedCall, numbers_shown: int | None) -> None:
    count = len(planned.call.numbers)
    note = ", then a delete of whatever they are" if planned.call.kind is CallKind.READ_MEMBERS else ""
    numbers = f" {pluralize(count, 'number')}" if count else ""
    console.print(f"  {planned.call.kind.value}{numbers}{note}")
    shown = list(planned.deciders.items())[:numbers_shown]
    for number, command in shown:
        console.print(
            f"    {number}  by {escaped(_describe_command(command)) if command else 'the call before it'}"
        )
    if count > len(shown):
        console.print(f"    and {count - len(shown):,} more (--numbers shows all)")


def _describe_command(command: Command) -> str:
    """Return the command's source and id; for bare data these are `line` and its number."""
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
                        "numbers": {
                            number: _command_as_json(command) for number, command in planned.deciders.items()
                        },
                    }
                    for planned in group.calls
                ],
                "rejected": [
                    {"command": _command_as_json(command), "message": message}
                    for command, message in group.rejected
                ],
            }
            for group in groups
        ],
    }


def _command_as_json(command: Command | None) -> dict[str, str] | None:
    return {"source": command.key.source, "id": command.key.id} if command else None
