"""A refused batch is halved in order until one command stands alone: that one is rejected."""

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete, replace
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import ModelVendor, OneByOne

from numbergroup.engine.calls import Applied, CallKind, Refused
from numbergroup.engine.commands import Command

GOOD = "abcdefgh"
BAD = "pqrstuvwxyzABCDEFGH"


def good_and_bad(drawn: list[tuple[bool, int, bool]]) -> list[Command]:
    """Updates of one group, some of which name a number, each its own, that the vendor refuses."""
    commands = []
    for place, (adds, bits, bad) in enumerate(drawn):
        numbers = [number for n, number in enumerate(GOOD) if bits >> n & 1] or [GOOD[0]]
        commands.append((add if adds else delete)(f"c{place}", numbers + [BAD[place]] * bad))
    return commands


mixed = st.lists(st.tuples(st.booleans(), st.integers(0, 255), st.booleans()), min_size=1, max_size=16)


def is_bad(command: Command) -> bool:
    return not set(command.numbers).isdisjoint(BAD)


@given(mixed.map(good_and_bad), st.integers(0, 8).map(lambda n: set(GOOD[:n])))
def test_the_bad_are_rejected_and_the_good_go_through(commands: list[Command], initial: set[str]) -> None:
    """Of any commands of one group, exactly those that the vendor refuses are rejected, each for itself,
    and the group ends as the others leave it, one by one."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", initial)
    bench.deliver(*commands)
    bench.run(vendor.carry_out)
    model = OneByOne.starting_with(BY_ID, initial)
    model.apply_all(command for command in commands if not is_bad(command))
    assert vendor.members("g-1") == model.groups[BY_ID]
    assert list(bench.statuses) == [command.key.id for command in commands]
    for command in commands:
        verdict = bench.verdicts[command.key.id]
        if is_bad(command):
            assert (verdict.status, verdict.merged) == ("rejected", 1)
            assert verdict.fault.code == "1002"
            assert verdict.request_ids
        else:
            assert verdict.status in ("applied", "superseded")


@pytest.mark.parametrize("place", [0, 100, 255])
def test_one_bad_among_many_costs_few_calls(place: int) -> None:
    """Halving: calls grow with the logarithm of the batch's size, not with the size."""
    commands = [add(f"c{n}", [f"n{n}"]) for n in range(256)]
    commands[place] = add(f"c{place}", "p")
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", "")
    bench.deliver(*commands)
    bench.run(vendor.carry_out)
    assert len(vendor.calls) <= 4 * 8
    assert list(bench.statuses.values()).count("rejected") == 1


def test_what_was_carried_before_the_refusal_is_not_sent_again() -> None:
    """The deletes of a batch went through, its adds were refused: halving does not repeat the deletes."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", "klm")
    bench.deliver(delete("c1", "k"), add("c2", "p"), delete("c3", "l"), delete("c4", "m"))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "rejected", "c3": "applied", "c4": "applied"}
    assert [call.kind for call in vendor.calls].count(CallKind.DELETE) == 1
    assert bench.verdicts["c4"].request_ids == ("r1",)
    assert vendor.members("g-1") == set()


def test_halving_goes_on_past_a_command_that_expired() -> None:
    """An expired command at the head of what is left does not end the halving, nor what is known."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", "klm")
    commands = [
        add("c1", "a"),
        add("c2", "b"),
        add("c3", "c", expires_at=0.0),
        delete("c4", "k"),
        add("c5", "p"),
    ]
    bench.deliver(*commands)
    bench.run(vendor.carry_out)
    assert [call.kind for call in vendor.calls].count(CallKind.DELETE) == 1
    assert list(bench.statuses.values()) == ["applied", "applied", "expired", "applied", "rejected"]


def test_commands_that_come_meanwhile_wait_for_the_halving_to_end() -> None:
    """Newer commands do not make the suspicious batch larger again."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", "")
    bench.deliver(add("c1", "a"), add("c2", "p"), add("c3", "b"), add("c4", "c"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.deliver(*(add(f"d{n}", "d") for n in range(8)))
    assert bench.call().numbers == ("a", "p")


def test_a_create_is_separated_from_the_bad_that_follow_it() -> None:
    """A create merged with a bad update: the group is made, the update is rejected."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    bench.deliver(create("c1", "a"), add("c2", "p", BY_KEY), add("c3", "b", BY_KEY))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "rejected", "c3": "applied"}
    assert [group.numbers for group in vendor.groups.values()] == [set("ab")]


def test_the_numbers_of_others_leave_a_group_that_was_made_with_them() -> None:
    """Made with everybody's numbers, then halved: what a rejected command had put in is taken out again."""
    bench, vendor = Bench(cap=2), ModelVendor(cap=2, poison=BAD)
    bench.deliver(create("c1", "a"), add("c2", "bp", BY_KEY), add("c3", "c", BY_KEY))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "rejected", "c3": "applied"}
    assert [group.numbers for group in vendor.groups.values()] == [set("ac")]


