"""A vendor in memory, and what its groups are compared with: the same commands one by one."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from worker.engine.model import (
    Applied,
    Call,
    CallKind,
    Command,
    CommandKind,
    Group,
    GroupRef,
    HandleKind,
    Refused,
)


@dataclass
class ModelGroup:
    name: str
    remark: str
    numbers: set[str]


@dataclass
class ModelVendor:
    """Takes at most `cap` numbers a call, and refuses a call that names a number of `poison` whole.

    It is strict: updates of an unknown group, and its deletion, are refused.
    """

    cap: int = 1000
    poison: Collection[str] = ()
    groups: dict[str, ModelGroup] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def put(self, group_id: str, numbers: Iterable[str]) -> None:
        self.groups[group_id] = ModelGroup(group_id, "", set(numbers))

    def members(self, group_id: str) -> set[str]:
        return self.groups[group_id].numbers

    def carry_out(self, call: Call) -> Applied | Refused:
        """Apply the call, at once and whole. Requests are named r1, r2, …"""
        self.calls.append(call)
        request = f"r{len(self.calls)}"
        if call.kind in (CallKind.LIST, CallKind.FIND_CREATED, CallKind.READ_MEMBERS):
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
        assert call.numbers, "the vendor requires phones"
        group.numbers = changed(group.numbers, call)
        return Applied(request)

    def _create(self, call: Call, request: str) -> Applied:
        assert call.numbers, "the vendor requires phones"
        group_id = f"made-by-{request}"
        self.groups[group_id] = ModelGroup(call.group_name or group_id, call.remark or "", set(call.numbers))
        return Applied(request, group_id)

    def _listed(self) -> tuple[Group, ...]:
        return tuple(
            Group(group_id, group.name, group.remark, tuple(sorted(group.numbers)))
            for group_id, group in self.groups.items()
        )


def changed(members: Collection[str], call: Call) -> set[str]:
    """What an update makes of the members."""
    if call.kind is CallKind.REPLACE:
        return set(call.numbers)
    return set(members) | set(call.numbers) if call.kind is CallKind.ADD else set(members) - set(call.numbers)


@dataclass
class OneByOne:
    """Every command applied alone, in order: the final groups that merging must give as well."""

    groups: dict[GroupRef, set[str]] = field(default_factory=dict)

    def apply(self, command: Command) -> bool:
        """False when the command cannot apply: no such group, or one that exists already."""
        members = self.groups.get(command.group)
        match command.kind:
            case CommandKind.CREATE:
                if members is not None:
                    return False
                self.groups[command.group] = set(command.numbers)
            case CommandKind.LIST:
                pass
            case _ if members is None:
                return False
            case CommandKind.DELETE_GROUP:
                del self.groups[command.group]
            case CommandKind.REPLACE:
                self.groups[command.group] = set(command.numbers)
            case CommandKind.ADD:
                members |= set(command.numbers)
            case CommandKind.DELETE:
                members -= set(command.numbers)
        return True

    def apply_all(self, commands: Iterable[Command]) -> list[bool]:
        return [self.apply(command) for command in commands]

    @classmethod
    def starting_with(cls, ref: GroupRef, numbers: Iterable[str] | None) -> "OneByOne":
        assert ref.kind is not HandleKind.OWN
        return cls({} if numbers is None else {ref: set(numbers)})
