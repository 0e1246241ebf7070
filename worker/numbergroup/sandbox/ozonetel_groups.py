"""Ozonetel's block-number groups, in memory, and how it spells numbers. Pure: the time is an argument.

Every user is a customer of its own and never sees another's groups.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_INDIA = "91"


def format_number(number: str) -> str:
    """A number as the vendor answers it: `+91` before ten digits, `+` before twelve that begin with 91 (page
    "Update Block Number Group"); any other as it was sent [I]."""
    digits = number.removeprefix("+")
    if len(digits) == 10 and digits.isdigit():
        return f"+{_INDIA}{digits}"
    return f"+{digits}" if _is_indian(digits) else number


def list_digit_forms(number: str) -> frozenset[str]:
    """The ways to write the number in digits, with and without India's prefix."""
    digits = format_number(number).removeprefix("+")
    return frozenset({digits, digits[2:]} if _is_indian(digits) else {digits})


def _is_indian(digits: str) -> bool:
    return len(digits) == 12 and digits.isdigit() and digits.startswith(_INDIA)


@dataclass(slots=True)
class Member:
    """A number in a group, as it was sent first, and when it leaves by itself (Unix ms)."""

    sent: str
    expires_ms: int | None


@dataclass(slots=True)
class BlockGroup:
    """A group; `members` by their digits, India's prefix included, in the order in which they came in."""

    group_id: int
    name: str
    description: str
    members: dict[str, Member] = field(default_factory=dict)

    def add(self, numbers: Iterable[str], expires_ms: int | None, now_ms: int) -> int:
        """How many are new. One who is in already gets this expiry."""
        self.expire(now_ms)
        before = len(self.members)
        for number in numbers:
            member = self.members.setdefault(
                format_number(number).removeprefix("+"), Member(number, expires_ms)
            )
            member.expires_ms = expires_ms
        return len(self.members) - before

    def remove(self, numbers: Iterable[str], now_ms: int) -> int:
        """How many were in."""
        self.expire(now_ms)
        before = len(self.members)
        for number in numbers:
            self.members.pop(format_number(number).removeprefix("+"), None)
        return before - len(self.members)

    def expire(self, now_ms: int) -> None:
        """Lets go of the numbers whose time has come."""
        over = [
            key
            for key, member in self.members.items()
            if member.expires_ms is not None and member.expires_ms <= now_ms
        ]
        for key in over:
            del self.members[key]


class BlockGroups:
    """All groups of all users, each user's in order of creation. Ids are whole numbers, from 1 on."""

    def __init__(self, users: Iterable[str]) -> None:
        self._groups: dict[str, dict[int, BlockGroup]] = {user: {} for user in users}
        self._last_id = 0

    def create(self, user: str, name: str, description: str, group_id: int | None = None) -> BlockGroup:
        """Makes an empty group; one that had the id given, or the name, is replaced."""
        for other in list(self._groups[user].values()):
            if other.name == name:
                del self._groups[user][other.group_id]
        if group_id is None:
            group_id = self._last_id + 1
        self._last_id = max(self._last_id, group_id)
        group = self._groups[user][group_id] = BlockGroup(group_id, name, description)
        return group

    def find(self, user: str, handle: int | str) -> BlockGroup | None:
        """The user's group of this id, or of this name."""
        groups = self._groups[user]
        if isinstance(handle, int):
            return groups.get(handle)
        return next((group for group in groups.values() if group.name == handle), None)

    def each(self, now_ms: int, user: str | None = None) -> Iterator[tuple[str, BlockGroup]]:
        """Every group as it is now with its user, of one user or of all."""
        for one, groups in self._groups.items():
            if user is None or one == user:
                for group in groups.values():
                    group.expire(now_ms)
                    yield one, group
