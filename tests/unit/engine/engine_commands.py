"""Commands for the engine's tests, in few words. Numbers are letters: the engine does not care."""

import itertools
from collections.abc import Iterable
from typing import Any

from numbergroup.engine.commands import Command, CommandKey, CommandKind, Entry, GroupRef, HandleKind, Origin

BY_ID = GroupRef("default", HandleKind.ID, "g-1")
BY_KEY = GroupRef("default", HandleKind.KEY, "k-1")

_tags = itertools.count(1)


def command(
    kind: CommandKind,
    name: str,
    numbers: Iterable[str] = (),
    group: GroupRef = BY_ID,
    *,
    expires_at: float | None = None,
    group_name: str | None = None,
    remark: str | None = None,
    number_expiry: float | None = None,
) -> Command:
    """A command that came alone in a message of its own; its name is its id."""
    origin = Origin(Entry(0, f"{next(_tags)}-0", b"{}"), 0)
    key = CommandKey("test", name)
    said = repr((int(kind), group, tuple(numbers), group_name, remark, number_expiry))
    return Command(
        key,
        "numbergroup.test.v1",
        kind,
        group,
        tuple(numbers),
        said,
        [origin],
        expires_at,
        number_expiry,
        group_name=group_name,
        remark=remark,
    )


def add(name: str, numbers: Iterable[str], group: GroupRef = BY_ID, **more: Any) -> Command:
    return command(CommandKind.ADD, name, numbers, group, **more)


def delete(name: str, numbers: Iterable[str], group: GroupRef = BY_ID, **more: Any) -> Command:
    return command(CommandKind.DELETE, name, numbers, group, **more)


def replace(name: str, numbers: Iterable[str], group: GroupRef = BY_ID, **more: Any) -> Command:
    return command(CommandKind.REPLACE, name, numbers, group, **more)


def create(name: str, numbers: Iterable[str], group: GroupRef = BY_KEY, **more: Any) -> Command:
    return command(CommandKind.CREATE, name, numbers, group, **more)


def delete_group(name: str, group: GroupRef = BY_ID, **more: Any) -> Command:
    return command(CommandKind.DELETE_GROUP, name, (), group, **more)


def rename(name: str, group_name: str | None = None, remark: str | None = None, **more: Any) -> Command:
    return command(CommandKind.RENAME, name, (), group_name=group_name, remark=remark, **more)


def listing(name: str, **more: Any) -> Command:
    return command(CommandKind.LIST, name, (), GroupRef("default", HandleKind.OWN, name), **more)
