"""The real engine in a simulated world that fails in every way: at the end all promises are kept."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from engine_wire import event
from model_vendor import ModelVendor, OneByOne
from simulated_network import FATES
from simulated_runtime import Runtime

from numbergroup.engine.calls import Group
from numbergroup.engine.commands import Command, CommandKey, CommandKind, Entry, GroupRef, HandleKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.group.creation import strip_marker
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.verdicts import Record

NUMBERS = [f"8521000000{n}" for n in range(7)]
BY_ID = ["g-1", "g-2"]
BY_KEY = ["k-1", "k-2"]
REJECTED = [f"8527000000{n}" for n in range(3)]
EXPIRIES = ["2032-01-01T00:00:00Z", "2033-01-01T00:00:00Z"]
EDITS = frozenset({CommandKind.CREATE, CommandKind.ADD, CommandKind.DELETE, CommandKind.RENAME})
INSTEAD = {"replace": "add", "empty": "create", "delete group": "delete", "list": "own"}
"""What is asked of a vendor that can do no more than that."""


@dataclass(frozen=True)
class Weather:
    """What happens beside the troubles of the network. `edits`: the vendor can create, add and delete only;
    `rejects`: it takes some numbers never; `expiring`: numbers may leave by themselves."""

    lease_losses: bool = False
    handovers: bool = False
    repeats: bool = False
    expiry: bool = False
    poison: bool = False
    linger: bool = False
    marker: bool = True
    keys: float = 0.6
    edits: bool = False
    rejects: bool = False
    expiring: bool = False


WEATHERS = {
    "plain": Weather(),
    "keys": Weather(keys=1.0),
    "no marker": Weather(keys=1.0, marker=False),
    "ids": Weather(keys=0.0),
    "repeats": Weather(repeats=True, linger=True),
    "expiry": Weather(expiry=True),
    "poison": Weather(poison=True),
    "lease": Weather(lease_losses=True, repeats=True),
    "lease and expiry": Weather(lease_losses=True, handovers=True, expiry=True),
    "lease and keys": Weather(lease_losses=True, keys=1.0),
    "lease and no marker": Weather(lease_losses=True, handovers=True, keys=1.0, marker=False),
    "hand-overs": Weather(handovers=True, repeats=True),
    "hand-overs and keys": Weather(handovers=True, keys=1.0),
    "all": Weather(lease_losses=True, handovers=True, repeats=True, poison=True, linger=True),
    "rejected": Weather(rejects=True, lease_losses=True, expiry=True),
    "expiring": Weather(expiring=True, lease_losses=True, handovers=True),
    "rejected, expiring and keys": Weather(rejects=True, expiring=True, keys=1.0, lease_losses=True),
    "edits only": Weather(edits=True),
    "edits only and keys": Weather(edits=True, keys=1.0, rejects=True, expiring=True),
    "edits only, hand-overs": Weather(edits=True, handovers=True, rejects=True, repeats=True),
    "edits only and lease": Weather(edits=True, lease_losses=True, handovers=True, keys=1.0, expiring=True),
}
SEEDS = 60


class Story:
    """Commands, sensible or not, and a runtime that they are published to."""

    def __init__(self, weather: Weather, seed: int) -> None:
        self.weather = weather
        self.random = random = Random(seed)
        cap = 1_000 if weather.poison else random.randint(1, 6)
        self.poison: set[str] = set()
        rejects = REJECTED if weather.rejects else []
        self.vendor = ModelVendor(cap, self.poison, rejects, not weather.edits, not weather.edits)
        self.initial = {name: set(random.sample(NUMBERS, random.randint(0, 6))) for name in BY_ID}
        for name, numbers in self.initial.items():
            self.vendor.put(name, numbers)
        policy = AccountPolicy(
            cap,
            random.randint(1, 4),
            EDITS if weather.edits else frozenset(CommandKind),
            allows_marker=weather.marker,
            number_expiry=weather.expiring,
        )
        self.runtime = Runtime(random, self.vendor, policy, 0.5 if weather.linger else 0.0)
        self.events: list[dict[str, Any]] = []
        self.published: list[Command] = []

    def tell(self) -> None:
        runtime, random = self.runtime, self.random
        acts = {
            self.publish: 12,
            runtime.look_up: 12,
            runtime.deliver: 12,
            runtime.grant: 14,
            runtime.carry: 14,
            runtime.answer: 14,
            runtime.write: 8,
            runtime.wait: 10,
        }
        if self.weather.lease_losses:
            acts[runtime.lose_lease] = 2
        if self.weather.handovers:
            acts[runtime.hand_over] = 2
        for act in random.choices(list(acts), list(acts.values()), k=random.randint(40, 300)):
            act()
        runtime.settle_down()

    def publish(self) -> bool:
        if len(self.events) > 40:
            return False
        size = self.random.choice([1, 1, 1, 2, 4])
        some = [self._event() for _ in range(size)]
        tag = f"{len(self.events)}-0"
        self.events += some
        body = json.dumps(some if size > 1 else some[0]).encode()
        self.published += [item for item in Intake().read(Entry(0, tag, body)) if isinstance(item, Command)]
        self.runtime.publish(tag, body)
        return True

    def _event(self) -> dict[str, Any]:
        random = self.random
        if self.weather.repeats and self.events and random.random() < 0.2:
            again = random.choice(self.events)
            other = {**again, "data": {**again["data"], "phones": [NUMBERS[0]]}}
            return other if random.random() < 0.2 and "phones" in again["data"] else again
        name = f"c{len(self.events)}-{random.randint(0, 10**6)}"
        numbers = random.sample(NUMBERS, random.randint(1, 4))
        more: dict[str, Any] = {}
        if self.weather.expiry and random.random() < 0.3:
            when = datetime.fromtimestamp(self.runtime.now + random.uniform(-5, 60), UTC)
            more["expirytime"] = when.isoformat()
        kind = random.choices(
            ["add", "delete", "replace", "empty", "create", "own", "delete group", "list", "rename"],
            [30, 30, 8, 4, 12, 2, 6, 2, 8],
        )[0]
        if self.weather.edits:
            # What is refused at the door is in nobody's order.
            kind = INSTEAD.get(kind, kind)
        if self.weather.rejects and random.random() < 0.3:
            numbers = random.sample(REJECTED, 1) + numbers[: random.randint(0, 2)]
        if kind == "list":
            return {**event(name), "type": "numbergroup.list.v1", "data": {}, **more}
        by_key = random.random() < self.weather.keys
        handle = {"groupKey": random.choice(BY_KEY)} if by_key else {"groupId": random.choice(BY_ID)}
        if kind in ("own", "create"):
            # Without markers, two groups of one name and the same numbers cannot be told apart.
            label = {"groupName": name}
            key = handle if kind == "create" and by_key else {}
            made = {"phones": numbers, **label, **key}
            return {**event(name), "type": "numbergroup.create.v1", "data": made, **more}
        if kind == "rename":
            texts = {"groupName": f"name {name}", "remark": f"remark {random.randint(0, 1)}"}
            left_out = random.choice(["groupName", "remark", ""])
            data = {**handle, **{key: text for key, text in texts.items() if key != left_out}}
            return {**event(name), "type": "numbergroup.rename.v1", "data": data, **more}
        if kind == "delete group":
            if not by_key and random.random() < 0.8:
                kind = "add"
            else:
                return {**event(name), "type": "numbergroup.delete.v1", "data": handle, **more}
        if self.weather.poison and random.random() < 0.15:
            numbers.append(f"8529{len(self.poison):07}")
            self.poison.add(numbers[-1])
        data = {"operateType": kind, "phones": numbers, **handle}
        if self.weather.expiring and kind in ("add", "replace") and random.random() < 0.6:
            data["expiresAt"] = random.choice(EXPIRIES)
        if kind == "empty":
            data |= {"operateType": "replace", "phones": []}
        return {**event(name), "data": data, **more}

    def fired(self) -> Counter[str]:
        """What went wrong on the way, and what became of the commands."""
        records = self.runtime.ledger.settled.values()
        outcomes = Counter(record.status.value for record in records)
        reasons = Counter(record.fault.kind for record in records if record.fault)
        losses = Counter({"lease lost": self.runtime.losses, "handed over": self.runtime.handovers})
        return self.runtime.network.fired + outcomes + reasons + losses

    def check(self) -> None:
        """One answer each, in order, and the same groups as one by one."""
        runtime = self.runtime
        assert runtime.engine.memory_load(0) == 0
        assert runtime.replies == Counter(one["id"] for one in self.events)
        firsts: dict[CommandKey, Command] = {}
        arrivals: dict[GroupRef, list[CommandKey]] = {}
        for command in self.published:
            if firsts.setdefault(command.key, command) is command:
                arrivals.setdefault(command.group, []).append(command.key)
        # A list changes nothing, and is not remembered.
        lists = {command.group for command in self.published if command.kind is CommandKind.LIST}
        in_order = [
            {ref: keys for ref, keys in one.items() if ref not in lists} for one in (runtime.order, arrivals)
        ]
        assert in_order[0] == in_order[1], "settled out of order"
        self._check_groups(firsts)

    def _check_groups(self, firsts: dict[CommandKey, Command]) -> None:
        runtime, ledger = self.runtime, self.runtime.ledger
        model = OneByOne(
            {_ref(HandleKind.ID, name): dict.fromkeys(numbers) for name, numbers in self.initial.items()},
            self.vendor.rejects,
        )
        lost, failed = 0, set[GroupRef]()
        last: dict[tuple[GroupRef, str], CommandKey] = {}
        ids = {_ref(HandleKind.ID, name): name for name in BY_ID}
        for place, (key, command) in enumerate(firsts.items()):
            if command.kind is CommandKind.LIST:
                continue
            record = ledger.settled[key]
            reason = record.fault.kind if record.fault else None
            if record.status == "expired":
                assert command.expires_at is not None
                continue
            if reason == "refused" and not self.poison.isdisjoint(command.numbers):
                continue
            if self.weather.edits and record.status == "failed":
                # Nobody can look up what became of its create: the group may be there, and is nobody's.
                assert reason == "unavailable"
                lost += command.kind is CommandKind.CREATE
                failed.add(command.group)
                continue
            if reason == "conflict" and command.group in failed - model.members.keys():
                # It was merged with a create that failed, and told of that one's group.
                continue
            possible = model.apply(command)
            self._check_rejected(command, record, last)
            if record.rejected:
                assert possible
            elif reason == "refused":
                # The group is gone: for ever if it is known by its id, else because an earlier owner had
                # come as far as its deletion, unanswered, and its successor has not read that far yet.
                rest = list(firsts.values())[place:]
                later = [one.kind for one in rest if one.group == command.group]
                changed_hands = runtime.losses + runtime.handovers
                assert not possible or (changed_hands and CommandKind.DELETE_GROUP in later)
            elif command.group.kind is not HandleKind.ID:
                assert possible == (record.status in ("applied", "superseded")), (key, record)
                assert possible or reason in ("unknown-group", "conflict")
            if command.group.kind is HandleKind.OWN and command.kind is CommandKind.CREATE:
                assert record.group_id is not None
                ids[command.group] = record.group_id
        ids |= ledger.bindings
        found = {group_id: group.members for group_id, group in self.vendor.groups.items()}
        expected = {ids[ref]: members for ref, members in model.members.items()}
        orphans = found.keys() - expected.keys()
        assert len(orphans) <= lost
        assert {name: members for name, members in found.items() if name not in orphans} == expected
        texts = {ids[ref]: model.texts.get(ref, (None, "")) for ref in model.members}
        for group_id, (label, remark) in texts.items():
            group = self.vendor.groups[group_id]
            shown = strip_marker(Group(group_id, group.name, group.remark, ()))
            assert (shown.name, shown.remark) == (label or group_id, remark)
        for (_, number), key in last.items():
            assert number in ledger.settled[key].rejected, "nobody was told that it was not taken"
        assert ledger.intents == {}, "a create was left open"

    def _check_rejected(
        self, command: Command, record: Record, last: dict[tuple[GroupRef, str], CommandKey]
    ) -> None:
        """Whoever names such a number last, to put it in, answers for it; nobody names those of others."""
        rejects = set(self.vendor.rejects)
        assert set(record.rejected) <= rejects & set(command.numbers)
        if record.rejected:
            assert record.status in ("partial", "rejected")
        if record.status not in ("applied", "partial", "superseded") and not record.rejected:
            return
        if command.kind in (CommandKind.REPLACE, CommandKind.CREATE, CommandKind.DELETE_GROUP):
            for said in [said for said in last if said[0] == command.group]:
                del last[said]
        for number in rejects.intersection(command.numbers):
            if command.kind is CommandKind.DELETE:
                last.pop((command.group, number), None)
            else:
                last[command.group, number] = command.key


def _ref(kind: HandleKind, name: str) -> GroupRef:
    return GroupRef("default", kind, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", WEATHERS)
def test_all_promises_are_kept_in_any_weather(name: str) -> None:
    """Same final groups as one by one; one answer each; settled in order within a group; nothing lost, and
    nothing left waiting; one call in flight for a group, and never more than allowed, nor without a permit,
    nor before a pause ended; never two groups for one create."""
    weather = WEATHERS[name]
    fired: Counter[str] = Counter()
    for seed in range(SEEDS):
        story = Story(weather, seed)
        try:
            story.tell()
            story.check()
        except Exception as error:
            error.add_note(f"weather {name!r}, seed {seed}")
            raise
        fired += story.fired()
    assert fired.keys() >= {*FATES, "arrived late", "applied", "superseded", *expected(weather)}


def expected(weather: Weather) -> set[str]:
    """What must have happened in such weather, else it was none."""
    happens = {
        "lease lost": weather.lease_losses,
        "handed over": weather.handovers,
        "expired": weather.expiry,
        "refused": weather.poison,
        "conflict": weather.keys > 0,
        "unknown-group": weather.keys > 0,
        "failed": weather.edits and weather.keys > 0,
        "partial": weather.rejects,
        "rejected": weather.rejects,
    }
    return {what for what, does in happens.items() if does}
