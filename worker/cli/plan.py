"""`numbergroup plan`: what commands would cost if they all waited, from the engine's own rules."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from worker.cli.lines import read_commands
from worker.engine.merge import Change, Decision, batch_length, merge
from worker.engine.model import Call, CallKind, Command, CommandKind, GroupRef, HandleKind
from worker.engine.plan import Known, plan
from worker.settings import Settings, load_settings

_NUMBERS_SHOWN = 5
_DEFAULT_SIZE = 1_000


@dataclass(slots=True, frozen=True)
class PlannedCall:
    """`deciders` has the command behind each number."""

    call: Call
    deciders: dict[str, Command | None]


@dataclass(slots=True, frozen=True)
class PlannedGroup:
    ref: GroupRef
    commands: int
    calls: list[PlannedCall]
    rejected: list[tuple[Command, str]]


def run(file: Path, numbers: bool, as_json: bool) -> None:
    """Print the plan. A group whose key the file uses but does not create is taken to exist."""
    settings = load_settings()
    mailboxes: dict[GroupRef, list[Command]] = {}
    for _, command in read_commands(file, "plan", None):
        mailboxes.setdefault(command.group, []).append(command)
    groups = [plan_group(ref, commands, _size(settings, ref)) for ref, commands in mailboxes.items()]
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(_as_json(groups)) + b"\n")
    else:
        _print(groups, None if numbers else _NUMBERS_SHOWN)


def plan_group(ref: GroupRef, commands: Sequence[Command], size: int) -> PlannedGroup:
    """The calls of one group, batch by batch (a deletion of the group ends a batch)."""
    exists = ref.kind is HandleKind.ID or commands[0].kind not in (CommandKind.CREATE, CommandKind.LIST)
    calls: list[PlannedCall] = []
    rejected: list[tuple[Command, str]] = []
    rest = list(commands)
    while rest:
        batch, rest = rest[: batch_length(rest)], rest[batch_length(rest) :]
        if batch[0].kind is CommandKind.LIST:
            calls.append(PlannedCall(Call(CallKind.LIST, limit=batch[0].limit, offset=batch[0].offset), {}))
            continue
        change = merge(batch, exists=exists)
        group_id = ref.name if exists else None
        for call in plan(change, batch, Known(), group_id=group_id, numbers_per_call=size):
            calls.append(PlannedCall(call, {n: _decider(n, change, batch) for n in call.numbers}))
        rejected += [(batch[position], fault.message) for position, fault in change.refused.items()]
        exists = (exists or change.create is not None) and change.delete is None
    return PlannedGroup(ref, len(commands), calls, rejected)


def _decider(number: str, change: Change, batch: Sequence[Command]) -> Command | None:
    decision: Decision | None = change.decided.get(number)
    return batch[decision.by] if decision else None


def _size(settings: Settings, ref: GroupRef) -> int:
    account = settings.accounts.get(ref.account)
    return account.numbers_per_call if account else _DEFAULT_SIZE


def _name(ref: GroupRef) -> str:
    return {HandleKind.ID: ref.name, HandleKind.KEY: f"key {ref.name}"}.get(ref.kind, "(no handle)")


def _print(groups: Sequence[PlannedGroup], numbers_shown: int | None) -> None:
    console = Console(highlight=False, markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title, justify in (("account", "left"), ("group", "left"), ("commands", "right"), ("calls", "right")):
        table.add_column(title, justify="left" if justify == "left" else "right")
    for group in groups:
        table.add_row(group.ref.account, _name(group.ref), str(group.commands), str(len(group.calls)))
    console.print(table)
    for group in groups:
        console.print(f"\n{_name(group.ref)}")
        for planned in group.calls:
            count = len(planned.call.numbers)
            console.print(f"  {planned.call.kind.value}" + (f" {count} numbers" if count else ""))
            shown = list(planned.deciders.items())[:numbers_shown]
            for number, command in shown:
                by = f"{command.key.source} {command.key.id}" if command else "the call before it"
                console.print(f"    {number}  decided by {by}", soft_wrap=True)
            if count > len(shown):
                console.print(f"    and {count - len(shown)} more (--numbers shows all)")
        for rejected, message in group.rejected:
            console.print(f"  rejected: {rejected.key.source} {rejected.key.id}: {message}", soft_wrap=True)
    commands = sum(group.commands for group in groups)
    calls = sum(len(group.calls) for group in groups)
    console.print(
        f"\n{commands} commands in {len(groups)} groups would cost {calls} calls "
        f"({commands - calls} fewer than one call each). Nothing was sent."
    )


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
