"""The life of a group: which state can follow which, and that every legal transition happens."""

from collections.abc import Callable
from itertools import product

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import BY_ID, add, delete

from numbergroup.engine.calls import Applied, Call, CallKind
from numbergroup.engine.events import Controls, ControlsUpdated, Drain
from numbergroup.engine.group import state
from numbergroup.engine.group.lifecycle import (
    TRANSITIONS,
    Batch,
    Idle,
    IllegalTransition,
    InFlight,
    Parked,
    Paused,
    Ready,
    State,
    check_transition,
)
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.merging.merge import Change

OK = Applied("r")
STATES: list[State] = [
    Idle(),
    Ready(1),
    InFlight(Batch((), Change(), frozenset()), Call(CallKind.ADD), 0.0),
    Parked(1.0),
    Paused(),
]


@pytest.mark.parametrize(("old", "new"), [*product(STATES, STATES)])
def test_what_the_table_does_not_have_is_refused(old: State, new: State) -> None:
    group = GroupState(BY_ID, 0, state=old)
    if (type(old), type(new)) in TRANSITIONS:
        group.move_to(new)
        assert group.state is new
    else:
        with pytest.raises(IllegalTransition, match=f"{type(old).__name__} to {type(new).__name__}"):
            group.move_to(new)
        assert group.state is old


def pause(bench: Bench, *, paused: bool = True) -> None:
    controls = Controls(paused_groups={BY_ID: "a reason"} if paused else {})
    bench.feed(ControlsUpdated(controls, bench.now, bench.jitter))


def arrives(bench: Bench) -> None:
    bench.deliver(add("c1", "a"))


def is_sent(bench: Bench) -> None:
    arrives(bench)
    bench.call()


def is_answered(bench: Bench) -> None:
    is_sent(bench)
    bench.answer(OK)


def fails(bench: Bench) -> None:
    is_sent(bench)
    bench.answer(UNREACHABLE)


def fails_and_is_retried(bench: Bench) -> None:
    fails(bench)
    bench.sleep()


def needs_several_calls(bench: Bench) -> None:
    bench.deliver(add("c1", "abcdefg" * 2 + "hij"))
    bench.call()
    bench.answer(OK)


def is_opposed_by_a_doubt(bench: Bench) -> None:
    is_sent(bench)
    bench.answer(LOST)
    bench.deliver(delete("c2", "a"))
    bench.wait(30.0)
    bench.grant()


def is_paused(bench: Bench) -> None:
    arrives(bench)
    pause(bench)
    bench.grant()


def is_resumed(bench: Bench) -> None:
    is_paused(bench)
    pause(bench, paused=False)


def is_paused_until_quarantine(bench: Bench) -> None:
    is_paused(bench)
    bench.deliver(*(add(f"d{n}", "a") for n in range(20)))


def is_parked_until_expiry(bench: Bench) -> None:
    bench.deliver(add("c1", "a", expires_at=bench.now + 0.01))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.wait(0.02)


def drains(bench: Bench) -> None:
    arrives(bench)
    bench.feed(Drain(0))


def is_lost_when_idle(bench: Bench) -> None:
    drains(bench)
    bench.lose_lease()


def only_the_first_expires(bench: Bench) -> None:
    bench.deliver(add("c1", "a", expires_at=bench.now + 1.0), add("c2", "b"))
    bench.wait(2.0)
    bench.grant()


STORIES: list[Callable[[Bench], None]] = [
    is_answered,
    fails_and_is_retried,
    needs_several_calls,
    is_opposed_by_a_doubt,
    is_resumed,
    is_paused_until_quarantine,
    is_parked_until_expiry,
    is_lost_when_idle,
    only_the_first_expires,
]


def test_every_transition_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table permits no transition that the engine does not need."""
    seen: set[tuple[type[State], type[State]]] = set()

    def check(old: State, new: State) -> None:
        seen.add((type(old), type(new)))
        check_transition(old, new)

    monkeypatch.setattr(state, "check_transition", check)
    for tell in STORIES:
        tell(Bench(cap=5, group_backlog=10))
    bench = Bench(linger_s=1.0)
    arrives(bench)
    bench.feed(Drain(0))
    bench.sleep()
    in_flight = Bench()
    is_sent(in_flight)
    in_flight.lose_lease()
    assert {(old.__name__, new.__name__) for old, new in set(TRANSITIONS) - seen} == set()
