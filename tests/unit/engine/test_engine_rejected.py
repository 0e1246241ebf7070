"""Numbers that the vendor names and does not take: whose they are, and what their commands are answered."""

import json
from collections.abc import Callable

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import BY_ID, BY_KEY, add, command, create, delete, replace
from engine_wire import results
from model_vendor import ModelVendor
from settlements import settlement_of

from numbergroup.engine.calls import Applied, Call, CallKind, Details, Outcome
from numbergroup.engine.commands import Command, CommandKind, GroupRef
from numbergroup.engine.events import LookupResult
from numbergroup.engine.group.attribution import summarize_decisions
from numbergroup.engine.records import build_record
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Record, Verdict
from numbergroup_contracts.results import Status


def settled(rejects: str, *commands: Command, initial: str = "") -> Bench:
    bench, vendor = Bench(), ModelVendor(rejects=rejects)
    vendor.put("g-1", initial)
    bench.deliver(*commands)
    bench.run(vendor.carry_out)
    return bench


def answers(bench: Bench) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: (one.status.value, one.rejected) for name, one in bench.verdicts.items()}


def unit_of(bench: Bench) -> Settlement:
    return settlement_of(bench.settles, bench.now)


def test_a_command_some_of_whose_numbers_were_not_taken() -> None:
    """It is partial, and names them; its neighbours, merged into the same call, are applied."""
    bench = settled("bx", add("c1", "abx"), add("c2", "c"))
    assert answers(bench) == {"c1": ("partial", ("b", "x")), "c2": ("applied", ())}
    assert bench.verdicts["c1"].fault is None


def test_a_command_none_of_whose_numbers_was_taken() -> None:
    """It is rejected, with a reason, and names them all."""
    bench = settled("ab", add("c1", "ab"), add("c2", "c"))
    assert answers(bench) == {"c1": ("rejected", ("a", "b")), "c2": ("applied", ())}
    fault = bench.verdicts["c1"].fault
    assert fault is not None
    assert (fault.kind, fault.message) == ("refused", "the vendor took none of its numbers")


def test_only_those_that_it_decided_count() -> None:
    """A number that a later command named is the later one's to answer for; who decided nothing that was
    taken is rejected, and who decided nothing at all is superseded."""
    bench = settled("ab", add("c1", "abc"), add("c2", "a"), add("c3", "b"), add("c4", "bd"))
    assert answers(bench) == {
        "c1": ("applied", ()),
        "c2": ("rejected", ("a",)),
        "c3": ("superseded", ()),
        "c4": ("partial", ("b",)),
    }


def test_who_decides_the_whole_group_is_partial_at_worst() -> None:
    """A replace, and a create, have decided about all other numbers as well."""
    assert answers(settled("a", replace("c1", "a"), initial="xy")) == {"c1": ("partial", ("a",))}
    assert answers(settled("a", create("c1", "a"))) == {"c1": ("partial", ("a",))}


