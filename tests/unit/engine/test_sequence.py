"""`sequence`: a source's later word on a group holds, in whatever order its commands arrive."""

from dataclasses import replace as but

import pytest
from engine_bench import Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete, delete_group, listing, replace
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import ModelVendor
from settlements import settlement_of

from numbergroup.engine.calls import Refused
from numbergroup.engine.commands import Command, CommandKey, SequenceKey
from numbergroup.engine.events import LookupResult
from numbergroup.engine.partition import state
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Verdict


def at(sequence: int | None, command: Command, source: str = "test") -> Command:
    return but(command, sequence=sequence, key=CommandKey(source, command.key.id))


def ask(vendor: ModelVendor, bench: Bench, *commands: Command, facts: LookupResult | None = None) -> None:
    bench.deliver(*commands, facts=facts)
    bench.run(vendor.carry_out)


def with_group(numbers: str = "") -> ModelVendor:
    vendor = ModelVendor()
    vendor.put("g-1", numbers)
    return vendor


def units(bench: Bench) -> Settlement:
    return settlement_of(bench.settles, bench.now)


def test_a_lower_one_comes_too_late() -> None:
    """It is superseded, whether what was said later is settled already or waits beside it."""
    vendor, bench = with_group(), Bench()
    ask(vendor, bench, at(5, add("c1", "a")), at(3, delete("c2", "a")))
    ask(vendor, bench, at(4, replace("c3", "b")), at(5, add("c4", "c")), at(6, add("c5", "d")))
    assert vendor.members("g-1") == set("acd")
    assert bench.statuses == {
        "c1": "applied",
        "c2": "superseded",
        "c3": "superseded",
        "c4": "applied",
        "c5": "applied",
    }


def test_it_carries_the_request_that_decided() -> None:
    """What was decided together is answered with the requestId of the call that did."""
    vendor, bench = with_group(), Bench()
    ask(vendor, bench, at(5, add("c1", "a")), at(3, delete("c2", "a")), at(2, delete("c3", "z")))
    assert bench.verdicts["c2"].request_ids == bench.verdicts["c1"].request_ids == ("r1",)
    assert bench.verdicts["c3"].request_ids == ()


def test_the_ledger_knows_what_was_settled_before() -> None:
    """A successor goes by what is recorded; an older look-up does not undo what this engine has seen."""
    vendor, bench = with_group(), Bench()
    settled = LookupResult(sequences={SequenceKey("test", BY_ID): 7})
    ask(vendor, bench, at(6, add("c1", "a")), at(9, add("c2", "b")), facts=settled)
    ask(vendor, bench, at(8, add("c3", "c")), facts=settled)
    assert vendor.members("g-1") == set("b")


def test_what_is_recorded() -> None:
    """The last word of each source on each group, and of nothing else."""
    vendor, bench = with_group(), Bench()
    ask(
        vendor,
        bench,
        at(5, add("c1", "a")),
        at(3, add("c2", "b")),
        at(1, add("c3", "c"), source="other"),
        add("c4", "d"),
        at(2, listing("c5")),
    )
    assert units(bench).sequences == {SequenceKey("test", BY_ID): 5, SequenceKey("other", BY_ID): 1}


def test_a_refused_one_has_been_said_all_the_same() -> None:
    """What its source said after it is not undone because the vendor would not do it."""
    bench = Bench()
    bench.deliver(at(5, add("c1", "a")))
    bench.run(lambda _: Refused("1002", "no"))
    ask(with_group(), bench, at(4, add("c2", "b")))
    assert bench.statuses == {"c1": "rejected", "c2": "superseded"}
    assert units(bench).sequences == {SequenceKey("test", BY_ID): 5}


def test_what_was_never_accepted_does_not_count() -> None:
    """A command for an account that does not exist says nothing about the group."""
    vendor, bench = with_group(), Bench()
    elsewhere = but(at(9, add("c1", "a")), group=BY_ID._replace(account="nobody"))
    ask(vendor, bench, elsewhere, at(5, add("c2", "b")))
    assert units(bench).sequences == {SequenceKey("test", BY_ID): 5}


def test_a_repeat_is_no_late_comer() -> None:
    """The same command again gets its first answer, though others have been settled since."""
    vendor, bench = with_group(), Bench()
    ask(vendor, bench, at(5, add("c1", "a")))
    ask(vendor, bench, at(6, add("c2", "b")))
    ask(vendor, bench, at(5, add("c1", "a")))
    last = bench.settles[-1].verdicts[0]
    assert isinstance(last, Verdict)
    assert last.repeat_of is not None
    assert last.status == "applied"


@pytest.mark.parametrize("late", [at(1, create("late", "z")), at(1, delete_group("late", BY_KEY))])
def test_late_creations_and_deletions(late: Command) -> None:
    """They neither make a second group nor take the one away that was wanted since."""
    vendor, bench = ModelVendor(), Bench()
    ask(vendor, bench, at(2, create("c1", "a")), at(3, add("c2", "b", BY_KEY)))
    ask(
        vendor,
        bench,
        late,
        at(4, add("c3", "c", BY_KEY)),
        facts=LookupResult(bindings={BY_KEY: "made-by-r1"}),
    )
    assert bench.statuses["late"] == "superseded"
    assert vendor.members("made-by-r1") == set("abc")


def test_what_waits_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many other groups go by meanwhile; what is settled is forgotten, for the ledger has it."""
    monkeypatch.setattr(state, "_SEQUENCES_KEPT", 3)
    vendor, bench = with_group(), Bench(max_in_flight=1)
    bench.deliver(at(5, add("c1", "a")))
    for place in range(10):
        passing = PartitionState()
        passing.sequences = bench.engine._groups.partitions[0].sequences
        passing.groups = bench.engine._groups.partitions[0].groups
        other = BY_ID._replace(name=f"other-{place}")
        passing.note_sequence(at(9, add(f"o{place}", "z", other)), LookupResult())
    assert len(passing.sequences) <= 4
    bench.deliver(at(3, delete("c2", "a")))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "superseded"}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.sets(st.integers(0, 11)), st.booleans())
def test_the_timing_of_calls_changes_nothing(sequences: list[int], cuts: set[int], crash: bool) -> None:
    """However the commands are cut into batches, and whoever settles them: the same are stale."""
    vendor, bench = with_group(), Bench()
    recorded: dict[SequenceKey, int] = {}
    for place, sequence in enumerate(sequences):
        bench.deliver(
            at(sequence, replace(f"c{place}", "abcdefghijkl"[place])), facts=LookupResult(sequences=recorded)
        )
        if place in cuts:
            bench.run(vendor.carry_out)
            recorded = dict(units(bench).sequences)
            if crash:
                bench.lose_lease()
    bench.run(vendor.carry_out)
    best, expected = -1, ""
    for place, sequence in enumerate(sequences):
        if sequence >= best:
            best, expected = sequence, "abcdefghijkl"[place]
    assert vendor.members("g-1") == {expected}
