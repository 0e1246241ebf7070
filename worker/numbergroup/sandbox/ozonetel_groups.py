"""Ozonetel's block-number groups in memory, and its formats of numbers. Pure: the time is an argument.

Every user is a separate customer, whose groups no other user can access.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_INDIA = "91"


def format_number(number: str) -> str:
    """Returns a number in the format of the vendor's answers.

    Ten digits get the prefix `+91`, and twelve digits that begin with 91 get `+` (page "Update Block Number
    Group"). Other numbers are unchanged [I].
    """
    digits = number.removeprefix("+")
    if len(digits) == 10 and digits.isdigit():
        return f"+{_INDIA}{digits}"
    return f"+{digits}" if _is_indian(digits) else number


def list_digit_forms(number: str) -> frozenset[str]:
    """Returns the number in digits, with and without India's country code 91 if it is an Indian number."""
    digits = format_number(number).removeprefix("+")
    return frozenset({digits, digits[2:]} if _is_indian(digits) else {digits})


def _is_indian(digits: str) -> bool:
    return len(digits) == 12 and digits.isdigit() and digits.startswith(_INDIA)


@dataclass(slots=True)
class Member:
    """A number in a group, as it was first sent, and the time at which it expires (Unix ms)."""

    sent: str
    expires_ms: int | None


@dataclass(slots=True)
class BlockGroup:
    """A group. `members` has the members by their digits, country code included, oldest first."""

    group_id: int
    name: str
    description: str
    members: dict[str, Member] = field(default_factory=dict)

    def add(self, numbers: Iterable[str], expires_ms: int | None, now_ms: int) -> int:
        """Adds numbers, and returns how many are new. Existing members get the new expiry."""
        self.expire(now_ms)
        before = len(self.members)
        for number in numbers:
            member = self.members.setdefault(
                format_number(number).removeprefix("+"), Member(number, expires_ms)
            )
            member.expires_ms = expires_ms
        return len(self.members) - before

    def remove(self, numbers: Iterable[str], now_ms: int) -> int:
        """Removes numbers, and returns how many were members."""
        self.expire(now_ms)
        before = len(self.members)
        for number in numbers:
            self.members.pop(format_number(number).removeprefix("+"), None)
        return before - len(self.members)

    def expire(self, now_ms: int) -> None:
        """Removes the members that are expired at `now_ms`."""
        expired = [
            key
            for key, member in self.members.items()
            if member.expires_ms is not None and member.expires_ms <= now_ms
        ]
        for key in expired:
            del self.members[key]


class BlockGroups:
    """All groups of all users, each user's in order of creation. Ids are integers from 1."""

    def __init__(self, users: Iterable[str]) -> None:
        self._groups: dict[str, dict[int, BlockGroup]] = {user: {} for user in users}
        self._last_id = 0

    def create(self, user: str, name: str, description: str, group_id: int | None = None) -> BlockGroup:
        """Creates an empty group, and replaces existing groups with the same id or name."""
        for other in list(self._groups[user].values()):
            if other.name == name:
                del self._groups[user][other.group_id]
        if group_id is None:
            group_id = self._last_id + 1
        self._last_id = max(self._last_id, group_id)
        group = self._groups[user][group_id] = BlockGroup(group_id, name, description)
        return group

    def find(self, user: str, group_ref: int | str) -> BlockGroup | None:
        """Returns the user's group with this id or name, or None."""
        groups = self._groups[user]
        if isinstance(group_ref, int):
            return groups.get(group_ref)
        return next((group for group in groups.values() if group.name == group_ref), None)

    def each(self, now_ms: int, user: str | None = None) -> Iterator[tuple[str, BlockGroup]]:
        """Yields every group with its user, without expired members, for one user or for all."""
        for owner, groups in self._groups.items():
            if user is None or owner == user:
                for group in groups.values():
                    group.expire(now_ms)
                    yield owner, group