def test_they_are_not_told_again_when_the_batch_is_cut_anew() -> None:
    """Newer commands may merge in meanwhile: who asks the same of such a number gets the same answer."""
    bench, vendor = Bench(cap=2), ModelVendor(cap=2, rejects="b")
    vendor.put("g-1", "")
    bench.deliver(add("c1", "abc"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(add("c2", "bd"))
    bench.run(vendor.carry_out)
    assert [call.numbers for call in vendor.calls] == [("a", "b"), ("c", "d")]
    assert answers(bench) == {"c1": ("applied", ()), "c2": ("partial", ("b",))}


def test_a_delete_of_one_is_told_all_the_same() -> None:
    """It was not taken now; it may have been in the group before."""
    bench, vendor = Bench(cap=1), ModelVendor(cap=1, rejects="a")
    vendor.put("g-1", "a")
    bench.deliver(add("c1", "ab"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(delete("c2", "a"))
    bench.run(vendor.carry_out)
    assert vendor.members("g-1") == {"b"}
    assert answers(bench) == {"c1": ("applied", ()), "c2": ("applied", ())}


def test_a_replace_is_the_last_word_on_what_was_not_taken_before() -> None:
    """A deletion that the vendor did not take is carried out by the replace that leaves the number out."""
    bench, vendor = Bench(cap=1), ModelVendor(cap=1)
    vendor.put("g-1", "a")
    bench.deliver(delete("c1", "a"), add("c2", "b"))
    bench.call()
    bench.answer(Applied("r0", rejected=("a",)))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(replace("c3", "c"), delete("c4", "a"))
    bench.run(vendor.carry_out)
    assert vendor.members("g-1") == {"c"}
    assert answers(bench)["c4"] == ("applied", ())


def test_a_lost_answer_is_asked_for_again() -> None:
    """Which numbers were not taken is learnt from the answer to the same call, sent again."""
    bench, vendor = Bench(), ModelVendor(rejects="b")
    vendor.put("g-1", "")
    bench.deliver(add("c1", "ab"))
    vendor.carry_out(bench.call())
    bench.answer(LOST)
    bench.run(vendor.carry_out)
    assert vendor.calls[0] == vendor.calls[1]
    assert answers(bench) == {"c1": ("partial", ("b",))}


def test_numbers_that_nobody_sent_are_nobodys() -> None:
    """A vendor that names others than those of the call is not believed."""
    bench = Bench()
    bench.deliver(add("c1", "ab"))
    bench.call()
    bench.answer(Applied("r1", rejected=("b", "z")))
    assert answers(bench) == {"c1": ("partial", ("b",))}


def test_the_call_that_did_not_take_them_is_in_the_answer() -> None:
    """With the requestId one can ask the vendor why."""
    bench = Bench(cap=1)
    bench.deliver(add("c1", "a"), add("c2", "b"))
    for request_id, rejected in (("r1", ()), ("r2", ("b",))):
        bench.call()
        bench.answer(Applied(request_id, rejected=rejected))
    assert {name: one.request_ids for name, one in bench.verdicts.items()} == {"c1": ("r1",), "c2": ("r2",)}


def test_the_answer_names_them_and_only_what_failed_has_a_letter() -> None:
    """`rejectedNumbers` is in the event; a partial command has done its work and is no dead letter."""
    unit = unit_of(settled("abx", add("c1", "ac"), add("c2", "bx")))
    partial, rejected = results(unit)
    assert (partial.data.status, partial.data.rejectedNumbers, partial.data.error) == (
        Status.PARTIAL,
        ["a"],
        None,
    )
    assert (rejected.data.status, rejected.data.rejectedNumbers) == (Status.REJECTED, ["b", "x"])
    assert rejected.data.deadLetterId is not None
    assert [letter.id for letter in unit.dead_letters] == [rejected.data.deadLetterId]


def test_the_letter_tells_that_it_was_tried() -> None:
    """Numbers that were not taken are an attempt that failed, of their commands alone."""
    (letter,) = unit_of(settled("x", add("c1", "a"), add("c2", "x"))).dead_letters
    said = json.loads(letter.description)
    assert (said["command"]["id"], said["attempts"]) == ("c2", 1)


def test_an_answer_without_any_says_nothing_of_them() -> None:
    """Consumers that know nothing of them see what they always saw."""
    (answer,) = results(unit_of(settled("", add("c1", "a"))))
    assert answer.data.rejectedNumbers is None


def test_a_repeat_gets_the_same_answer() -> None:
    """From memory, and from what the ledger keeps."""
    first = settled("b", add("c1", "ab"))
    kept: Record = build_record(first.verdicts["c1"], first.now)
    later = Bench()
    repeat = command(CommandKind.ADD, "c1", "ab")
    later.deliver(repeat, facts=LookupResult({repeat.key: kept}))
    assert results(unit_of(later)) == results(unit_of(first))
    first.deliver(add("c1", "ab"))
    assert [one.data.rejectedNumbers for one in results(unit_of(first))] == [["b"], ["b"]]


def test_what_was_not_taken_is_not_decided() -> None:
    """A command that is tried again later must not leave such a number out as decided by somebody since."""
    bench, vendor = Bench(), ModelVendor(rejects="b")
    vendor.put("g-1", "")
    bench.deliver(add("c1", "ab"), add("c2", "c"))
    call = bench.call()
    group = bench.engine._groups.partitions[0].groups[BY_ID]
    batch = group.state.batch
    assert batch is not None
    bench.answer(vendor.carry_out(call))
    verdicts: list[Verdict] = list(bench.verdicts.values())
    assert summarize_decisions(BY_ID, batch, verdicts).numbers == [("a", True, 0), ("c", True, 1)]


def test_of_a_created_group_too() -> None:
    """What the create itself could not put in is not added again, and the rest of the batch is."""
    bench, vendor = Bench(cap=2), ModelVendor(cap=2, rejects="b", replaces=False)
    bench.deliver(create("c1", "abcd"))
    bench.run(vendor.carry_out)
    assert [call.kind for call in vendor.calls] == [CallKind.CREATE, CallKind.ADD]
    assert answers(bench) == {"c1": ("partial", ("b",))}
    (ref,) = bench.bindings
    assert ref == GroupRef("default", BY_KEY.kind, BY_KEY.name)


def test_expiries_of_one_group_are_told_apart() -> None:
    """A number that was not taken for one expiry is told for another one."""
    bench, vendor = Bench(number_expiry=True), ModelVendor(rejects="b")
    vendor.put("g-1", "")
    bench.deliver(add("c1", "ab", number_expiry=5_000.0), add("c2", "c"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(add("c3", "b"))
    bench.run(vendor.carry_out)
    assert vendor.calls == [
        Call(CallKind.ADD, ("a", "b"), "g-1", expires_at=5_000.0),
        Call(CallKind.ADD, ("b", "c"), "g-1"),
    ]
    assert answers(bench) == {"c1": ("applied", ()), "c2": ("applied", ()), "c3": ("rejected", ("b",))}


def spelt(number: str) -> str:
    """Of `x…` and `…` the first is the one spelling."""
    return number if number.startswith("x") else f"x{number}"


def test_two_spellings_are_one_number() -> None:
    """The last word on a number wins, however it is written; the vendor hears of it in one spelling, and the
    producer in its own."""
    bench = Bench()
    commands = add("c1", ["a", "b"]), delete("c2", ["xa"]), add("c3", ["xc", "c"])
    for one in commands:
        one.normalize_numbers(spelt)
    bench.deliver(*commands)
    calls: list[Call] = []

    def vendor(call: Call) -> Outcome:
        calls.append(call)
        return Applied("r", rejected=("xb",) if call.kind is CallKind.ADD else ())

    bench.run(vendor)
    assert [(call.kind, call.numbers) for call in calls] == [
        (CallKind.DELETE, ("xa",)),
        (CallKind.ADD, ("xb", "xc")),
    ]
    assert bench.statuses == {"c1": "rejected", "c2": "applied", "c3": "applied"}
    assert bench.verdicts["c1"].command.as_received(bench.verdicts["c1"].rejected) == ("b",)


NONE = Applied(None, rejected=("a", "b"), nothing_applied=True, details=Details({"inserted": 0}))


@pytest.mark.parametrize("make", [add, delete])
def test_a_success_that_names_nothing_took_nothing(make: Callable[..., Command]) -> None:
    """Who asked for it is told that none of the numbers was taken."""
    bench = Bench()
    bench.deliver(make("c1", "ab"))
    bench.run(lambda _: NONE)
    assert bench.statuses == {"c1": "rejected"}
    assert bench.verdicts["c1"].rejected == ("a", "b")
    assert bench.verdicts["c1"].vendor == b'{"inserted":0}'


@pytest.mark.parametrize("make", [add, delete])
def test_nothing_is_left_to_take_of_what_may_have_been_done(make: Callable[..., Command]) -> None:
    """A request without an answer may have been carried out: that the vendor takes nothing the second time
    says nothing, and nobody is told that it failed."""
    bench, answers_ = Bench(), iter((LOST, NONE))
    bench.deliver(make("c1", "ab"))
    bench.run(lambda _: next(answers_))
    assert bench.statuses == {"c1": "applied"}


def test_details_are_those_of_the_calls_that_decided() -> None:
    """Counts of several calls are summed up; a command has those of its own numbers' calls, each once."""
    bench = Bench(cap=2)
    said = {("d",): Details({"deleted": 1}), ("a", "b"): Details({"new": 2}), ("c",): Details({"new": 1})}
    bench.deliver(add("c1", "abc"), delete("c2", "d"), add("c3", "c"), add("c4", "ab"))
    bench.run(lambda call: Applied(None, details=said[call.numbers]))
    assert {name: verdict.vendor for name, verdict in bench.verdicts.items()} == {
        "c1": b'{"new":3}',
        "c2": b'{"deleted":1}',
        "c3": b'{"new":1}',
        "c4": b'{"new":2}',
    }


def test_a_repeat_gets_the_details_too() -> None:
    """The first result, as it was."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.run(lambda _: Applied(None, details=Details({"new": 1})))
    bench.deliver(add("c1", "a"))
    _first, again = (verdict for settle in bench.settles for verdict in settle.verdicts)
    assert isinstance(again, Verdict)
    assert again.repeat_of is not None
    assert again.repeat_of.vendor == b'{"new":1}'
