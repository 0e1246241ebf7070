"""The demo's random commands, and the groups that result when they are applied one by one."""

import random
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from numbergroup_contracts.commands import CREATE, UPDATE

_NUMBERS_PER_GROUP = 60
_CREATED_SHARE = 4


@dataclass(slots=True, frozen=True)
class Script:
    """The commands of a demo.

    `initial`: the groups that exist at first. Commands create the others, with a groupKey that is also their
    name. `poison`: numbers that the vendor refuses.
    """

    seed: int
    groups: list[str]
    initial: dict[str, list[str]]
    events: list[dict[str, Any]]
    poison: frozenset[str]

    def apply_one_by_one(self, refused: Set[str]) -> dict[str, set[str]]:
        """Return all groups after all commands, except those that add a refused number."""
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
    """Return a random script; always the same for the same arguments."""
    rng = random.Random(seed)  # noqa: S311 (sample data)
    names = [f"demo{number:03}" for number in range(groups)]
    created = set(names[::_CREATED_SHARE]) if commands >= 2 * groups else set()
    pool = {
        name: [f"8521{index:03}{number:04}" for number in range(_NUMBERS_PER_GROUP)]
        for index, name in enumerate(names)
    }
    initial = {name: rng.sample(pool[name], 10) for name in names if name not in created}
    events = [
        _event(index, CREATE, {"phones": rng.sample(pool[name], 5), "groupName": name, "groupKey": name})
        for index, name in enumerate(sorted(created))
    ]
    poison: set[str] = set()
    while len(events) < commands:
        # Some groups get many more commands than others.
        name = names[min(int(rng.paretovariate(0.9)) - 1, 10**6) % groups]
        operation = rng.choices(["add", "delete", "replace"], [55, 40, 5])[0]
        phones = rng.sample(pool[name], rng.randint(1, 4))
        if len(events) in (commands * 3 // 4, commands * 7 // 8):
            # In a quiet group, so that no later command removes the number before the call.
            name, operation, phones = names[-1 - len(poison) % groups], "add", [f"85299{len(poison):06}"]
            poison.update(phones)
        handle = "groupKey" if name in created else "groupId"
        data = {handle: name, "operateType": operation, "phones": phones}
        events.append(_event(len(events), UPDATE, data))
    return Script(seed, names, initial, events, frozenset(poison))


def _event(index: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"demo-{index}", "source": "demo", "type": kind, "data": data}
