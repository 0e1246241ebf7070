"""Whole workers and letters that are tried again: what operators and producers see of it."""

from typing import Any

import orjson
import pytest
from integration_replays import INDEX, LETTERS, REPLAYS, move, replay
from integration_rig import ID_REF, event
from integration_servers import eventually
from integration_stage import KEY, Stage

from numbergroup.ledger import keys
from numbergroup.sandbox.faults import VendorCode
from numbergroup_contracts.dead_letters import DeadLetter

ONE, TWO, THREE = "85211111111", "85222222222", "85233333333"


REFUSE = VendorCode(code=1002, msg="parameter error", times=1)


async def letters(stage: Stage) -> list[DeadLetter]:
    return [
        DeadLetter.model_validate_json(fields[b"letter"]) for _, fields in await stage.client.xrange(LETTERS)
    ]


async def answers(stage: Stage, count: int) -> list[dict[str, Any]]:
    """So many results, when they are there."""

    async def enough() -> list[dict[str, Any]]:
        found = [orjson.loads(body) for body in await stage.replies()]
        return found if len(found) >= count else []

    return await eventually(enough, f"{count} results")


def statuses(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["data"]["command"]["id"], one["data"]["status"]) for one in found]


async def test_a_stale_replay_does_not_undo_a_newer_command(stage: Stage) -> None:
    """The refused command is tried again without what was decided since; it is answered anew, and over."""
    stage.sandbox.state.groups.put(KEY, "g-1", [TWO])
    stage.fault(REFUSE)
    await stage.publish(event("c1", phones=f"{ONE},{THREE}"))
    async with stage.worker():
        await answers(stage, 1)
        (letter,) = await letters(stage)
        assert (letter.attempts, letter.replays, letter.group) == (1, 0, "id:g-1")
        await stage.publish(event("c2", operation="delete", phones=ONE))
        await answers(stage, 2)
        await move(stage.client, letter.id)
        found = await answers(stage, 3)
    assert statuses(found) == [("c1", "rejected"), ("c2", "applied"), ("c1", "applied")]
    assert len({one["id"] for one in found}) == 3
    assert stage.members("g-1") == {TWO, THREE}
    assert not await stage.client.exists(INDEX, keys.DEAD_LETTER_GROUPS, keys.since(keys.group_field(ID_REF)))
    assert [await stage.client.xlen(name) for name in (LETTERS, REPLAYS)] == [0, 0]


async def test_a_letter_that_fails_again(stage: Stage) -> None:
    """It is written anew, with its history; whoever looks for it by its fingerprint finds it once."""
    stage.sandbox.state.groups.put(KEY, "g-1", [TWO])
    stage.fault(REFUSE)
    await stage.publish(event("c1", phones=ONE))
    async with stage.worker():
        await answers(stage, 1)
        (first,) = await letters(stage)
        stage.fault(REFUSE)
        await move(stage.client, first.id)
        await answers(stage, 2)
        (again,) = await letters(stage)
        assert again.id != first.id
        assert (again.fingerprint, again.replays, again.attempts) == (first.fingerprint, 1, 2)
        assert (again.firstTime, len(again.history)) == (first.firstTime, 1)
        assert await stage.client.hvals(keys.DEAD_LETTER_GROUPS) == [b"1"]
        await move(stage.client, again.id)
        found = await answers(stage, 3)
    assert [status for _, status in statuses(found)] == ["rejected", "rejected", "applied"]
    assert stage.members("g-1") == {ONE, TWO}


async def test_bytes_that_were_mended(stage: Stage) -> None:
    """What nobody could read is carried out when it was edited; its first bytes are kept should it fail."""
    stage.sandbox.state.groups.put(KEY, "g-1", [TWO])
    await stage.publish(b"{")
    async with stage.worker():

        async def kept() -> list[DeadLetter]:
            return await letters(stage)

        (letter,) = await eventually(kept, "a letter")
        assert (letter.group, letter.command, letter.attempts) == (None, None, 0)
        await replay(stage.client, event("c1", phones=ONE), letter=letter.id, order=1, group=None)
        assert statuses(await answers(stage, 1)) == [("c1", "applied")]
    assert stage.members("g-1") == {ONE, TWO}


