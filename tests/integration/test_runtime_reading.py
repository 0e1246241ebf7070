"""How much a worker takes in, and what becomes of messages with several events."""

from typing import Any

import orjson
from integration_rig import PARTIAL, event
from integration_servers import eventually
from integration_stage import Stage

from numbergroup.sandbox.faults import Status


async def test_a_backlog_is_taken_in_by_and_by(stage: Stage) -> None:
    """A worker has no more commands in memory than it may, however many wait; all are answered in the end."""
    stage.gate.opened.clear()
    units: list[int] = []
    ports = {"max_pending": 20}
    async with stage.worker(ports=ports, written=lambda unit: units.append(unit.answered)):
        await stage.publish(*(event(f"c-{n}", phones=f"8521{n:07}") for n in range(100)))
        await stage.calls_waiting(1)
        stage.gate.opened.set()
        results = await stage.answered(100)
    assert [name for name, _ in results] == [f"c-{n}" for n in range(100)]
    assert sum(units) == 100
    assert max(units) <= 20


async def test_the_credit_counts_events_of_arrays(stage: Stage) -> None:
    """Ten commands in a message count as ten: what there is no room for is not taken in, and not lost."""
    stage.gate.opened.clear()
    units: list[int] = []
    bodies = [
        b"[" + b",".join(event(f"c-{m}-{n}", phones=f"8521{m:04}{n:03}") for n in range(10)) + b"]"
        for m in range(10)
    ]
    async with stage.worker(ports={"max_pending": 20}, written=lambda unit: units.append(unit.answered)):
        await stage.publish(*bodies)
        await stage.calls_waiting(1)
        stage.gate.opened.set()
        await stage.answered(100)
    assert sum(units) == 100
    assert max(units) <= 20


async def test_what_waits_is_merged_whole(stage: Stage) -> None:
    """Commands that wait when a worker starts cost each group one call, however fast calls may be made."""
    await stage.publish(*(event(f"c-{n}", f"g-{n % 8}", phones=f"8521{n:07}") for n in range(600)))
    async with stage.worker():
        await stage.answered(600)
    assert stage.arrived == 8


async def test_what_there_is_no_room_for_is_not_waited_for(stage: Stage) -> None:
    """A backlog that does not fit into memory is worked off in parts."""
    await stage.publish(*(event(f"c-{n}", f"g-{n % 8}", phones=f"8521{n:07}") for n in range(100)))
    async with stage.worker(ports={"max_pending": 40}):
        await stage.answered(100)
    assert 16 <= stage.arrived <= 40


async def test_arrays_are_answered_as_arrays(stage: Stage) -> None:
    """Events that came in one message and settle together are answered in one."""
    body = b"[" + b",".join(event(f"c-{n}", "g-1") for n in range(3)) + b"]"
    async with stage.worker():
        await stage.publish(body)
        await stage.answered(3)
    (reply,) = await stage.replies()
    assert [one["data"]["command"]["id"] for one in orjson.loads(reply)] == ["c-0", "c-1", "c-2"]


async def test_a_message_that_is_half_settled(stage: Stage) -> None:
    """One group of a message is stuck when the worker stops: the next one does that part only."""
    stage.fault(Status(status=503, group_id="stuck"))  # type: ignore[call-arg]
    body = b"[" + event("c-1", "good") + b"," + event("c-2", "stuck") + b"]"
    async with stage.worker():
        (tag,) = await stage.publish(body)

        async def half() -> Any:
            return await stage.results()

        assert await eventually(half, "one is answered") == [("c-1", "applied")]
        assert await stage.left() == [tag]
        assert await stage.client.hgetall(PARTIAL) == {tag.encode(): b"[0]"}
    stage.sandbox.state.faults.clear()
    async with stage.worker("next"):
        await stage.answered(2)
    assert await stage.client.hgetall(PARTIAL) == {}
    assert [call.group_id for call in stage.sandbox.state.calls.recent()].count("good") == 1


async def test_what_is_no_command(stage: Stage) -> None:
    """Messages that nobody understands are kept as dead letters, and hold nothing up."""
    async with stage.worker():
        await stage.client.xadd("numbergroup:{0}:commands", {"foo": "bar"})
        await stage.publish(b"\xff", b"[]", b"{}", event("c-1"))
        assert await stage.answered(1) == [("c-1", "applied")]
    letters = await stage.client.xrange("numbergroup:{0}:dead-letters")
    assert [fields[b"body"] for _, fields in letters] == [b"bar", b"\xff", b"[]", b"{}"]


async def test_repeats_are_answered_from_memory(stage: Stage) -> None:
    """The same command again, to the next worker: the first answer again, and no call."""
    async with stage.worker():
        await stage.publish(event("c-1"))
        await stage.answered(1)
    async with stage.worker("next"):
        await stage.publish(event("c-1"))

        async def twice() -> bool:
            return len(await stage.replies()) == 2

        await eventually(twice, "the repeat is answered")
    first, second = await stage.replies()
    assert first == second
    assert stage.arrived == 1
