"""Groups whose calls make the vendor ask to wait: the account waits, and then others go first."""

from collections.abc import Callable

import pytest
from engine_bench import Bench
from engine_commands import add
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.calls import AccountFault, Applied, Call, Outcome, Throttled, Unavailable
from numbergroup.engine.commands import GroupRef, HandleKind

FAULT = AccountFault("1003", "invalid signature")
OK = Applied("r")


def group(name: object) -> GroupRef:
    return GroupRef("default", HandleKind.ID, f"g-{name}")


def busy(groups: int, max_in_flight: int = 16) -> Bench:
    """So many groups with a command each."""
    bench = Bench(max_in_flight=max_in_flight)
    bench.deliver(*(add(f"c{n}", "a", group(n)) for n in range(groups)))
    return bench


THROTTLES = (
    Throttled(None, "429", "slow down"),
    Throttled(0.0, "429", "slow down"),
    Throttled(30.0, "429", "slow down"),
    Unavailable("HTTP 503", False, "http-503", retry_after_s=30.0, whole_service=True),
)
pauses = pytest.mark.parametrize("outcome", THROTTLES, ids=["1 s", "0 s", "30 s", "503, 30 s"])


def throttling(outcome: Outcome, *names: str) -> Callable[[Call], Outcome]:
    """A vendor that asks to wait whenever one of these groups is called, and answers all other calls."""
    return lambda call: outcome if call.group_id in names else OK


@pauses
@pytest.mark.parametrize("max_in_flight", [1, 16])
def test_a_group_that_alone_is_throttled_stops_nobody(outcome: Outcome, max_in_flight: int) -> None:
    """The pause lasts as long as the vendor said; then the others go first."""
    bench = busy(51, max_in_flight=max_in_flight)
    began = bench.now
    others = {f"c{n}" for n in range(1, 51)}
    bench.run(throttling(outcome, "g-0"), until=lambda: bench.statuses.keys() >= others)
    assert bench.now - began <= 31.0
    assert "c0" not in bench.statuses


@pauses
def test_a_group_whose_command_comes_within_the_pause_goes_first(outcome: Outcome) -> None:
    """However long the throttled one waits already, and however often it was throttled."""
    bench = busy(1)
    vendor = throttling(outcome, "g-0")
    for _ in range(10):
        bench.call()
        bench.answer(outcome)
        while not bench.wanted:
            bench.sleep()
    bench.call()
    bench.answer(outcome)
    bench.deliver(add("late", "a", group("late")))
    while not bench.wanted:
        bench.sleep()
    assert bench.call().group_id == "g-late"
    bench.answer(OK)
    bench.run(vendor, until=lambda: "late" in bench.statuses)


@pauses
def test_a_group_that_alone_is_throttled_is_called_ever_more_rarely(outcome: Outcome) -> None:
    """Every second another command of other groups: in the end the account is paused for a tenth of the
    time, and the group is called for as long as it takes."""
    bench = busy(1)
    vendor = throttling(outcome, "g-0")
    probes: list[float] = []

    def answer(call: Call) -> Outcome:
        if call.group_id == "g-0":
            probes.append(bench.now)
        return vendor(call)

    for n in range(1_200):
        bench.deliver(add(f"d{n}", "a", group(n % 7 + 1)))
        until = bench.now + 1.0
        while bench.wanted or bench.flights:
            if bench.wanted:
                bench.grant()
            else:
                bench.answer(answer(bench.flights[0].call))
        while bench.now < until:
            bench.wait(0.5)
    late = [at for at in probes if at > bench.now - 600]
    pause_s = getattr(outcome, "retry_after_s", None) or 1.0
    assert 1 <= len(late) <= 600 / max(60.0, 10 * pause_s) + 2
    assert len(bench.statuses) >= 1_100
    assert not any(verdict.fault for verdict in bench.verdicts.values())


@pytest.mark.parametrize("outcome", [THROTTLES[0], FAULT])
def test_while_all_are_stopped_another_group_probes_each_time(outcome: Outcome) -> None:
    """Twenty groups, in the order of their commands, then again."""
    bench = busy(20, max_in_flight=1)
    called: list[str | None] = []
    while len(called) < 60:
        if bench.flights:
            bench.answer(outcome)
        elif bench.wanted:
            called += [bench.flights[-1].call.group_id] if bench.grant() and bench.flights else []
        else:
            bench.sleep()
    assert called == [f"g-{n}" for n in range(20)] * 3
    assert bench.settles == []


@given(
    st.lists(st.sampled_from(THROTTLES), min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(0, 40), st.integers(0, 3)), min_size=1, max_size=12),
    st.integers(1, 3),
    st.booleans(),
)
def test_throttled_groups_delay_others_by_their_pauses_only(
    stuck: list[Outcome], arrivals: list[tuple[float, int]], max_in_flight: int, is_slow: bool
) -> None:
    """Some groups that alone are throttled, and commands for others at any time: each of these is answered
    after one pause for each such group at most. Within a group all stay in order."""
    bench = Bench(max_in_flight=max_in_flight)
    bench.deliver(*(add(f"s{n}", "a", group(f"s{n}")) for n in range(len(stuck))))
    answers = {f"g-s{n}": outcome for n, outcome in enumerate(stuck)}
    waiting = sorted(arrivals)
    sent: dict[str, float] = {}
    began = bench.now
    # Where the vendor names no time, or none at all, the pauses grow while nothing else is answered.
    most_s = sum(32.0 if getattr(one, "retry_after_s", None) else 60.0 for one in stuck)
    for _ in range(2_000):
        while waiting and bench.now - began >= waiting[0][0]:
            _, place = waiting.pop(0)
            sent[f"c{len(sent)}"] = bench.now
            bench.deliver(add(f"c{len(sent) - 1}", "a", group(place)))
        if bench.flights and not (is_slow and bench.wanted):
            bench.answer(answers.get(bench.flights[0].call.group_id or "", OK))
        elif bench.wanted:
            bench.grant()
        elif waiting or len(bench.statuses) < len(sent):
            bench.wait(0.25)
        else:
            break
        late = {name for name in sent.keys() - bench.statuses.keys() if bench.now - sent[name] > most_s}
        assert not late
    settled = [name for name in bench.statuses if name in sent]
    for place in range(4):
        names = [f"c{n}" for n, (_, where) in enumerate(sorted(arrivals)) if where == place]
        assert [name for name in settled if name in names] == names
