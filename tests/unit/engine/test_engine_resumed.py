"""What an operator lets go on: whatever held it up is over."""

from engine_bench import LOST, UNREACHABLE, WINDOW_S, Bench
from engine_commands import BY_ID, add, delete

from numbergroup.engine.calls import AccountFault, CallKind
from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.events import Controls, ControlsUpdated
from numbergroup.engine.policy import RetryPolicy

FAULT = AccountFault("1003", "invalid signature")
OTHER = GroupRef("default", HandleKind.ID, "g-2")
PATIENT = RetryPolicy(base_s=100.0, cap_s=100.0)


def tell(bench: Bench, *resumed: str | GroupRef, **paused: dict[GroupRef, str]) -> None:
    bench.feed(ControlsUpdated(Controls(**paused), bench.now, bench.jitter, resumed))  # type: ignore[arg-type]


def test_an_account_that_the_vendor_refuses() -> None:
    """Its next call goes out at once, and not when its pause would have ended."""
    bench = Bench()
    bench.deliver(add("c-1", "a"))
    bench.call()
    bench.answer(FAULT)
    tell(bench, "another")
    assert bench.permits_wanted == 0
    tell(bench, "default")
    assert bench.call().numbers == ("a",)


def test_a_parked_group() -> None:
    """It is tried at once; another one that is parked waits for its time."""
    bench = Bench(retry=PATIENT)
    for name, ref in (("c-1", BY_ID), ("c-2", OTHER)):
        bench.deliver(add(name, "a", ref))
        bench.call()
        bench.answer(UNREACHABLE)
    assert bench.permits_wanted == 0
    tell(bench, BY_ID)
    assert bench.call().group_id == BY_ID.name
    assert bench.permits_wanted == 0


def test_a_call_in_doubt_is_waited_for_all_the_same() -> None:
    """What a lost call could still undo is not sent before that is impossible, whoever asks for it."""
    bench = Bench()
    bench.deliver(add("c-1", "a"))
    bench.call()
    bench.answer(LOST)
    bench.deliver(delete("c-2", "a"))
    tell(bench, BY_ID)
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    while bench.now < 1_000 + WINDOW_S:
        bench.sleep()
    assert bench.call().kind is CallKind.DELETE


def test_what_is_paused_stays_so() -> None:
    """A group that is resumed and paused again before anybody looked is paused."""
    bench = Bench(retry=PATIENT)
    bench.deliver(add("c-1", "a"))
    tell(bench, BY_ID, paused_groups={BY_ID: "maintenance"})
    while bench.wanted:
        bench.grant()
    assert not bench.flights
    tell(bench)
    assert bench.call().numbers == ("a",)


def test_nothing_of_it_is_here() -> None:
    """Groups and accounts that this worker knows nothing of are no concern of its."""
    bench = Bench()
    tell(bench, "another", GroupRef("another", HandleKind.KEY, "k"), BY_ID)
    assert (bench.permits_wanted, bench.flights) == (0, [])
