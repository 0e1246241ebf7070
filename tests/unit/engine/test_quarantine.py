"""Quarantine: what becomes of a group that is stuck while everything else goes on."""

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import add, create, delete_group

from numbergroup.engine.calls import Applied, Call, Outcome
from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.events import Controls, ControlsUpdated, PartitionAcquired
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.replays import Replay, RetryHistory
from numbergroup.engine.verdicts import Fault

OK = Applied("r")
STUCK = GroupRef("default", HandleKind.ID, "stuck")
OTHER = GroupRef("default", HandleKind.ID, "other")


def parked(most: int = 5) -> Bench:
    """A group whose only command failed while another's did not, and which may have so many waiting."""
    bench = Bench(group_backlog=most)
    bench.deliver(add("c0", "a", STUCK))
    bench.call()
    bench.answer(UNREACHABLE)
    serve_another(bench)
    return bench


def serve_another(bench: Bench) -> None:
    """A call for another group is made later, and answered."""
    bench.now += 0.001
    bench.deliver(add("other", "a", OTHER))
    bench.call()
    bench.answer(OK)
    assert bench.statuses["other"] == "applied"
    bench.settles.clear()


def kinds(bench: Bench) -> dict[str, str | None]:
    return {name: one.fault.kind if one.fault else None for name, one in bench.verdicts.items()}


def test_as_many_as_may_wait_do() -> None:
    """Up to the cap, a parked group's commands wait for it."""
    bench = parked(5)
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 5)))
    assert bench.statuses == {}
    assert bench.waiting == 5


def test_one_more_and_all_are_put_away_in_order() -> None:
    """Over the cap the whole group goes to the dead letters, in order, with its reason; so does what comes
    after, while another group's commands are applied."""
    bench = parked(5)
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 6)))
    bench.deliver(add("c6", "c", STUCK), add("o1", "a", OTHER))
    assert list(bench.statuses) == [f"c{n}" for n in range(7)]
    assert set(kinds(bench).values()) == {"quarantined"}
    assert set(bench.statuses.values()) == {"failed"}
    bench.call()
    bench.answer(OK)
    assert bench.statuses["o1"] == "applied"
    assert [*bench.settles[0].quarantined] == [STUCK]
    assert bench.waiting == 0


def test_it_lasts_until_an_operator_resumes_the_group() -> None:
    """Hours later it is put away still; resumed, the next command is applied."""
    bench = parked(1)
    bench.deliver(add("c1", "b", STUCK))
    bench.wait(10_000)
    bench.deliver(add("c2", "c", STUCK))
    assert kinds(bench)["c2"] == "quarantined"
    bench.feed(ControlsUpdated(Controls(), bench.now, 0.5, [STUCK]))
    bench.deliver(add("c3", "d", STUCK))
    bench.run(lambda call: OK)
    assert bench.statuses["c3"] == "applied"


def test_a_paused_group_is_put_away_too() -> None:
    """A group that an operator has paused must not fill the memory either."""
    bench = Bench(group_backlog=3)
    bench.feed(ControlsUpdated(Controls(paused_groups={STUCK: "asked for"}), bench.now, 0.5))
    bench.deliver(add("c0", "a", STUCK))
    bench.grant()
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 4)))
    assert set(kinds(bench).values()) == {"quarantined"}
    assert len(bench.statuses) == 4


def test_nobody_is_put_away_while_the_account_is_down() -> None:
    """When all wait for the vendor, no group is to blame: nothing is dead-lettered."""
    bench = parked(5)
    bench.feed(
        ControlsUpdated(Controls(breakers={"default": BreakerNotice(bench.now + 60, 3)}), bench.now, 0.5)
    )
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 50)))
    assert bench.statuses == {}


def test_a_group_that_is_served_may_have_as_much_as_it_likes() -> None:
    """A hot group is not stuck: its batch takes all that waits."""
    bench = Bench(group_backlog=5)
    bench.deliver(add("c0", "a", STUCK))
    bench.call()
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 50)))
    bench.run(lambda call: OK)
    assert len(bench.statuses) == 50
    assert set(kinds(bench).values()) == {None}


def test_what_came_while_its_call_was_on_its_way() -> None:
    """Too much by the time its call fails: put away when it fails again, others being served."""
    bench = Bench(group_backlog=5)
    bench.deliver(add("c0", "a", STUCK))
    bench.call()
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 10)))
    bench.answer(UNREACHABLE)
    serve_another(bench)
    bench.sleep()
    bench.call()
    bench.answer(UNREACHABLE)
    assert set(kinds(bench).values()) == {"quarantined"}
    assert len(kinds(bench)) == 10


@pytest.mark.parametrize(("group_backlog", "room"), [(5, 1_000), (1_000, 30)])
def test_an_outage_that_begins_is_no_groups_fault(group_backlog: int, room: int) -> None:
    """Every call fails, and the breaker has not opened yet: nobody is put away, however much waits."""
    bench = Bench(group_backlog=group_backlog, room=room)
    refs = [GroupRef("default", HandleKind.ID, f"g{n}") for n in range(4)]
    bench.deliver(*(add(f"{ref.name}-{n}", "a", ref) for ref in refs for n in range(10)))
    for _ in refs:
        bench.call()
    for _ in refs:
        bench.answer(UNREACHABLE)
    bench.deliver(*(add(f"{ref.name}-more", "b", ref) for ref in refs))
    assert bench.statuses == {}


