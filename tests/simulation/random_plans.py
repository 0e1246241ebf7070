"""From a seed a plan: what is published, in what world, and what goes wrong."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson

from numbergroup.engine.partition.poison_detection import Step
from numbergroup_contracts.names import partition_of
from simulation.plans import DEADLY, HARMLESS, LOSSES, PROCESS_FAULTS, AccountPlan, Fault, Message, Plan
from simulation.troubles import (
    Weather,
    make_faults,
    make_weather,
)
from simulation.world import EPOCH

NUMBERS = [f"8521000000{place}" for place in range(7)]
_POISON = [f"8529{place:07}" for place in range(100)]
"""A number for each command: with a number in two of them, one could be carried out in part and refused."""

KINDS = {
    "add": 30,
    "delete": 26,
    "replace": 10,
    "empty": 4,
    "create": 12,
    "own": 3,
    "delete group": 7,
    "list": 2,
}


@dataclass
class _Author:
    """Writes the commands of a plan."""

    random: Random
    plan: Plan
    weather: Weather
    handles: list[tuple[str, dict[str, str]]]
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    made: int = 0

    def messages(self) -> tuple[Message, ...]:
        random = self.random
        count = random.choice([random.randint(1, 6), random.randint(4, 20), random.randint(10, 40)])
        spread_s = random.choice([0.0, 0.5, 3.0, 10.0])
        if self.weather.theme == "create again":
            spread_s = random.choice([0.15, 0.4, 2.0])
        if self.weather.theme == "hand-over":
            spread_s = 4.0
        if self.weather.theme in ("outage", "kill loop"):
            count, spread_s = random.randint(10, 60), random.choice([0.0, 3.0, 20.0])
        if self.weather.theme == "late and dead":
            spread_s = random.choice([1.0, 10.0])
        messages: list[Message] = []
        while self.made < count:
            at = round(random.random() * spread_s, 3)
            if self.weather.nonsense and random.random() < 0.1:
                messages.append(self._nonsense(at))
                continue
            partition, event = self._event()
            if random.random() < 0.25:
                events = [event]
                for _ in range(random.randint(0, 4)):
                    where, other = self._event()
                    if where == partition:
                        events.append(other)
                body: Any = events
            else:
                body = event
            # Repeated elsewhere, what is misrouted would be carried out there.
            if self.plan.partitions > 1 and random.random() < 0.03 and not self.weather.repeats:
                partition = (partition + 1) % self.plan.partitions
            messages.append(Message(at, partition, orjson.dumps(body)))
        return tuple(sorted(messages, key=lambda one: one.at))

    def _nonsense(self, at: float) -> Message:
        self.made += 1
        bodies = [
            b"{",
            b"[]",
            orjson.dumps({"specversion": "1.0", "id": f"n{self.made}", "source": "crm", "type": "what"}),
            orjson.dumps([self._event()[1], {"specversion": "1.0", "id": f"n{self.made}", "source": "crm"}]),
        ]
        if self.plan.partitions > 1:
            bodies.pop()
        return Message(at, self.random.randrange(self.plan.partitions), self.random.choice(bodies))

    def _event(self) -> tuple[int, dict[str, Any]]:
        random = self.random
        if self.weather.repeats and self.events and random.random() < 0.2:
            partition, again = random.choice(self.events)
            if random.random() < 0.15 and "phones" in again["data"]:
                again = {**again, "data": {**again["data"], "phones": [NUMBERS[0]]}}
            return partition, again
        self.made += 1
        account, handle = random.choice(self.handles)
        event: dict[str, Any] = {"specversion": "1.0", "id": f"c{self.made}", "source": "crm"}
        if account != "default":
            event["account"] = account
        if self.weather.expiry and random.random() < (0.25 if not self.weather.theme else 0.5):
            when = EPOCH + random.uniform(-1.0, 15.0)
            if self.weather.theme == "expiry in doubt":
                when = EPOCH + self.plan.starts[0] + random.uniform(0.1, 4.0)
            event["expirytime"] = datetime.fromtimestamp(when, UTC).isoformat()
        if self.weather.sequences and random.random() < 0.7:
            event["sequence"] = self.made + random.choice([0, 0, -5, 5])
        kind = random.choices(list(KINDS), list(KINDS.values()))[0]
        if self.weather.theme == "create again" and random.random() < 0.8:
            kind = "delete group" if self.made % 2 == 0 else "create"
        by_key = "groupKey" in handle
        if kind == "delete group" and not by_key and random.random() < 0.8:
            kind = "add"
        if kind == "create" and not by_key:
            kind = "own" if random.random() < 0.2 else "add"
        data, suffix = self._data(kind, handle)
        event |= {"type": f"numbergroup.{suffix}.v1", "data": data}
        if kind in ("list", "own"):
            partition = random.randrange(self.plan.partitions)
        else:
            partition = partition_of(next(iter(handle.values())), self.plan.partitions)
        self.events.append((partition, event))
        return partition, event

    def _data(self, kind: str, handle: dict[str, str]) -> tuple[dict[str, Any], str]:
        random = self.random
        numbers = random.sample(NUMBERS, random.randint(1, 4))
        if kind == "list":
            return {}, "list"
        if kind == "delete group":
            return dict(handle), "delete"
        if kind in ("create", "own"):
            # Without a marker, two groups of one name and the same numbers cannot be told apart.
            named = {"groupName": f"name {self.made}"}
            return {"phones": numbers, **named, **(handle if kind == "create" else {})}, "create"
        if self.weather.poison and random.random() < 0.15:
            numbers.append(_POISON[self.made])
        asked = "replace" if kind == "empty" else kind
        return {"operateType": asked, "phones": [] if kind == "empty" else numbers, **handle}, "update"


def make_plan(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(f"plan {seed}")
    weather = make_weather(random)
    # Drawn apart, so that the plans of known seeds stay what they are otherwise.
    apart = Random(f"crashes {seed}")
    if apart.random() < 0.08:
        weather = Weather(theme="kill loop")
    workers = random.choices([1, 2, 3], [4, 5, 2])[0]
    if weather.theme in ("zombie", "hand-over", "outage"):
        workers = max(2, workers)
    if weather.theme == "still":
        workers = 1
    partitions = random.choices([1, 2, 4], [6, 3, 1])[0]
    if weather.theme in ("hand-over", "outage"):
        partitions = max(2, partitions)
    soon = [2.0, random.uniform(0.3, 3.0)] if weather.theme == "hand-over" else [0.0, 0.2]
    starts = [0.0] + [random.choice([*soon, random.uniform(0.0, 8.0)]) for _ in range(workers - 1)]
    late = random.random() < 0.3 and weather.theme not in ("create again", "hand-over")
    late |= weather.theme == "still"
    names = ["default", "other"] if random.random() < 0.25 else ["default"]
    accounts = tuple(_account(random, name, weather) for name in names)
    handles: list[tuple[str, dict[str, str]]] = []
    initial = []
    groups = {"create again": 1, "late and dead": 1, "hand-over": 5, "outage": 10}.get(
        weather.theme
    ) or random.randint(1, 4)
    for place in range(groups):
        name = random.choice(names)
        if random.random() < 0.5 or weather.theme == "create again":
            handles.append((name, {"groupKey": f"k-{place}"}))
        else:
            handles.append((name, {"groupId": f"g-{place}"}))
            initial.append((name, f"g-{place}", tuple(random.sample(NUMBERS, random.randint(0, 6)))))
    plan = Plan(
        seed,
        transactional=random.random() < 0.6,
        partitions=partitions,
        starts=tuple(round(one + (12.0 if late else 0.0), 3) for one in starts),
        accounts=accounts,
        window_s=random.choice([5.0, 9.0, 14.0]),
        attempts=random.choice([1, 2, 3]),
        linger_s=random.choice([0.0, 0.0, 0.3]),
        max_pending=200 if weather.theme == "still" else random.choice([3, 20, 200, 200]),
        read_count=random.choice([1, 3, 50, 50]),
        initial=tuple(initial),
        poison=frozenset(_POISON if weather.poison else ()),
    )
    if weather.theme == "late and dead":
        plan = replace(plan, window_s=14.0, attempts=1)
    if plan.transactional and not (weather.repeats or weather.sequences) and random.random() < 0.3:
        plan = replace(plan, record_s=2.0)
    if weather.theme == "killer":
        plan = replace(plan, lease_ttl_s=3.0, timeout_s=1.0, record_s=3600.0)
        plan = replace(plan, killer=b'"killer"', deadly_step=apart.choice([Step.DECODE, *Step]))
    if weather.theme == "kill loop":
        plan = replace(plan, lease_ttl_s=3.0, timeout_s=1.0, record_s=3600.0)
        if apart.random() < 0.4:
            plan = replace(plan, deadly_step=apart.choice([*Step]))
    plan = replace(plan, messages=_Author(random, plan, weather, handles).messages())
    if plan.deadly_step:
        plan = _with_killer(apart if weather.theme == "kill loop" else random, plan, handles)
    faults = [*make_faults(random, plan, weather), *_replays(seed, plan, weather)]
    faults += _losses(seed, replace(plan, faults=tuple(faults)))
    if not any(fault.kind in LOSSES for fault in faults):
        plan = replace(plan, messages=_with_renames(seed, plan, weather, handles))
    plan = replace(plan, messages=_with_short_numbers(seed, plan))
    page_cap = Random(f"pages {seed}").choice([1000, 1000, 3, 2])
    # Who counts pages only cannot be seen to hide a group.
    is_open = not any(fault.kind == "hides a group" for fault in faults)
    counts_pages = is_open and Random(f"totals {seed}").random() < 0.3
    remark_length = Random(f"remarks {seed}").choice([1000, 1000, 23, 28])
    plan = replace(plan, page_cap=page_cap, counts_pages=counts_pages, remark_length=remark_length)
    if remark_length < 1000:
        plan = replace(plan, messages=_with_remarks(plan))
    return replace(plan, faults=tuple(faults), rejects=_rejects(seed, plan, weather))


def _with_renames(
    seed: int, plan: Plan, weather: Weather, handles: list[tuple[str, dict[str, str]]]
) -> tuple[Message, ...]:
    """The messages, with renames of the groups among them."""
    # Drawn apart, so that the plans of known seeds stay what they are otherwise.
    random = Random(f"renames {seed}")
    # A rename that is tried again after a replacement of the numbers is left out, which no model knows.
    if plan.poison or weather.fluke or random.random() < 0.5:
        return plan.messages
    latest = max((message.at for message in plan.messages), default=0.0)
    renames = []
    for place in range(random.randint(1, 8)):
        account, handle = random.choice(handles)
        # Without a marker, a group is known by its name: no two have the same.
        texts = {"groupName": f"renamed {place}", "remark": f"remark {place}"}
        left_out = random.choice(["groupName", "remark", None])
        event = {
            "specversion": "1.0",
            "id": f"r{place}",
            "source": "crm",
            "account": account,
            "type": "numbergroup.rename.v1",
            "data": {**handle, **{name: text for name, text in texts.items() if name != left_out}},
        }
        partition = partition_of(next(iter(handle.values())), plan.partitions)
        renames.append(Message(round(random.random() * latest, 3), partition, orjson.dumps(event)))
    return tuple(sorted([*plan.messages, *renames], key=lambda one: one.at))


def _with_remarks(plan: Plan) -> tuple[Message, ...]:
    """The messages, with a remark in each create."""
    written = (b'"groupName":"name ', b'"remark":"of the simulation","groupName":"name ')
    return tuple(replace(one, body=one.body.replace(*written)) for one in plan.messages)


def _with_short_numbers(seed: int, plan: Plan) -> tuple[Message, ...]:
    """The messages, some with numbers that are written without their country code: `spelt` tells which."""
    random = Random(f"short numbers {seed}")
    if random.random() < 0.6:
        return plan.messages
    short = {one.body for one in plan.messages if random.random() < 0.5}
    written = (f'"{NUMBERS[0][:-1]}'.encode(), f'"{NUMBERS[0][2:-1]}'.encode())
    return tuple(
        replace(one, body=one.body.replace(*written)) if one.body in short else one for one in plan.messages
    )


def _rejects(seed: int, plan: Plan, weather: Weather) -> frozenset[str]:
    """Which numbers the vendor does not take: none that it took before."""
    random = Random(f"rejects {seed}")
    members = {number for _, _, numbers in plan.initial for number in numbers}
    others = [number for number in NUMBERS if number not in members]
    # What is refused as a whole is tried again when the vendor has mended; and without a marker, a group that
    # has not all of its numbers is not known for that of its create.
    unclear = plan.poison or weather.fluke or not all(account.marker for account in plan.accounts)
    if unclear or random.random() < 0.5:
        return frozenset()
    return frozenset(random.sample(others, min(len(others), random.randint(1, 3))))


def _losses(seed: int, plan: Plan) -> list[Fault]:
    """When the ledger loses its last writes. On AMQP no worker dies then: no other one knows what was lost of
    the messages that were acknowledged."""
    # Drawn apart, so that the plans of known seeds stay what they are otherwise.
    random = Random(f"losses {seed}")
    dying = any(fault.kind in (*PROCESS_FAULTS, "replay") for fault in plan.faults)
    # Without a marker, nothing tells whether a create was made of which the ledger knows nothing.
    alone = plan.transactional and all(account.marker for account in plan.accounts)
    dying |= plan.workers > 1
    unfit = plan.killer or plan.deadly_step or plan.record_s < 60.0
    unfit = unfit or any(fault.kind == "replay" for fault in plan.faults)
    if random.random() > 0.25 or unfit or (dying and not alone):
        return []
    found = []
    if alone and random.random() < 0.3:
        # One power cut for both: the call that is on its way is known to nobody.
        call, late_s = random.randint(1, 4), round(random.uniform(0.3, 0.9) * plan.window_s, 3)
        found += [
            Fault("late", "call", call, 0, late_s),
            Fault(LOSSES[0], "call", call, random.randint(1, 4)),
            Fault("kill", "call", call, 0, 0.1),
        ]
    for _ in range(random.choice([1, 1, 2])):
        kind = random.choice(LOSSES)
        at = round(plan.starts[0] + random.uniform(0.1, 8.0), 3)
        lasts = random.choice([0.0, 0.5, 3.0, 1.5 * plan.lease_ttl_s]) if kind == LOSSES[0] else 0.0
        found.append(Fault(kind, "s", at, random.randint(1, 25), lasts))
    return found


def _replays(seed: int, plan: Plan, weather: Weather) -> list[Fault]:
    """When an operator lets what was refused be tried again."""
    # Drawn apart, so that the plans of known seeds stay what they are otherwise.
    random = Random(f"operator {seed}")
    # One that does not remember its commands any more applies their repetitions anew.
    if not (plan.poison or weather.fluke) or plan.record_s < 60.0 or random.random() < 0.4:
        return []
    mended = random.random() < 0.6
    ats = sorted(plan.starts[0] + random.uniform(0.5, 20.0) for _ in range(random.randint(1, 4)))
    return [
        Fault("replay", "s", round(at, 3), int(mended and place == len(ats) - 1))
        for place, at in enumerate(ats)
    ]


def _with_killer(random: Random, plan: Plan, handles: list[tuple[str, dict[str, str]]]) -> Plan:
    """One of the messages is one that kills, or has a command that does."""
    if plan.deadly_step in (Step.DECODE, Step.ADMIT):
        return replace(plan, killer=b'"killer"', messages=_with_deadly_message(random, plan))
    account, group_id = handles[0][0], "g-deadly"
    phones = random.choice([[DEADLY], [HARMLESS, DEADLY]])
    data = {"operateType": "add", "phones": phones, "groupId": group_id}
    event = {"specversion": "1.0", "id": "deadly", "source": "crm", "type": "numbergroup.update.v1"}
    before = {**event, "id": "before", "data": {**data, "phones": NUMBERS[:1]}}
    behind = {**event, "id": "behind", "data": {**data, "phones": NUMBERS[1:2]}}
    said = [before, {**event, "data": data}, behind]
    if account != "default":
        said = [{**one, "account": account} for one in said]
    partition = partition_of(group_id, plan.partitions)
    at = random.choice(plan.messages).at
    whole = random.random() < 0.5
    bodies: list[Any] = [said] if whole else said
    made = tuple(Message(at, partition, orjson.dumps(body)) for body in bodies)
    messages = tuple(sorted((*plan.messages, *made), key=lambda one: one.at))
    initial = (*plan.initial, (account, group_id, ()))
    accounts = plan.accounts
    if len(phones) > 1:
        accounts = tuple(replace(one, numbers_per_call=1) for one in accounts)
    return replace(plan, killer=b"", accounts=accounts, initial=initial, messages=messages)


def _with_deadly_message(random: Random, plan: Plan) -> tuple[Message, ...]:
    """One of the messages is one that kills: alone, or one of the others."""
    place = random.randrange(len(plan.messages))
    message = plan.messages[place]
    said = orjson.loads(message.body)
    first = said[0] if isinstance(said, list) else said
    first["subject"] = "killer"
    deadly = replace(message, body=orjson.dumps(said))
    return (*plan.messages[:place], deadly, *plan.messages[place + 1 :])


def _account(random: Random, name: str, weather: Weather) -> AccountPlan:
    return AccountPlan(
        name,
        calls_per_second=random.choice([3.0, 10.0, 40.0])
        if not weather.theme
        else random.choice([10.0, 40.0]),
        max_in_flight=random.randint(1, 4),
        # What is refused in part could not be told from what is applied.
        numbers_per_call=1000 if weather.poison or weather.fluke else random.choice([1, 2, 3, 1000]),
        marker=random.random() < 0.75,
    )
