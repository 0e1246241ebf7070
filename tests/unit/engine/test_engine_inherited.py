"""Calls in doubt outlive their worker: what a successor must know, and what it does with it."""

from engine_bench import LOST, WINDOW_S, Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete, listing, replace
from settlements import settlement_of

from numbergroup.engine.calls import Applied, Call, CallKind, Group
from numbergroup.engine.commands import CommandKey, Entry, Origin
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.effects import Settle
from numbergroup.engine.events import LookupResult, PartitionAcquired
from numbergroup.engine.group.creation import marker_of
from numbergroup.engine.verdicts import CRASHED, Refusal
from numbergroup_contracts.results import Status

ADDED = Call(CallKind.ADD, ("a",), "g-1")


def in_doubt(call: Call = ADDED, until: float = 1_000 + WINDOW_S) -> Doubt:
    return Doubt(call, until)


def test_what_conflicts_waits() -> None:
    """A successor does not delete what its predecessor's add may still put in."""
    bench = Bench()
    bench.own(in_doubt())
    bench.deliver(delete("c1", "a"))
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert bench.call().kind is CallKind.DELETE


def test_the_same_call_goes_at_once() -> None:
    """The command that was in flight comes back, and is sent again without waiting."""
    bench = Bench()
    bench.own(in_doubt())
    bench.deliver(add("c1", "a"))
    assert bench.call() == ADDED


def test_other_groups_and_partitions_do_not_wait() -> None:
    """A doubt concerns its group alone."""
    bench = Bench()
    bench.own(in_doubt())
    bench.deliver(delete("c1", "a", BY_KEY), facts=LookupResult(bindings={BY_KEY: "g-9"}))
    assert bench.call() == Call(CallKind.DELETE, ("a",), "g-9")


def test_a_key_that_is_in_doubt_is_known_by_its_id() -> None:
    """The group of a key is looked up when its first command comes, also behind an inherited doubt."""
    bench = Bench()
    late = Doubt(Call(CallKind.ADD, ("a",), "g-9"), 1_000 + WINDOW_S)
    bench.feed(PartitionAcquired(0, {BY_KEY: [late]}, bench.now))
    bench.deliver(add("c1", "b", BY_KEY), facts=LookupResult(bindings={BY_KEY: "g-9"}))
    assert bench.call() == Call(CallKind.ADD, ("b",), "g-9")


def test_a_call_tells_what_else_is_in_doubt() -> None:
    """With each call go the group's earlier ones that a successor must know as well, and none of the past."""
    bench = Bench()
    bench.own(in_doubt())
    bench.deliver(add("c1", "b"))
    bench.call()
    assert [doubt.call for doubt in bench.flights[0].doubts] == [ADDED]
    bench.answer(LOST)
    bench.sleep()
    bench.call()
    doubts = bench.flights[0].doubts
    assert [doubt.call.numbers for doubt in doubts] == [("a",), ("b",)]
    bench.answer(Applied("r1"))
    bench.wait(WINDOW_S)
    bench.deliver(add("c2", "c"))
    bench.call()
    assert bench.flights[0].doubts == ()


def test_the_ledger_may_forget_answered_calls() -> None:
    """When a batch ends and nothing of its group is in doubt, no successor needs to know its calls."""
    bench = Bench(cap=1)
    bench.own()
    bench.deliver(add("c1", "ab"))
    bench.call()
    bench.answer(Applied("r1"))
    assert bench.calls_done == []
    bench.call()
    last = bench.flights[0].call_id
    bench.answer(Applied("r2"))
    assert bench.calls_done == [(BY_ID, last)]


def test_a_doubt_is_kept_until_it_ends() -> None:
    """Settled or not: while a call may take effect the ledger keeps it, and no longer."""
    bench = Bench()
    bench.own()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(Applied("r1"), doubt=True)
    assert bench.statuses == {"c1": "applied"}
    assert bench.calls_done == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert [ref for ref, _ in bench.calls_done] == [BY_ID]
    assert bench.settles[-1].verdicts == []


def test_an_inherited_doubt_that_nobody_asks_about_ends() -> None:
    """Without any command for its group, too; and not before its time."""
    bench = Bench()
    bench.own(in_doubt(), in_doubt(until=1_010.0))
    bench.wait(30.0)
    assert bench.settles == []
    bench.wait(31.0)
    assert bench.calls_done == [(BY_ID, 0)]


