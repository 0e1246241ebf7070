"""`numbergroup plan`: what commands would cost if they all waited, from the engine's own rules."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from numbergroup.bootstrap.accounts import policy_of
from numbergroup.cli.lines import read_commands
from numbergroup.cli.screen import counted, print_json, screen
from numbergroup.engine.accounts import AccountPolicy
from numbergroup.engine.admission import admit
from numbergroup.engine.known import Known
from numbergroup.engine.memory import Partition
from numbergroup.engine.merge import Change, Decision, batch_length, merge
from numbergroup.engine.messages import Facts
from numbergroup.engine.model import Call, CallKind, Command, CommandKind, GroupRef, HandleKind
from numbergroup.engine.plan import plan
from numbergroup.providers.nxcloud import CAPABILITIES
from numbergroup.settings import Settings, load_settings
from numbergroup.text.escaping import escaped

_NUMBERS_SHOWN = 5


@dataclass(slots=True, frozen=True)
class PlannedCall:
    """`deciders` has the command behind each number."""

    call: Call
    deciders: dict[str, Command | None]


@dataclass(slots=True)
class PlannedGroup:
    """`commands` counts all of the group's; of those, `repeats` came again, and `rejected` cannot be
    carried out."""

    name: str
    ref: GroupRef
    waiting: list[Command] = field(default_factory=list)
    commands: int = 0
    repeats: int = 0
    calls: list[PlannedCall] = field(default_factory=list)
    rejected: list[tuple[Command, str]] = field(default_factory=list)


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


def plan_groups(commands: Sequence[Command], settings: Settings) -> list[PlannedGroup]:
    """The plan of each group, in the order of their first commands."""
    policies = _policies(commands, settings)
    inbox = Partition()
    groups: dict[GroupRef, PlannedGroup] = {}
    for command in commands:
        group = groups.setdefault(command.group, PlannedGroup(_name(command), command.group))
        group.commands += 1
        verdict = admit(command, inbox, Facts(), policies)
        if verdict is not None:
            group.rejected.append((command, verdict.fault.message if verdict.fault else ""))
        elif command.key in inbox.commands:
            group.repeats += 1
        else:
            inbox.commands[command.key] = command
            inbox.take_sequence(command, Facts())
            group.waiting.append(command)
    for group in groups.values():
        if group.waiting:
            _plan_group(group, policies[group.ref.account])
    return list(groups.values())


def _policies(commands: Sequence[Command], settings: Settings) -> Mapping[str, AccountPolicy]:
    """Those of the configured accounts; before any is configured, every account is taken to be there."""
    policies = {name: policy_of(account, account.vendor()) for name, account in settings.accounts.items()}
    if policies:
        return policies
    anybody = AccountPolicy(CAPABILITIES.numbers_per_call, 1, CAPABILITIES.commands)
    return {command.group.account: anybody for command in commands}


def _plan_group(group: PlannedGroup, policy: AccountPolicy) -> None:
    """The calls of one group, batch by batch (a deletion of the group ends a batch)."""
    ref, rest = group.ref, list(group.waiting)
    exists = ref.kind is HandleKind.ID or rest[0].kind not in (CommandKind.CREATE, CommandKind.LIST)
    while rest:
        batch, rest = rest[: batch_length(rest)], rest[batch_length(rest) :]
        if batch[0].kind is CommandKind.LIST:
            listing = Call(CallKind.LIST, limit=batch[0].limit, offset=batch[0].offset)
            group.calls.append(PlannedCall(listing, {}))
            continue
        passed_over = {position for position, command in enumerate(batch) if _is_passed_over(command)}
        change = merge(batch, exists=exists, skip=passed_over)
        group_id = ref.name if exists else None
        for call in plan(change, batch, Known(), group_id=group_id, numbers_per_call=policy.numbers_per_call):
            group.calls.append(PlannedCall(call, {n: _decider(n, change, batch) for n in call.numbers}))
        for position, fault in change.refused.items():
            group.rejected.append((batch[position], fault.message))
        exists = (exists or change.create is not None) and change.delete is None


def _is_passed_over(command: Command) -> bool:
    """Whether it would change nothing: a later word of its source came before it, or it has expired."""
    return command.stale or (command.expires_at is not None and command.expires_at <= time.time())


def _decider(number: str, change: Change, batch: Sequence[Command]) -> Command | None:
    decision: Decision | None = change.decided.get(number)
    return batch[decision.by] if decision else None


def _name(command: Command) -> str:
    """The group of a command. Of those that have no handle, each is alone in its own."""
    names = {HandleKind.ID: command.group.name, HandleKind.KEY: f"key {command.group.name}"}
    return names.get(command.group.kind, _said(command))


def _print(groups: Sequence[PlannedGroup], numbers_shown: int | None) -> None:
    console = screen()
    for group in groups:
        account = "" if group.ref.account == "default" else f" of account {escaped(group.ref.account)}"
        console.print(
            f"{escaped(group.name)}{account}: {counted(group.commands, 'command')}, "
            f"{counted(len(group.calls), 'call')}"
        )
        for planned in group.calls:
            _print_call(console, planned, numbers_shown)
        if group.repeats:
            console.print(f"  {counted(group.repeats, 'repeat')}, answered like the first")
        for rejected, message in group.rejected:
            console.print(f"  rejected: {escaped(_said(rejected))}: {escaped(message)}")
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
        console.print(f"    {number}  by {escaped(_said(command)) if command else 'the call before it'}")
    if count > len(shown):
        console.print(f"    and {count - len(shown):,} more (--numbers shows all)")


def _said(command: Command) -> str:
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
