"""Provenance: every answer names the calls to which the command owes its fate."""

from engine_bench import UNREACHABLE, Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete, delete_group, replace
from engine_strategies import keyed_commands, memberships, updates
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import ModelVendor

from numbergroup.engine.calls import Applied, Call, CallKind, Refused, Unavailable
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.events import LookupResult
from numbergroup.engine.verdicts import Verdict

WHOLE = (CallKind.CREATE, CallKind.REPLACE, CallKind.DELETE_GROUP, CallKind.READ_MEMBERS)


def answered(
    bench: Bench, vendor: ModelVendor, commands: list[Command], fails: set[int], facts: LookupResult
) -> dict[str, Call]:
    """Deliver the commands and see them through; the calls that were carried out, by requestId.

    The calls at the places in `fails` do not reach the vendor.
    """
    made = 0

    def flaky(call: Call) -> Applied | Refused | Unavailable:
        nonlocal made
        made += 1
        return UNREACHABLE if made in fails else vendor.carry_out(call)

    bench.deliver(*commands, facts=facts)
    bench.run(flaky)
    return {f"r{place}": call for place, call in enumerate(vendor.calls, 1)}


def check(verdict: Verdict, calls: dict[str, Call], deciders: dict[str, Command]) -> None:
    """Each requestId is of a call that spoke for the whole group, or named a number that the command
    decided (or, superseded, would have); no call that carried what the command decided is missing."""
    command = verdict.command
    if verdict.status == "rejected":
        assert verdict.request_ids == ()
        return
    assert verdict.request_ids, f"{command.key.id} owes its fate to nobody"
    deciding = verdict.status == "applied"
    decided = {number for number in command.numbers if deciders.get(number) is command}
    spoken_of = decided if deciding else set(command.numbers)
    for name in verdict.request_ids:
        call = calls[name]
        assert call.kind in WHOLE or set(call.numbers) & spoken_of or not command.numbers
    takes_out = command.kind is CommandKind.DELETE
    for name, call in calls.items():
        if deciding and set(call.numbers) & decided and takes_out == (call.kind is CallKind.DELETE):
            assert name in verdict.request_ids


def last_words(commands: list[Command]) -> dict[str, Command]:
    words: dict[str, Command] = {}
    for command in commands:
        if command.kind in (CommandKind.REPLACE, CommandKind.CREATE):
            words.clear()
        words.update(dict.fromkeys(command.numbers, command))
    return words


@given(updates(), memberships, st.integers(1, 6), st.sets(st.integers(1, 6), max_size=3))
def test_updates_name_the_calls_that_carried_their_numbers(
    commands: list[Command], initial: set[str], cap: int, fails: set[int]
) -> None:
    """For any updates, any cap and any failures in between: applied commands name all calls that carried
    what they decided, superseded ones those that decided in their stead, and nobody names a stranger's."""
    bench, vendor = Bench(cap=cap), ModelVendor(cap)
    vendor.put("g-1", initial)
    calls = answered(bench, vendor, commands, fails, LookupResult())
    words = last_words(commands)
    for verdict in bench.verdicts.values():
        check(verdict, calls, words)
        decides = verdict.command in words.values() or (
            verdict.command.kind is CommandKind.REPLACE
            and not any(
                later.kind is CommandKind.REPLACE for later in commands[commands.index(verdict.command) + 1 :]
            )
        )
        assert verdict.status == ("applied" if decides else "superseded")
        assert verdict.merged == len(commands)


@given(keyed_commands(), st.none() | memberships, st.integers(1, 6), st.sets(st.integers(1, 6), max_size=3))
def test_no_answer_is_without_its_calls(
    commands: list[Command], initial: set[str] | None, cap: int, fails: set[int]
) -> None:
    """With creations and deletions too: whoever was not rejected names a call, unless his batch cost none."""
    bench, vendor = Bench(cap=cap), ModelVendor(cap)
    facts = LookupResult()
    if initial is not None:
        vendor.put("g-1", initial)
        facts = LookupResult(bindings={BY_KEY: "g-1"})
    answered(bench, vendor, commands, fails, facts)
    for settle in bench.settles:
        going = [v for v in settle.verdicts if isinstance(v, Verdict) and v.status != "rejected"]
        named = [bool(verdict.request_ids) for verdict in going]
        assert all(named) or not any(named)
        if not any(named):
            # Nothing was sent: made and deleted again before it came to a call.
            kinds = [verdict.command.kind for verdict in going]
            assert not kinds or (CommandKind.CREATE in kinds and kinds[-1] is CommandKind.DELETE_GROUP)


def test_an_overwritten_empty_replace_names_the_call_that_overwrote_it() -> None:
    """It decided no number by name, and still it is answered with what became of the group."""
    bench, vendor = Bench(cap=1), ModelVendor(1)
    vendor.put("g-1", "x")
    bench.deliver(replace("c1", ""), replace("c2", "ab"))
    bench.run(vendor.carry_out)
    assert bench.verdicts["c1"].status == "superseded"
    assert bench.verdicts["c1"].request_ids == ("r1",)
    assert bench.verdicts["c2"].request_ids == ("r1", "r2")


def test_superseded_commands_name_the_deletion_of_their_group() -> None:
    """What precedes the deletion of a group is superseded by it."""
    bench, vendor = Bench(), ModelVendor()
    vendor.put("g-1", "x")
    bench.deliver(add("c1", "a"), delete("c2", "x"), delete_group("c3"))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "superseded", "c2": "superseded", "c3": "applied"}
    assert {verdict.request_ids for verdict in bench.verdicts.values()} == {("r1",)}


def test_a_create_always_names_the_call_that_made_the_group() -> None:
    """Even when later commands decided all of its numbers."""
    bench, vendor = Bench(cap=1), ModelVendor(1)
    bench.deliver(create("c1", "a"), replace("c2", "bc", BY_KEY))
    bench.run(vendor.carry_out)
    assert bench.verdicts["c1"].status == "applied"
    assert bench.verdicts["c1"].request_ids[0] == "r1"


def test_a_vendor_that_names_no_requests_is_quoted_with_none() -> None:
    """No requestId in the vendor's answers: none in ours, and nothing breaks."""
    bench = Bench()
    bench.deliver(add("c1", "a", BY_ID))
    bench.run(lambda _call: Applied(None))
    assert bench.verdicts["c1"].request_ids == ()
    assert bench.statuses == {"c1": "applied"}