def test_looks_and_creates_are_not_calls_to_remember() -> None:
    """A create has its intent; a look changes nothing."""
    bench = Bench()
    bench.own()
    bench.deliver(listing("c1"), create("c2", "a"))
    for _ in range(2):
        bench.call()
    bench.answer(Applied("r1", groups=()))
    bench.answer(Applied("r2", "g-5"))
    assert bench.statuses == {"c1": "applied", "c2": "applied"}
    assert bench.calls_done == []


def test_a_replace_that_was_in_flight_with_others_behind_it() -> None:
    """A successor merges what came meanwhile, and waits, since the late replace would undo it."""
    bench = Bench()
    bench.own(in_doubt(Call(CallKind.REPLACE, ("a",), "g-1")))
    bench.deliver(replace("c1", "a"), add("c2", "b"))
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.call() == Call(CallKind.REPLACE, ("a", "b"), "g-1")


def test_a_created_group_to_which_more_was_sent() -> None:
    """A dead worker made the group and sent an add to it, which may come after the successor has looked."""
    bench = Bench()
    made = create("c1", "ab")
    intent = CreateIntent(marker_of(made.key), None, "", 1_010.0)
    late = Doubt(Call(CallKind.ADD, ("z",), "g-9"), 1_000 + WINDOW_S)
    bench.feed(PartitionAcquired(0, {BY_KEY: [late]}, bench.now))
    bench.deliver(made, replace("c2", "ab", BY_KEY), facts=LookupResult(intents={BY_KEY: intent}))
    assert bench.call().kind is CallKind.FIND_CREATED
    bench.answer(Applied("r1", groups=(Group("g-9", "", f"[{marker_of(made.key)}]", ("a", "b")),)))
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert bench.call() == Call(CallKind.DELETE, ("z",), "g-9"), "all else was seen"


def test_what_was_in_flight_does_not_expire() -> None:
    """`expired` promises that the vendor did nothing: what a dead worker may have sent is seen through."""
    bench = Bench()
    sent, unsent = add("c1", "a", expires_at=995.0), add("c2", "a", expires_at=995.0)
    bench.feed(PartitionAcquired(0, {}, bench.now, [sent.key]))
    bench.deliver(sent, unsent)
    assert bench.call() == ADDED
    bench.answer(Applied("r1"))
    assert bench.statuses == {"c1": "applied", "c2": "expired"}


def test_what_can_expire_is_told() -> None:
    """With each call, those of its commands that could expire before a successor takes them up."""
    bench = Bench(cap=1)
    expired, expiring = add("c1", "a", expires_at=995.0), add("c2", "b", expires_at=1_005.0)
    bench.deliver(expired, expiring, add("c3", "c"))
    bench.call()
    assert bench.flights[0].expirable_keys == (expiring.key,)
    bench.wait(10.0)
    bench.answer(Applied("r1"))
    bench.call()
    assert bench.flights[0].expirable_keys == (expiring.key,)
    bench.answer(Applied("r2"))
    assert settlement_of(bench.settles, bench.now).attempts_done == [expired.key, expiring.key]


def test_a_repeat_ends_no_attempt() -> None:
    """Another command under the key of one that waits is refused, and the first one stays attempted."""
    bench = Bench()
    first, other = add("c1", "a", expires_at=1_005.0), add("c1", "b", expires_at=1_005.0)
    bench.deliver(first, other)
    assert bench.statuses == {"c1": "rejected"}
    assert settlement_of(bench.settles, bench.now).attempts_done == []


def test_what_workers_died_of_is_attempted_no_more() -> None:
    """It is answered without being read again: under its id another command may come one day."""
    key = CommandKey("test", "c1")
    origin = Origin(Entry(0, "1-0", b"{}"), 0)
    refusal = Refusal(origin, "workers died", b"{}", key, kind=CRASHED, status=Status.FAILED)
    other = Refusal(origin, "not JSON", b"{}", CommandKey("test", "c2"))
    unit = settlement_of([Settle(0, [refusal, other], 1_000.0)], 1_000.0)
    assert unit.attempts_done == [key]