def test_a_bad_replace_leaves_the_group_as_it_was() -> None:
    """Rejected alone, a replace has changed nothing."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", "k")
    bench.deliver(replace("c1", "ap"), add("c2", "b"))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "rejected", "c2": "applied"}
    assert vendor.members("g-1") == {"k", "b"}


def test_a_rejected_command_names_the_call_that_carried_some_of_its_numbers() -> None:
    """When a call that it shared with others went through before the refusal, its sender is told of it."""
    bench, vendor = Bench(cap=2), ModelVendor(cap=2, poison=BAD)
    vendor.put("g-1", "")
    bench.deliver(add("c1", "a"), add("c2", "bp"))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "rejected"}
    assert bench.verdicts["c2"].request_ids == ("r1", "r3")
    assert vendor.calls[0].numbers == ("a", "b")


def test_an_unlisted_group_is_the_command_s_own_fault() -> None:
    """An empty replace of a group that the vendor does not list is rejected."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(replace("c1", ""))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "rejected"}


def test_a_failure_while_halving_keeps_the_halves() -> None:
    """Being unreachable in between does not start the halving over."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", "")
    bench.deliver(add("c1", "a"), add("c2", "p"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.sleep()
    assert bench.call().numbers == ("a",)


def test_the_refusal_of_one_is_answered_in_the_vendors_words() -> None:
    """Code, message and requestId of the refusal are in the verdict."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(Refused("10004", "country-code mismatch", "r9"))
    verdict = bench.verdicts["c1"]
    assert (verdict.fault.kind, verdict.fault.code) == ("refused", "10004")
    assert verdict.fault.message == "country-code mismatch"
    assert verdict.request_ids == ("r9",)


def test_isolation_ends_with_its_batch() -> None:
    """Once the refused batch is settled, everything that waits is merged again."""
    bench, vendor = Bench(), ModelVendor(poison=BAD)
    vendor.put("g-1", "")
    bench.deliver(add("c1", "p"), add("c2", "a"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.deliver(*(add(f"d{n}", [f"n{n}"]) for n in range(4)))
    for _ in range(2):
        bench.answer(vendor.carry_out(bench.call()))
    assert bench.call().numbers == ("n1", "n2", "n3")
    bench.answer(Applied("r"))
    assert bench.statuses["c1"] == "rejected"


def test_nobody_is_blamed_for_doubtful_numbers_of_others() -> None:
    """A call in doubt may have brought in numbers of a later command. While the batch is halved they are to
    leave again; where the vendor refuses that for one of them, the others leave, and who named none of them
    is applied."""
    bench, vendor = Bench(cap=4), ModelVendor(cap=4, poison="p")
    bench.deliver(create("c1", "abcd", BY_KEY), add("c2", "xypz", BY_KEY))
    assert bench.call().kind is CallKind.CREATE
    bench.answer(vendor.carry_out(bench.flights[0].call))
    assert bench.call().numbers == ("x", "y", "p", "z")
    bench.answer(LOST)
    bench.sleep()
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "rejected"}
    (group,) = vendor.groups.values()
    assert group.numbers == set("abcd")
    left = [call.numbers for call in vendor.calls if call.kind is CallKind.DELETE]
    assert left == [tuple("xypz"), ("x", "y"), ("p", "z"), ("p",), ("z",)]
    assert bench.verdicts["c1"].request_ids == ("r1",)


def test_nobody_is_blamed_for_them_among_others() -> None:
    """What leaves with them leaves all the same."""
    bench, vendor = Bench(), ModelVendor(poison="p")
    vendor.put("g-1", "")
    bench.deliver(replace("c1", "ab"), replace("c2", ""), replace("c3", "abp"))
    while bench.call().numbers != ("p",):
        bench.answer(vendor.carry_out(bench.flights[0].call))
    assert vendor.members("g-1") == {"a", "b"}
    bench.answer(LOST)
    bench.sleep()
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "applied", "c3": "rejected"}
    assert vendor.members("g-1") == set()


def test_a_member_that_may_not_leave_is_blamed() -> None:
    """It was there before: who decides the whole group is to blame that it stays."""
    bench, vendor = Bench(), ModelVendor(poison="p")
    vendor.put("g-1", "mp")
    bench.deliver(replace("c1", ""))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "rejected"}
    assert vendor.members("g-1") == {"m", "p"}


def test_who_names_a_doubtful_number_is_blamed() -> None:
    """A refusal is told as the vendor told it."""
    bench, vendor = Bench(), ModelVendor(poison="p")
    vendor.put("g-1", "")
    bench.deliver(replace("c1", "ab"), add("c2", "p"))
    while bench.call().numbers != ("p",):
        bench.answer(vendor.carry_out(bench.flights[0].call))
    bench.answer(LOST)
    bench.deliver(delete("c3", "p"))
    bench.sleep()
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "rejected", "c3": "rejected"}
    faults = [bench.verdicts[name].fault for name in ("c2", "c3")]
    assert [fault and fault.code for fault in faults] == ["1002", "1002"]
    assert vendor.members("g-1") == {"a", "b"}