async def test_a_replay_in_the_hands_of_one_that_ends(stage: Stage) -> None:
    """The next worker carries it out and answers it, once."""
    stage.sandbox.state.groups.put(KEY, "g-1", [TWO])
    stage.fault(REFUSE)
    await stage.publish(event("c1", phones=ONE))
    async with stage.worker() as first:
        await answers(stage, 1)
        (letter,) = await letters(stage)
        stage.gate.opened.clear()
        await move(stage.client, letter.id)
        await stage.calls_waiting(1)
        first.worker.stop()
        await first.ended()
        assert len(await stage.replies()) == 1
    async with stage.worker("next"):
        found = await answers(stage, 2)
    assert statuses(found) == [("c1", "rejected"), ("c1", "applied")]
    assert stage.members("g-1") == {ONE, TWO}
    assert await stage.client.xlen(REPLAYS) == 0


async def test_replays_of_many_groups_beside_new_commands(stage: Stage) -> None:
    """Every one is answered once more, and nothing of what was said meanwhile is undone."""
    groups = [f"g-{n}" for n in range(20)]
    for group in groups:
        stage.sandbox.state.groups.put(KEY, group, [THREE])
    stage.fault(VendorCode(code=1002, msg="parameter error", times=len(groups)))
    await stage.publish(*(event(f"c-{group}", group, phones=f"{ONE},{TWO}") for group in groups))
    async with stage.worker():
        await answers(stage, len(groups))
        for n, letter in enumerate(await letters(stage)):
            await stage.publish(event(f"d-{n}", groups[n], "delete", ONE))
            await move(stage.client, letter.id)
        found = await answers(stage, 3 * len(groups))
    assert len({one["id"] for one in found}) == len(found)
    assert {frozenset(stage.members(group)) for group in groups} == {frozenset({TWO, THREE})}
    assert not await stage.client.exists(keys.DEAD_LETTER_GROUPS)


@pytest.mark.parametrize("url", [pytest.param("redis", marks=pytest.mark.redis_server)], indirect=True)
async def test_one_groups_junk_holds_up_no_other(stage: Stage) -> None:
    """What was decided of a group since lies under a key of another kind: its replay undoes nothing, and all
    others are looked up as ever. (The embedded broker hangs up on such a key.)"""
    stage.sandbox.state.groups.put(KEY, "g-1", [TWO])
    stage.fault(REFUSE)
    await stage.publish(event("c1", phones=ONE))
    async with stage.worker():
        await answers(stage, 1)
        (letter,) = await letters(stage)
        await stage.client.set(keys.since(keys.group_field(ID_REF)), "x")
        await move(stage.client, letter.id)
        await stage.publish(event("c2", "g-2", phones=THREE))
        found = await answers(stage, 3)
    assert sorted(statuses(found)) == [("c1", "rejected"), ("c1", "superseded"), ("c2", "applied")]
    assert stage.members("g-1") == {TWO}


async def test_a_side_log_that_is_a_stream_again(stage: Stage) -> None:
    """While it is something else, commands are carried out; when it is put right, replays are, too."""
    stage.fault(REFUSE)
    await stage.publish(event("c1", phones=ONE))
    async with stage.worker():
        await answers(stage, 1)
        (letter,) = await letters(stage)
        await stage.client.set(REPLAYS, "x")
        await stage.publish(event("c2", "g-2", phones=TWO))
        await answers(stage, 2)
        await stage.publish(event("c3", "g-2", phones=THREE))
        await answers(stage, 3)
        await stage.client.delete(REPLAYS)
        await move(stage.client, letter.id)
        found = await answers(stage, 4)
    assert statuses(found)[-1] == ("c1", "applied")