def test_a_call_from_before_the_outage_is_no_evidence() -> None:
    """It was sent before the first failure, and answered after it: the vendor may be down since."""
    bench = Bench(group_backlog=5)
    bench.deliver(add("o1", "a", OTHER), add("c0", "a", STUCK))
    bench.call()
    bench.call()
    bench.answer(UNREACHABLE, flight=1)
    bench.now += 0.1
    bench.answer(OK)
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 10)))
    assert bench.statuses == {"o1": "applied"}


def test_the_only_group_there_is() -> None:
    """Nobody else shows whether it is the vendor: it is put away when the breaker has had its time."""
    bench = Bench(group_backlog=5)
    bench.deliver(add("c0", "a", STUCK))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 10)))
    while bench.now < 1_000.0 + 30.0:
        assert bench.statuses == {}
        bench.sleep()
        bench.call()
        bench.answer(UNREACHABLE)
    assert set(kinds(bench).values()) == {"quarantined"}


def test_a_call_in_doubt_is_waited_for() -> None:
    """What may still arrive late is remembered beyond the quarantine: it must not undo what comes then."""
    bench = Bench(group_backlog=2)
    bench.deliver(add("c0", "a", STUCK))
    bench.call()
    bench.answer(LOST)
    serve_another(bench)
    bench.deliver(*(add(f"c{n}", "b", STUCK) for n in range(1, 5)))
    assert len(kinds(bench)) == 5
    bench.feed(ControlsUpdated(Controls(), bench.now, 0.5, [STUCK]))
    bench.deliver(delete_group("gone", STUCK))
    bench.grant()
    assert bench.flights == []
    bench.wait(61)
    bench.run(lambda call: OK)
    assert bench.statuses["gone"] == "applied"


def test_a_successor_puts_away_as_well() -> None:
    """Whoever owns the partition next knows of it before the first command."""
    bench = Bench()
    bench.feed(PartitionAcquired(0, {}, bench.now, quarantined={STUCK: Fault("quarantined", "503", "why")}))
    bench.deliver(add("c1", "a", STUCK))
    assert bench.verdicts["c1"].fault == Fault("quarantined", "503", "why")


def test_commands_up_to_a_deletion_and_beyond() -> None:
    """Put away whatever the commands are: also where they could not be merged into one batch."""
    bench = parked(3)
    bench.deliver(delete_group("c1", STUCK), add("c2", "b", STUCK), add("c3", "c", STUCK))
    assert list(bench.statuses) == ["c0", "c1", "c2", "c3"]
    assert set(kinds(bench).values()) == {"quarantined"}


def test_a_key_whose_create_is_stuck() -> None:
    """A create that failed is put away with what was to follow; a look-up of the key finds no group."""
    key = GroupRef("default", HandleKind.KEY, "k-1")
    bench = Bench(group_backlog=1)
    bench.deliver(create("c0", "a", key))
    bench.call()
    bench.answer(UNREACHABLE)
    serve_another(bench)
    bench.deliver(add("c1", "b", key))
    assert set(kinds(bench).values()) == {"quarantined"}
    assert bench.bindings == {}


def test_repeats_get_the_first_answer() -> None:
    """A command that was put away and comes again is answered as before, and is no second letter."""
    bench = parked(1)
    bench.deliver(add("c1", "b", STUCK))
    bench.deliver(add("c0", "a", STUCK))

    def vendor(call: Call) -> Outcome:
        raise AssertionError(call)

    bench.run(vendor)
    answered = [verdict for settle in bench.settles for verdict in settle.verdicts]
    assert len(answered) == 3
    assert getattr(answered[2], "repeat_of", None) is not None


def test_one_that_began_before_the_operator_was_heard() -> None:
    """The operator's word came first: it ends in the ledger, too, or the next owner would go on with it."""
    bench = parked(1)
    bench.deliver(add("c1", "b", STUCK))
    bench.feed(ControlsUpdated(Controls(), bench.now, 0.5, [STUCK, OTHER]))
    said = [settle.quarantined for settle in bench.settles if settle.quarantined]
    assert [[*one] for one in said] == [[STUCK], [STUCK]]
    assert said[-1][STUCK] is None


def test_several_stuck_groups_together() -> None:
    """None of them has more than it may, but they fill the memory: the largest are put away until others have
    room, and the smaller ones wait on."""
    names = [GroupRef("default", HandleKind.ID, f"s-{n}") for n in range(4)]
    bench = Bench(group_backlog=100, room=40)
    bench.feed(ControlsUpdated(Controls(paused_groups=dict.fromkeys(names, "asked for")), bench.now, 0.5))
    for ref, size in zip(names, (2, 5, 12, 20), strict=True):
        bench.deliver(*(add(f"{ref.name}-{n}", "a", ref) for n in range(size)))
        while bench.permits_wanted:
            bench.grant()
    assert bench.statuses == {}
    bench.deliver(add("s-0-more", "b", names[0]))
    assert set(kinds(bench).values()) == {"quarantined"}
    assert {one.command.group for one in bench.verdicts.values()} == {names[3]}
    assert bench.waiting == 20


def test_what_is_brought_back_is_not_put_away_for_being_much() -> None:
    """More replays than may wait for a group that is parked: they wait, and are applied in order."""
    bench = parked(3)
    for n in range(1, 10):
        again = add(f"c{n}", "b", STUCK)
        again.retry_history = RetryHistory(Replay("0-1-0", 1, n, None))
        bench.deliver(again)
    assert bench.statuses == {}
    bench.sleep()
    bench.run(lambda call: OK)
    assert set(bench.statuses.values()) <= {"applied", "superseded"}
    assert len(bench.statuses) == 10
