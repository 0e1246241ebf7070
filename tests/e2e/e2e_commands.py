"""Commands made up from a seed, and the groups as their application one by one leaves them."""

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

from numbergroup_contracts.commands import CREATE, UPDATE

Event = dict[str, Any]
_POOL = 40


class Script:
    """Writes commands down in order, and applies each to `groups` as it is written.

    A group that was created goes by its groupKey, which is its groupName too; any other by its groupId.
    """

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._country = 852_10 + seed
        self._serial = 0
        self._created: set[str] = set()
        self._pools: dict[str, list[str]] = {}
        self.events: list[Event] = []
        self.groups: dict[str, set[str]] = {}

    def create(self, name: str, phones: Sequence[str] | None = None) -> Event:
        chosen = list(phones or self._chance.sample(self.pool(name), 5))
        self._created.add(name)
        self.groups[name] = set(chosen)
        return self._write(CREATE, {"groupKey": name, "groupName": name, "phones": chosen})

    def update(self, name: str, operation: str, phones: Iterable[str]) -> Event:
        chosen = list(phones)
        handle = "groupKey" if name in self._created else "groupId"
        members = self.groups.setdefault(name, set())
        if operation == "replace":
            members.clear()
        if operation == "delete":
            members.difference_update(chosen)
        else:
            members.update(chosen)
        return self._write(UPDATE, {handle: name, "operateType": operation, "phones": chosen})

    def refused(self, name: str, phones: Sequence[str]) -> Event:
        """An `add` that the vendor will refuse: it leaves the group as it is."""
        members = set(self.groups[name])
        event = self.update(name, "add", phones)
        self.groups[name] = members
        return event

    def some_updates(self, count: int, names: Sequence[str]) -> list[Event]:
        """Adds, deletes and now and then a replace, of a few numbers each."""
        return [self._some_update(self._chance.choice(names)) for _ in range(count)]

    def _some_update(self, name: str) -> Event:
        operation = self._chance.choices(["add", "delete", "replace"], [55, 40, 5])[0]
        return self.update(name, operation, self._chance.sample(self.pool(name), self._chance.randint(1, 4)))

    def pool(self, name: str) -> list[str]:
        """The numbers that the group's commands are about; no other group's are."""
        if name not in self._pools:
            first = len(self._pools) * 1000
            self._pools[name] = [f"{self._country}{first + n:06}" for n in range(_POOL)]
        return self._pools[name]

    def _write(self, kind: str, data: dict[str, Any]) -> Event:
        self._serial += 1
        event = {"specversion": "1.0", "id": f"c-{self._serial}", "source": "e2e", "type": kind, "data": data}
        self.events.append(event)
        return event


def lone(events: Iterable[Event]) -> list[bytes]:
    """One message an event."""
    return [json.dumps(event).encode() for event in events]


def arrays(events: Sequence[Event], size: int) -> list[bytes]:
    """Messages of `size` events each."""
    return [json.dumps(events[first : first + size]).encode() for first in range(0, len(events), size)]
