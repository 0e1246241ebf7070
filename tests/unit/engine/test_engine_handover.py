"""One partition is handed over while the others go on: it starts nothing more, and loses nothing."""

from collections.abc import Iterable

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import add, replace

from numbergroup.engine.calls import Applied, Throttled
from numbergroup.engine.commands import Command, GroupRef, HandleKind
from numbergroup.engine.effects import Settle
from numbergroup.engine.events import Delivered, Drain, LookupResult, PartitionLost


def group(name: str) -> GroupRef:
    return GroupRef("default", HandleKind.ID, name)


def deliver(bench: Bench, partition: int, *commands: Command) -> None:
    bench.feed(Delivered(partition, commands, LookupResult(), bench.now))


def grant_all(bench: Bench) -> list[int]:
    """Grant what was asked for; the partitions of the calls that started."""
    before = len(bench.flights)
    while bench.permits_wanted:
        bench.grant()
    return [flight.partition for flight in bench.flights[before:]]


def settled(bench: Bench) -> list[int]:
    return [settle.partition for settle in bench.settles]


def lone(partition: int, names: Iterable[str]) -> list[Command]:
    return [add(name, "a", group(f"g-{partition}-{name}")) for name in names]


def test_what_is_in_flight_is_settled_and_nothing_starts() -> None:
    """The call in flight ends in a settlement; what waits, and what comes, stays for the next owner."""
    bench = Bench()
    deliver(bench, 0, *lone(0, ["c1"]))
    grant_all(bench)
    deliver(bench, 0, *lone(0, ["c2"]))
    bench.feed(Drain(0))
    deliver(bench, 0, *lone(0, ["c1b", "c3"]))
    assert grant_all(bench) == []
    bench.answer(Applied("r1"))
    bench.wait(100)
    assert grant_all(bench) == []
    assert bench.statuses == {"c1": "applied"}


def test_the_others_go_on() -> None:
    """Permits that were asked for by groups of the draining partition go to those of the others."""
    bench = Bench(max_in_flight=4)
    deliver(bench, 0, *lone(0, ["c1", "c2", "c3"]))
    assert bench.permits_wanted == 3
    bench.feed(Drain(0))
    deliver(bench, 1, *lone(1, ["c4", "c5", "c6"]))
    assert bench.permits_wanted == 3
    assert grant_all(bench) == [1, 1, 1]
    for _ in range(3):
        bench.answer(Applied("r1"))
    assert settled(bench) == [1, 1, 1]


def test_no_permit_is_asked_for_a_partition_that_is_gone() -> None:
    """What waited for a permit when its partition was lost does not hold up those who wait now."""
    bench = Bench(max_in_flight=1)
    deliver(bench, 0, *lone(0, ["c1", "c2"]))
    bench.grant()
    bench.feed(PartitionLost(0))
    bench.answer(Applied("r1"))
    assert bench.permits_wanted == 0
    deliver(bench, 1, *lone(1, ["c3"]))
    assert grant_all(bench) == [1]


def test_the_longest_waiting_group_goes_first_across_partitions() -> None:
    """A scarce permit goes to whoever waits longest, whichever of the worker's partitions it is in."""
    bench = Bench(max_in_flight=1)
    for partition, name in [(2, "c1"), (0, "c2"), (1, "c3"), (0, "c4"), (2, "c5")]:
        deliver(bench, partition, *lone(partition, [name]))
    order = []
    for _ in range(5):
        order += grant_all(bench)
        bench.answer(Applied("r1"))
    assert order == [2, 0, 1, 0, 2]


@pytest.mark.parametrize("outcome", [UNREACHABLE, LOST, Throttled(1.0, "429", "slow down")])
def test_a_call_that_failed_is_not_made_again(outcome: object) -> None:
    """A group that would be tried again is left to the next owner, however long the hand-over takes."""
    bench = Bench()
    deliver(bench, 0, *lone(0, ["c1"]))
    grant_all(bench)
    bench.feed(Drain(0))
    bench.answer(outcome)  # type: ignore[arg-type]
    for _ in range(10):
        bench.wait(60)
        assert grant_all(bench) == []
    assert bench.settles == []


def test_a_batch_of_several_calls_is_left_between_them() -> None:
    """Half of a batch is settled by nobody: the next owner does all of it again."""
    bench = Bench(cap=1)
    deliver(bench, 0, add("c1", "ab"))
    grant_all(bench)
    bench.feed(Drain(0))
    bench.answer(Applied("r1"))
    assert grant_all(bench) == []
    assert bench.settles == []


def test_taken_again() -> None:
    """Handed over and taken back, the partition begins anew, and does what it left."""
    bench = Bench()
    deliver(bench, 0, *lone(0, ["c1"]))
    bench.feed(Drain(0))
    bench.feed(PartitionLost(0))
    deliver(bench, 0, *lone(0, ["c1"]))
    assert grant_all(bench) == [0]
    (settle,) = bench.answer(Applied("r1"))
    assert isinstance(settle, Settle)
    assert bench.statuses == {"c1": "applied"}


def test_draining_a_partition_that_has_nothing() -> None:
    """It may be handed over before its first command was read."""
    bench = Bench()
    bench.feed(Drain(3))
    deliver(bench, 3, replace("c1", "a"))
    assert bench.permits_wanted == 0
    assert bench.engine.memory_load(3) == 1
