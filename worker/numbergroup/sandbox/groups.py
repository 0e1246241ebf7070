"""NXCloud's number groups in memory. Pure: no HTTP, no clock; randomness is an argument.

Every access key is a separate customer, whose groups no other customer can access.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from random import Random

from numbergroup.sandbox.ids import new_group_id


class OperateType(IntEnum):
    """What an update does (vendor page "Update Number Group")."""

    ADD = 0
    DELETE = 1
    REPLACE = 2


@dataclass(slots=True)
class Group:
    """A group. `members` has each number once, in the order of their first addition."""

    group_id: str
    name: str
    customer_id: str
    remark: str
    members: dict[str, None]


class Groups:
    """All groups of all customers, each customer's in order of creation."""

    def __init__(self, access_keys: Iterable[str], random: Random) -> None:
        self._customers: Mapping[str, str] = {key: f"cus_{n}" for n, key in enumerate(access_keys, 1)}
        self._groups: dict[str, dict[str, Group]] = {key: {} for key in self._customers}
        self._random = random

    def create(self, access_key: str, phones: Iterable[str], *, name: str = "", remark: str = "") -> Group:
        """Creates a group with a new id. An empty `name` becomes the id (page "Create Number Group")."""
        group_id = new_group_id(self._random)
        while any(group_id in groups for groups in self._groups.values()):
            group_id = new_group_id(self._random)
        return self.put(access_key, group_id, phones, name=name, remark=remark)

    def put(
        self, access_key: str, group_id: str, phones: Iterable[str], *, name: str = "", remark: str = ""
    ) -> Group:
        """Creates a group with the given id, and replaces an existing group with that id."""
        group = Group(
            group_id, name or group_id, self._customers[access_key], remark, members=dict.fromkeys(phones)
        )
        self._groups[access_key][group_id] = group
        return group

    def get(self, access_key: str, group_id: str) -> Group | None:
        return self._groups[access_key].get(group_id)

    def update(
        self, access_key: str, group_id: str, operate_type: OperateType, phones: Iterable[str]
    ) -> None:
        """Changes the members. Adding a member again, or deleting an absent number, changes nothing.

        Raises `KeyError` if the customer has no such group.
        """
        group = self._groups[access_key][group_id]
        if operate_type is OperateType.REPLACE:
            group.members = dict.fromkeys(phones)
        elif operate_type is OperateType.ADD:
            group.members.update(dict.fromkeys(phones))
        else:
            for phone in phones:
                group.members.pop(phone, None)

    def delete(self, access_key: str, group_id: str) -> bool:
        """Deletes a group. Returns whether it existed."""
        return self._groups[access_key].pop(group_id, None) is not None

    def page(self, access_key: str, limit: int, offset: int) -> list[Group]:
        """Returns at most `limit` groups of the customer, after the first `offset`."""
        groups = self._groups[access_key]
        # `islice` does not accept offsets above `sys.maxsize`.
        first = min(offset, len(groups))
        return list(islice(groups.values(), first, first + limit))

    def count(self, access_key: str) -> int:
        return len(self._groups[access_key])

    def each(self, access_key: str | None = None) -> Iterator[tuple[str, Group]]:
        """Yields every group with its access key, for one customer or for all."""
        for key, groups in self._groups.items():
            if access_key is None or key == access_key:
                for group in groups.values():
                    yield key, group
