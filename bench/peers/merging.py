"""The merge that a user of a library with batches writes by hand: of each group's commands, the calls that
give the same final group."""

from collections.abc import Iterable

from bench.peers.task import Command, Kind


def merged(commands: Iterable[Command]) -> list[tuple[Kind, tuple[str, ...]]]:
    """Of one group's commands in order, the one or two calls that do the same: each number's last operation
    counts; from a `replace` on, all is known."""
    replaced = False
    last: dict[str, Kind] = {}
    for command in commands:
        if command.kind == "replace":
            replaced = True
            last = dict.fromkeys(command.phones, "add")
        else:
            last.update(dict.fromkeys(command.phones, command.kind))
    added = tuple(phone for phone, kind in last.items() if kind == "add")
    if replaced:
        return [("replace", added)]
    deleted = tuple(phone for phone, kind in last.items() if kind == "delete")
    calls: list[tuple[Kind, tuple[str, ...]]] = [("add", added), ("delete", deleted)]
    return [call for call in calls if call[1]]


def by_group(commands: Iterable[Command]) -> dict[str, list[Command]]:
    """The commands of each group, in order."""
    groups: dict[str, list[Command]] = {}
    for command in commands:
        groups.setdefault(command.group, []).append(command)
    return groups
