"""The demo's commands, made up from a seed, and what they come to when applied one by one."""

import random
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from numbergroup_contracts.commands import CREATE, UPDATE

_NUMBERS_PER_GROUP = 60
_CREATED_SHARE = 4


@dataclass(slots=True, frozen=True)
class Script:
    """`initial` are groups that the vendor has already; the others are created by commands, under a
    groupKey that is also their name. A number of `poison` is one that the vendor will refuse."""

    seed: int
    groups: list[str]
    initial: dict[str, list[str]]
    events: list[dict[str, Any]]
    poison: frozenset[str]

    def one_by_one(self, refused: Set[str]) -> dict[str, set[str]]:
        """Every group as the commands leave it, without those that add a refused number."""
        groups = {name: set(numbers) for name, numbers in self.initial.items()}
        for event in self.events:
            data = event["data"]
            numbers = set(data["phones"])
            name = data.get("groupId") or data["groupKey"]
            operation = data.get("operateType", "create")
            if operation != "delete" and numbers & refused:
                continue
            if operation == "add":
                groups[name] |= numbers
            elif operation == "delete":
                groups[name] -= numbers
            else:
                groups[name] = numbers
        return groups


def write_script(commands: int, groups: int, seed: int) -> Script:
    """The same for the same arguments."""
    chance = random.Random(seed)  # noqa: S311 (sample data)
    names = [f"demo{number:03}" for number in range(groups)]
    created = set(names[::_CREATED_SHARE]) if commands >= 2 * groups else set()
    pool = {
        name: [f"8521{index:03}{number:04}" for number in range(_NUMBERS_PER_GROUP)]
        for index, name in enumerate(names)
    }
    initial = {name: chance.sample(pool[name], 10) for name in names if name not in created}
    events = [
        _event(index, CREATE, {"phones": chance.sample(pool[name], 5), "groupName": name, "groupKey": name})
        for index, name in enumerate(sorted(created))
    ]
    poison: set[str] = set()
    while len(events) < commands:
        # Some groups are busier than others, as in life.
        name = names[min(int(chance.paretovariate(0.9)) - 1, 10**6) % groups]
        operation = chance.choices(["add", "delete", "replace"], [55, 40, 5])[0]
        phones = chance.sample(pool[name], chance.randint(1, 4))
        if len(events) in (commands * 3 // 4, commands * 7 // 8):
            # In a quiet group, where no later command undoes it before the vendor has seen it.
            name, operation, phones = names[-1 - len(poison) % groups], "add", [f"85299{len(poison):06}"]
            poison.update(phones)
        handle = "groupKey" if name in created else "groupId"
        data = {handle: name, "operateType": operation, "phones": phones}
        events.append(_event(len(events), UPDATE, data))
    return Script(seed, names, initial, events, frozenset(poison))


def _event(index: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"demo-{index}", "source": "demo", "type": kind, "data": data}
