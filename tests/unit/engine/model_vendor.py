"""A vendor in memory, and what its groups are compared with: the same commands one by one."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from numbergroup.engine.calls import Applied, Call, CallKind, Group, Refused
from numbergroup.engine.commands import Command, CommandKind, GroupRef, HandleKind

Members = dict[str, float | None]
"""Who is in a group, and when they leave it."""


@dataclass
class ModelGroup:
    name: str
    remark: str
    members: Members

    @property
    def numbers(self) -> set[str]:
        return set(self.members)


@dataclass
class ModelVendor:
    """Takes at most `cap` numbers a call, and refuses a call that names a number of `poison` whole.

    It is strict: updates of an unknown group, and its deletion, are refused. Numbers that it `rejects` come
    into no group. What it was said not to be able to do it must not be asked for.
    """

    cap: int = 1000
    poison: Collection[str] = ()
    rejects: Collection[str] = ()
    replaces: bool = True
    lists: bool = True
    groups: dict[str, ModelGroup] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def put(self, group_id: str, numbers: Iterable[str]) -> None:
        self.groups[group_id] = ModelGroup(group_id, "", dict.fromkeys(numbers))

    def members(self, group_id: str) -> set[str]:
        return self.groups[group_id].numbers

    def carry_out(self, call: Call) -> Applied | Refused:
        """Apply the call, at once and whole. Requests are named r1, r2, …"""
        self.calls.append(call)
        request = f"r{len(self.calls)}"
        assert self.replaces or call.kind is not CallKind.REPLACE
        if call.kind in (CallKind.LIST, CallKind.FIND_CREATED, CallKind.READ_MEMBERS):
            assert self.lists
            return Applied(request, groups=self._listed(), total=len(self.groups))
        assert len(call.numbers) <= self.cap, "more numbers than a call may have"
        if not set(call.numbers).isdisjoint(self.poison):
            return Refused("1002", "parameter error", request)
        if call.kind is CallKind.CREATE:
            return self._create(call, request)
        assert call.group_id is not None
        group = self.groups.get(call.group_id)
        if group is None:
            return Refused("1002", "group does not exist", request)
        if call.kind is CallKind.DELETE_GROUP:
            del self.groups[call.group_id]
            return Applied(request)
        if call.kind is CallKind.RENAME:
            group.name = group.name if call.group_name is None else call.group_name
            group.remark = group.remark if call.remark is None else call.remark
            return Applied(request)
        assert call.numbers, "the vendor requires phones"
        group.members = changed(group.members, call, self.rejects)
        return Applied(request, rejected=self._left_out(call))

    def _create(self, call: Call, request: str) -> Applied:
        assert call.numbers, "the vendor requires phones"
        group_id = f"made-by-{request}"
        members = changed({}, call, self.rejects)
        self.groups[group_id] = ModelGroup(call.group_name or group_id, call.remark or "", members)
        return Applied(request, group_id, rejected=self._left_out(call))

    def _left_out(self, call: Call) -> tuple[str, ...]:
        if call.kind is CallKind.DELETE:
            return ()
        return tuple(number for number in call.numbers if number in self.rejects)

    def _listed(self) -> tuple[Group, ...]:
        return tuple(
            Group(group_id, group.name, group.remark, tuple(sorted(group.numbers)))
            for group_id, group in self.groups.items()
        )


def changed(members: Mapping[str, float | None], call: Call, rejects: Collection[str] = ()) -> Members:
    """What an update makes of the members, of a vendor that `rejects` some numbers."""
    if call.kind is CallKind.DELETE:
        return {number: expiry for number, expiry in members.items() if number not in call.numbers}
    kept = members if call.kind is CallKind.ADD else {}
    return {**kept, **{number: call.expires_at for number in call.numbers if number not in rejects}}


@dataclass
class OneByOne:
    """Every command applied alone, in order: the final groups that merging must give as well."""

    members: dict[GroupRef, Members] = field(default_factory=dict)
    rejects: Collection[str] = ()
    texts: dict[GroupRef, tuple[str | None, str]] = field(default_factory=dict)
    """By group, its name and its remark; `None` where it has its id for a name."""

    @property
    def groups(self) -> dict[GroupRef, set[str]]:
        return {ref: set(members) for ref, members in self.members.items()}

    def apply(self, command: Command) -> bool:
        """False when the command cannot apply: no such group, or one that exists already."""
        members = self.members.get(command.group)
        taken = {n: command.number_expiry for n in command.numbers if n not in self.rejects}
        match command.kind:
            case CommandKind.CREATE:
                if members is not None:
                    return False
                self.members[command.group] = taken
                self.texts[command.group] = command.group_name or None, command.remark or ""
            case CommandKind.LIST:
                pass
            case _ if members is None:
                return False
            case CommandKind.RENAME:
                name, remark = self.texts.get(command.group, (None, ""))
                texts = command.group_name, command.remark
                self.texts[command.group] = (
                    name if texts[0] is None else texts[0],
                    remark if texts[1] is None else texts[1],
                )
            case CommandKind.DELETE_GROUP:
                del self.members[command.group]
                self.texts.pop(command.group, None)
            case CommandKind.REPLACE:
                self.members[command.group] = taken
            case CommandKind.ADD:
                members.update(taken)
            case CommandKind.DELETE:
                self.members[command.group] = {n: e for n, e in members.items() if n not in command.numbers}
        return True

    def apply_all(self, commands: Iterable[Command]) -> list[bool]:
        return [self.apply(command) for command in commands]

    @classmethod
    def starting_with(cls, ref: GroupRef, numbers: Iterable[str] | None) -> "OneByOne":
        assert ref.kind is not HandleKind.OWN
        return cls({} if numbers is None else {ref: dict.fromkeys(numbers)})
