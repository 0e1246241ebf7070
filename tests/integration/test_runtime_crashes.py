"""Workers that die of a message, in this process: how the next ones go about it."""

from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest
from integration_replays import move
from integration_rig import CRASHES, event
from integration_servers import eventually
from integration_stage import Stage
from structlog.testing import capture_logs

from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.effects import Effect, StartCall
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import Event
from numbergroup.engine.partition.poison_detection import CrashPolicy, History, InHand, Step, Suspect
from numbergroup.engine.verdicts import Refusal
from numbergroup.ledger import keys
from numbergroup.ledger.port import CrashRecord
from numbergroup.runtime.poison_guard import digest_of
from numbergroup.sandbox.faults import Status
from numbergroup_contracts.names import partition_of

DEADLY = b"85299999999"
CAUTION = CrashPolicy(max_crashes=3, idle_s=0.5, pause_s=0.01)
ALONE, AMONG_OTHERS = 2 + 3, 2 + 1 + 3
"""So many workers die of a message: two before anything is noted, one to find the suspects, and those that
condemn it."""


class Killed(Exception):
    """What a worker dies of, in place of the process."""


class DeadlyIntake(Intake):
    """Whoever decodes a certain number dies."""

    def read(self, entry: Entry) -> list[Command | Refusal]:
        if entry.problem is None and DEADLY in entry.body:
            raise Killed
        return Intake.read(self, entry)


def ports(**more: Any) -> dict[str, Any]:
    return {"intake": DeadlyIntake(), "caution": CAUTION} | more


def deadly(name: str, group: str = "g-1") -> bytes:
    return event(name, group, phones=DEADLY.decode())


async def die(stage: Stage, times: int, first: int = 0, **how: Any) -> None:
    """So many workers die, one after the other; the lease of each runs out at once."""
    for number in range(first, first + times):
        # Unconfigured, the log takes seconds to print the error with all its variables.
        with capture_logs():
            async with stage.worker(f"w-{number}", ports=ports(**how)) as running:
                assert isinstance(await running.broke(), Killed)
        await time_passes(stage)


async def time_passes(stage: Stage) -> None:
    """What the dead had runs out."""
    await stage.client.delete(keys.WORKERS, *(keys.of_partition(number, "lease") for number in (0, 1)))


async def crashes(stage: Stage, partition: int = 0) -> int:
    history = (await stage.ledger.read_crash_record(partition)).history
    return history.crashes


async def forgotten(stage: Stage, partition: int = 0) -> None:
    async def none() -> bool:
        return await crashes(stage, partition) == 0

    await eventually(none, "no crashes are counted")


@pytest.fixture
def url(embedded_url: str) -> str:
    """One broker is enough: what its ledger does with crashes has tests of its own."""
    return embedded_url


async def test_found_among_others(stage: Stage) -> None:
    """The answer says what happened, and the letter has the bytes as they came."""
    await stage.publish(*(event(f"a-{n}", phones=f"8521{n:07}") for n in range(30)))
    await stage.publish(deadly("c-1"), *(event(f"b-{n}", phones=f"8522{n:07}") for n in range(30)))
    await die(stage, AMONG_OTHERS)
    async with stage.worker("last", ports=ports()):
        results = dict(await stage.answered(61))
        await forgotten(stage)
    assert {name: status for name, status in results.items() if status != "applied"} == {"c-1": "failed"}
    ((_, fields),) = await stage.client.xrange("numbergroup:{0}:dead-letters")
    assert fields[b"body"] == deadly("c-1")
    error = orjson.loads(fields[b"letter"])["error"]
    assert error["kind"] == "crashed"
    assert "workers died 3 times" in error["message"]
    assert stage.members("g-1") == {f"852{m}{n:07}" for m in (1, 2) for n in range(30)}


async def test_its_replay_undoes_nothing(stage: Stage) -> None:
    """What was not even decoded stands where it stood in its group, when a mended worker tries it again: what
    came later has decided already."""
    await stage.publish(deadly("c-1"))
    await die(stage, ALONE)
    async with stage.worker("last", ports=ports()):
        assert await stage.answered(1) == [("c-1", "failed")]
        await stage.publish(event("c-2", operation="replace", phones="85211111111"))
        await stage.answered(2)
        await forgotten(stage)
    ((_, fields),) = await stage.client.xrange("numbergroup:{0}:dead-letters")
    await move(stage.client, orjson.loads(fields[b"letter"])["id"])
    async with stage.worker("mended", ports=ports(intake=Intake())):

        async def three() -> list[tuple[str, str]]:
            results = await stage.results()
            return results if len(results) == 3 else []

        results = await eventually(three, "its second answer")
    assert results[2] == ("c-1", "superseded")
    assert stage.members("g-1") == {"85211111111"}


