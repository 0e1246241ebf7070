"""What commands come to when they are carried out one by one, and what they cost at least."""

from collections.abc import Collection
from typing import Any

from numbergroup.engine.commands import Command, CommandKind, GroupRef, SequenceKey
from numbergroup.engine.records import sequence_key


def is_stale(command: Command, latest: dict[SequenceKey, int]) -> bool:
    """Whether its source has said something later on the group before; takes in what it says."""
    key = sequence_key(command)
    if key is None or command.sequence is None:
        return False
    if command.sequence < latest.get(key, command.sequence):
        return True
    latest[key] = command.sequence
    return False


def is_conflict(reply: Any) -> bool:
    """Whether it is the answer to another command under a known id, of which nothing is remembered."""
    return bool(reply["data"]["status"] == "rejected" and reply["data"]["error"]["kind"] == "conflict")


Texts = tuple[str | None, str]
"""A group's name and its remark; `None` where it has its id for a name."""


def name_group(model: dict[GroupRef, Texts], command: Command) -> None:
    """Take in what a command that can apply makes of its group's texts."""
    if command.kind is CommandKind.CREATE:
        model[command.group] = command.group_name or None, command.remark or ""
    elif command.kind is CommandKind.DELETE_GROUP:
        model.pop(command.group, None)
    elif command.kind is CommandKind.RENAME:
        label, remark = model.get(command.group, (None, ""))
        label = label if command.group_name is None else command.group_name
        model[command.group] = label, remark if command.remark is None else command.remark


def ends_full(commands: list[Command]) -> bool:
    """Whether the group has a member at the end: an empty one is said in two calls."""
    members: dict[GroupRef, dict[str, None]] = {command.group: {} for command in commands}
    for command in commands:
        apply(members, command)
    return any(members.values())


def fewest(commands: list[Command], size: int) -> int:
    """How many calls the group costs when all its commands wait, and none is an empty replace."""
    present: dict[str, bool] = {}
    based = False
    for command in commands:
        if command.kind is CommandKind.REPLACE:
            present, based = {}, True
        present.update(dict.fromkeys(command.numbers, command.kind is not CommandKind.DELETE))
    wanted = -(-sum(present.values()) // size)
    return wanted if based else wanted + -(-(len(present) - sum(present.values())) // size)


def apply(model: dict[GroupRef, dict[str, None]], command: Command, rejects: Collection[str] = ()) -> bool:
    """False when the command cannot apply: no such group, or one that is there already."""
    members, numbers = model.get(command.group), dict.fromkeys(command.numbers)
    if command.kind is not CommandKind.DELETE:
        numbers = {number: None for number in numbers if number not in rejects}
    if command.kind is CommandKind.CREATE:
        if members is None:
            model[command.group] = numbers
        return members is None
    if members is None:
        return False
    if command.kind is CommandKind.DELETE_GROUP:
        del model[command.group]
    elif command.kind is CommandKind.REPLACE:
        model[command.group] = numbers
    elif command.kind is CommandKind.ADD:
        members.update(numbers)
    elif command.kind is CommandKind.DELETE:
        for number in numbers:
            members.pop(number, None)
    return True
