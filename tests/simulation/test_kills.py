"""Kills from outside, a hundred in a row: nothing is condemned for them but what kills by itself."""

from dataclasses import replace
from random import Random

import orjson
import pytest

from numbergroup.engine.partition.poison_detection import Step
from numbergroup_contracts.names import partition_of
from simulation.mutants import WAITING
from simulation.plans import DEADLY, MAX_CRASHES, Broken, Fault, Message, Plan
from simulation.running import Report, run, simulating

COMMANDS, KILLS = 200, 100
VENDORS = ("vendor down", "vendor slow", "healthy")


def a_plan(seed: int, vendor: str, *, transactional: bool, workers: int = 3, kills: int = KILLS) -> Plan:
    """`vendor` is so while workers are killed, at random moments; `commands` come all the while."""
    random, partitions, at_s = Random(seed), workers, 0.0
    faults = []
    for _ in range(kills):
        at_s += random.uniform(0.1, 1.5)
        faults.append(Fault("kill", "s", round(at_s, 3), random.randrange(workers), 0.1))
    if vendor != "healthy":
        faults.append(Fault(vendor, "s", 0.0, 0, round(at_s, 3)))
    messages = []
    for number in range(COMMANDS):
        group = f"g-{random.randrange(20)}"
        data = {
            "groupId": group,
            "operateType": random.choice(["add", "delete"]),
            "phones": [f"8521{number:07}"],
        }
        event = {"specversion": "1.0", "id": f"c{number}", "source": "crm", "type": "numbergroup.update.v1"}
        body = orjson.dumps({**event, "data": data})
        messages.append(Message(random.uniform(0.0, at_s), partition_of(group, partitions), body))
    return Plan(
        seed,
        transactional=transactional,
        partitions=partitions,
        starts=(0.0,) * workers,
        lease_ttl_s=3.0,
        timeout_s=1.0,
        initial=tuple(("default", f"g-{n}", ()) for n in range(20)),
        messages=tuple(sorted(messages, key=lambda one: one.at)),
        faults=tuple(faults),
    )


def with_poison(plan: Plan, step: Step) -> Plan:
    """Amid the others there is one that kills in this step."""
    data = {"groupId": "g-0", "operateType": "add", "phones": [DEADLY]}
    event = {"specversion": "1.0", "id": "deadly", "source": "crm", "type": "numbergroup.update.v1"}
    body = orjson.dumps({**event, "data": data, "subject": "killer"})
    message = Message(plan.messages[COMMANDS // 3].at, partition_of("g-0", plan.partitions), body)
    killer = b'"killer"' if step in (Step.DECODE, Step.ADMIT) else b""
    messages = tuple(sorted((*plan.messages, message), key=lambda one: one.at))
    return replace(plan, deadly_step=step, killer=killer, messages=messages)


def outcome(plan: Plan) -> tuple[Report, Broken | None]:
    with simulating():
        report = run(plan)
    return report, report.broken


@pytest.mark.slow
@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_kills_cost_no_command(seed: int, vendor: str, transactional: bool) -> None:
    """Three workers, and a vendor that is down, slow or well, on both kinds of broker: every command is
    applied, and in order."""
    report, broken = outcome(a_plan(seed, vendor, transactional=transactional))
    assert broken is None
    assert report.fired["kill"] >= KILLS // 2


@pytest.mark.parametrize("step", Step)
def test_poison_is_found_among_kills(step: Step) -> None:
    """In whichever step it kills, while something else kills workers all the time: nothing else is condemned,
    and it takes no more workers than it would alone."""
    number = [*Step].index(step)
    plan = a_plan(number, VENDORS[number % 3], transactional=bool(number % 2), kills=40)
    report, broken = outcome(with_poison(plan, step))
    assert broken is None
    assert report.fired["killed by a message"] >= MAX_CRASHES


def test_one_worker_that_is_killed_after_each_start() -> None:
    """As a deployment that restarts in a loop, while the vendor is down: always so long after the start."""
    for after_s in (0.05, 0.3, 2.0):
        plan = a_plan(1, "healthy", transactional=True, workers=1, kills=0)
        early = tuple(replace(one, at=0.0) for one in plan.messages[:20])
        kills = [Fault("kill", "s", round(n * (3.1 + after_s) + after_s, 3), 0, 0.05) for n in range(20)]
        down = Fault("vendor down", "s", 0.0, 0, kills[-1].at + 1.0)
        _, broken = outcome(replace(plan, messages=early, faults=(down, *kills)))
        assert broken is None


@pytest.mark.slow
def test_waiting_must_be_no_step() -> None:
    """Without that rule innocents are condemned, and it shows."""
    with simulating(), WAITING.at_work():
        broken = (run(a_plan(seed, "vendor slow", transactional=True)).broken for seed in range(2, 40))
        assert next((one for one in broken if one is not None), None) is not None