async def test_copies_of_it(stage: Stage) -> None:
    """What says the same to the byte is as bad: it costs no further workers, also when it comes later."""
    await stage.publish(*[deadly("c-1")] * 3, event("a-1"))
    await die(stage, AMONG_OTHERS)
    async with stage.worker("last", ports=ports()):
        await forgotten(stage)
        await stage.publish(deadly("c-1"), event("a-2"))

        async def settled() -> bool:
            return not await stage.left()

        await eventually(settled, "everything is settled")
        letters = await stage.client.xrange("numbergroup:{0}:dead-letters")
    assert [fields[b"body"] for _, fields in letters] == [deadly("c-1")] * 4
    assert await crashes(stage) == 0


async def test_an_array_with_it(stage: Stage) -> None:
    """Each of its events that has an id is answered, and all of the message is kept."""
    body = b"[" + b",".join((event("c-1", "g-1"), deadly("c-2", "g-2"), b'{"id": 7}')) + b"]"
    await stage.publish(body)
    await die(stage, ALONE)
    async with stage.worker("last", ports=ports()):
        assert await stage.answered(2) == [("c-1", "failed"), ("c-2", "failed")]
    letters = await stage.client.xrange("numbergroup:{0}:dead-letters")
    assert letters[-1][1][b"body"] == body


async def test_a_clean_end_in_the_middle(stage: Stage) -> None:
    """A worker that is stopped while the culprit is looked for has neither crashed nor cleared it."""
    patient = ports(caution=replace(CAUTION, idle_s=60.0))
    await stage.publish(deadly("c-1"))
    await die(stage, 4)
    await stage.client.delete(keys.commands(0))
    async with stage.worker("clean", ports=patient) as running:
        await running.asked("write_crash_history")
    notes = await stage.ledger.read_crash_record(0)
    culprit = Suspect(Step.DECODE, digest_of(deadly("c-1")), 2)
    assert notes == CrashRecord(History(4, (culprit,)), False, InHand())
    await stage.publish(deadly("c-1"))
    await die(stage, 1, first=4)
    async with stage.worker("last", ports=ports()):
        assert await stage.answered(1) == [("c-1", "failed")]


async def test_one_crash_changes_nothing(stage: Stage) -> None:
    """What waits is still merged whole, nothing is noted, and after a while it is forgotten."""
    await stage.publish(deadly("c-1"))
    await die(stage, 1)
    await stage.client.delete(keys.commands(0))
    await stage.publish(*(event(f"a-{n}", phones=f"8521{n:07}") for n in range(200)))
    async with stage.worker("next", ports=ports()):
        await stage.answered(200)
        assert stage.arrived == 1
        assert await stage.client.hget(CRASHES, "in_hand") is None
        await forgotten(stage)


async def test_a_stuck_group_before_it(stage: Stage) -> None:
    """A group that the vendor will not serve keeps nobody from finding the culprit behind it, and costs no
    further workers; nor is it dead-lettered in its place."""
    stage.fault(Status(status=503, group_id="stuck"))  # type: ignore[call-arg]
    await stage.publish(event("s-1", "stuck"), deadly("c-1"), event("a-1"))
    await die(stage, AMONG_OTHERS)
    async with stage.worker("last", ports=ports()):

        async def two() -> bool:
            return len(await stage.results()) == 2

        await eventually(two, "all but the stuck one are answered")
        stage.sandbox.state.faults.clear()
        results = dict(await stage.answered(3))
    assert results == {"c-1": "failed", "a-1": "applied", "s-1": "applied"}


async def test_killed_from_outside_while_the_vendor_is_down(stage: Stage) -> None:
    """However often workers are killed while their commands merely wait for the vendor: none is condemned,
    for none was in a step."""
    usual = ports(caution=replace(CAUTION, pause_s=1.0))
    stage.fault(Status(status=503))  # type: ignore[call-arg]
    names = [f"c-{n}" for n in range(20)]
    await stage.publish(*(event(name, f"g-{name}") for name in names))
    for number in range(12):
        calls = stage.arrived
        async with stage.worker(f"w-{number}", ports=usual) as running:

            async def called(before: int = calls) -> bool:
                return stage.arrived > before

            await eventually(called, "the vendor is asked")
            await running.kill()
        await time_passes(stage)
    assert await crashes(stage) >= 10
    stage.sandbox.state.faults.clear()
    async with stage.worker("last", ports=ports()):
        assert dict(await stage.answered(20)) == dict.fromkeys(names, "applied")


async def test_killed_from_outside_while_the_vendor_thinks(stage: Stage) -> None:
    """Nor is a command condemned whose call was on its way each time: to wait for an answer is no step."""
    await stage.publish(event("c-1"), event("c-2", "g-2"))
    for number in range(10):
        stage.gate.opened.clear()
        before = stage.gate.reached
        async with stage.worker(f"w-{number}", ports=ports()) as running:
            await eventually(partial(both_sent, stage, before), "both calls are on their way")
            if number >= 2:
                await eventually(lambda: nothing_in_hand(stage), "the step is over")
            await running.kill()
        await time_passes(stage)
    async with stage.worker("last", ports=ports()):
        assert dict(await stage.answered(2)) == {"c-1": "applied", "c-2": "applied"}


async def both_sent(stage: Stage, before: int) -> bool:
    return stage.gate.reached >= before + 2


async def nothing_in_hand(stage: Stage) -> bool:
    return not (await stage.ledger.read_crash_record(0)).in_hand


class DeadlyEngine:
    """Kills the worker that forms a batch with the deadly number in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def handle(self, one: Event) -> list[Effect]:
        effects = self._engine.handle(one)
        for effect in effects:
            if isinstance(effect, StartCall) and DEADLY.decode() in effect.call.numbers:
                raise Killed
        return effects


async def test_a_command_that_kills_when_its_batch_is_formed(stage: Stage) -> None:
    """It is found among the others of its group and of its message. They are applied, and its letter names
    group and order, so that a replay undoes nothing that came later."""
    body = b"[" + b",".join((event("c-1"), deadly("c-2"), event("c-3", phones="85211111112"))) + b"]"
    await stage.publish(body, event("c-4", "g-2"))
    for number in range(AMONG_OTHERS):
        with capture_logs():
            async with stage.worker(f"w-{number}", engine=DeadlyEngine, ports=ports(intake=Intake())) as one:
                assert isinstance(await one.broke(), Killed)
        await time_passes(stage)
    async with stage.worker("last", engine=DeadlyEngine, ports=ports(intake=Intake())):
        results = dict(await stage.answered(4))
    assert results == {"c-1": "applied", "c-2": "failed", "c-3": "applied", "c-4": "applied"}
    ((_, fields),) = await stage.client.xrange("numbergroup:{0}:dead-letters")
    letter = orjson.loads(fields[b"letter"])
    assert (letter["error"]["kind"], letter["group"]) == ("crashed", "id:g-1")
    assert fields[b"body"] == deadly("c-2")
    assert b"order" in fields


async def test_nobody_in_another_partition_is_blamed(stage: Stage) -> None:
    """A worker that dies has messages of all its partitions in hand: only what was alone in all of the worker
    is condemned, however often its neighbours were there when it died."""
    here = [f"g-{n}" for n in range(100) if partition_of(f"g-{n}", 2) == 0][:5]
    there = next(f"g-{n}" for n in range(100) if partition_of(f"g-{n}", 2) == 1)
    stage.fault(Status(status=503, group_id=here[0]))  # type: ignore[call-arg]
    for group in here:
        await stage.client.xadd(keys.commands(0), {"event": event(group, group)})
    await stage.client.xadd(keys.commands(1), {"event": deadly("c-1", there)})
    done = False
    with capture_logs() as logs:
        for number in range(12):
            async with stage.worker(f"w-{number}", ports=ports(partitions=2)) as running:

                async def over(running: Any = running) -> bool:
                    return running.task.done() or len(await stage.results()) == 5

                await eventually(over, "it dies, or is done")
                done = not running.task.done()
                if done:
                    stage.sandbox.state.faults.clear()
                    await eventually(lambda: _all_answered(stage, 6), "six results")
                else:
                    assert isinstance(await running.broke(), Killed)
            if done:
                break
            await time_passes(stage)
    assert done
    assert dict(await stage.results()) == dict.fromkeys(here, "applied") | {"c-1": "failed"}
    assert [one["partition"] for one in logs if "is dead-lettered" in one["event"]] == [1]


async def _all_answered(stage: Stage, count: int) -> bool:
    return len(await stage.results()) == count
