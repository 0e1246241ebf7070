"""Events in, effects out: the permit, the cut, the order, and who is next."""

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import BY_ID, add, command, delete, delete_group, listing, replace
from model_vendor import ModelVendor

from numbergroup.engine.calls import Applied, CallKind, Group, Throttled, Withheld
from numbergroup.engine.commands import CommandKind, Entry, GroupRef, HandleKind, Origin
from numbergroup.engine.effects import Settle, StartCall, WakeAt, WantPermit
from numbergroup.engine.events import LookupResult
from numbergroup.engine.records import build_record
from numbergroup.engine.verdicts import Refusal

OTHER = GroupRef("default", HandleKind.ID, "g-2")


def test_a_lone_command_goes_out_at_once() -> None:
    """Fast when idle: delivered, it asks for a permit; granted, it is sent; answered, it is settled."""
    bench = Bench()
    assert bench.deliver(add("c1", "a")) == [WantPermit("default")]
    (started,) = bench.grant()
    assert isinstance(started, StartCall)
    assert started.call.numbers == ("a",)
    (settle,) = bench.answer(Applied("r1"))
    assert isinstance(settle, Settle)
    assert bench.statuses == {"c1": "applied"}
    assert bench.verdicts["c1"].request_ids == ("r1",)
    assert bench.engine.memory_load(0) == 0


def test_what_arrives_while_the_group_waits_for_its_permit_is_in_the_batch() -> None:
    """Permit, then cut: commands gather until the call may really be sent, and one call carries them."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    assert bench.deliver(add("c2", "b")) == []
    assert bench.call().numbers == ("a", "b")
    bench.answer(Applied("r1"))
    assert [v.merged for v in bench.verdicts.values()] == [2, 2]


def test_what_arrives_while_a_call_is_in_flight_waits_for_the_next() -> None:
    """One call in flight for a group, and its batch is not changed between its calls."""
    bench = Bench(cap=1)
    bench.deliver(add("c1", "ab"))
    bench.call()
    bench.deliver(add("c2", "c"))
    assert bench.permits_wanted == 0
    bench.answer(Applied("r1"))
    assert bench.call().numbers == ("b",)
    bench.answer(Applied("r2"))
    assert bench.statuses == {"c1": "applied"}
    assert bench.call().numbers == ("c",)


def test_linger_gathers_for_a_while_then_asks() -> None:
    """With linger, a lone command waits that long before a permit is asked for, and no longer."""
    bench = Bench(linger_s=0.2)
    assert bench.deliver(add("c1", "a")) == [WakeAt(bench.now + 0.2)]
    bench.wait(0.1)
    bench.deliver(add("c2", "b"))
    assert bench.permits_wanted == 0
    bench.wait(0.1)
    assert bench.call().numbers == ("a", "b")


def test_an_alarm_that_comes_too_early_is_set_again() -> None:
    """A tick before its time does not swallow the alarm: the engine asks for it once more."""
    bench = Bench(linger_s=0.2)
    bench.deliver(add("c1", "a"))
    assert bench.wait(0.1999) == [WakeAt(pytest.approx(1_000.2))]
    bench.sleep()
    assert bench.permits_wanted == 1


def test_the_group_that_waits_longest_goes_first() -> None:
    """Scarce permits go to the group with the oldest command, whatever happened to it since."""
    bench = Bench(max_in_flight=1)
    bench.deliver(add("c1", "a"), add("c2", "b", OTHER))
    assert bench.call().group_id == "g-1"
    bench.deliver(add("c3", "c"))
    bench.answer(UNREACHABLE)
    assert bench.call().group_id == "g-2"
    bench.sleep()
    bench.answer(UNREACHABLE)
    assert bench.call().group_id == "g-1"


def test_a_stuck_group_delays_nobody() -> None:
    """Groups are independent: while one is parked, the others go on."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(LOST)
    bench.deliver(delete("c2", "a"), add("c3", "b", OTHER))
    assert bench.call().group_id == "g-2"
    bench.answer(Applied("r1"))
    assert bench.statuses == {"c3": "applied"}


def test_no_more_calls_in_flight_than_the_account_allows() -> None:
    """Ready groups beyond the account's slots ask for no permit until one is free."""
    bench = Bench(max_in_flight=2)
    bench.deliver(*(add(f"c{n}", "a", GroupRef("default", HandleKind.ID, f"g-{n}")) for n in range(5)))
    assert bench.permits_wanted == 2
    bench.grant()
    bench.grant()
    assert bench.permits_wanted == 0
    bench.answer(Applied("r1"))
    assert bench.permits_wanted == 1


def test_a_repeat_of_a_waiting_command_joins_it() -> None:
    """The same command again, in the same delivery or later: one verdict, with every origin in it."""
    bench = Bench()
    bench.deliver(add("c1", "a"), add("c1", "a"))
    bench.call()
    bench.deliver(add("c1", "a"))
    assert bench.engine.memory_load(0) == 3
    bench.answer(Applied("r1"))
    ((verdict,),) = [settle.verdicts for settle in bench.settles]
    assert len(verdict.command.origins) == 3
    assert bench.engine.memory_load(0) == 0


def test_a_repeat_of_a_settled_command_gets_the_first_answer() -> None:
    """Answered from memory, or from the ledger's record, without a call."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.run(ModelVendor(groups={}).carry_out)
    (first,) = bench.verdicts.values()
    bench.deliver(add("c1", "a"))
    record = build_record(first, 7.0)
    fresh = Bench()
    fresh.deliver(add("c1", "a"), facts=LookupResult({first.command.key: record}))
    for answered in (bench.settles[-1].verdicts[0], fresh.settles[-1].verdicts[0]):
        assert answered.repeat_of is not None
        assert answered.status is first.status
    assert (bench.permits_wanted, fresh.permits_wanted) == (0, 0)


@pytest.mark.parametrize("settled", [False, True])
def test_another_command_under_the_same_id_is_a_conflict(settled: bool) -> None:
    """The same id with another body is refused and not applied; the first command is not touched."""
    bench = Bench()
    vendor = ModelVendor()
    vendor.put("g-1", "")
    bench.deliver(add("c1", "a"))
    if settled:
        bench.run(vendor.carry_out)
    bench.deliver(delete("c1", "a"))
    conflict = bench.settles[-1].verdicts[0]
    assert conflict.conflict
    assert conflict.fault.kind == "conflict"
    bench.run(vendor.carry_out)
    assert vendor.members("g-1") == {"a"}
    assert bench.engine.memory_load(0) == 0


def test_what_cannot_be_done_is_answered_at_once() -> None:
    """Refusals of intake, unknown accounts and unsupported operations cost no call."""
    bench = Bench(supports=[CommandKind.ADD])
    bench.deliver(
        Refusal(Origin(Entry(0, "1-0", b"?"), 0), "not JSON", b"?"),
        add("c1", "a", GroupRef("nobody", HandleKind.ID, "g-1")),
        delete_group("c2"),
        command(CommandKind.ADD, "c3", "a"),
    )
    assert bench.statuses == {"c1": "rejected", "c2": "rejected"}
    assert [v.fault.kind for v in bench.verdicts.values()] == ["invalid", "unsupported"]
    assert bench.engine.memory_load(0) == 1
    assert bench.permits_wanted == 1


def test_a_list_command_is_answered_with_the_groups() -> None:
    """It is alone in its mailbox, and carries `limit`, `offset` there and the groups back."""
    bench = Bench()
    wanted = listing("c1")
    wanted.limit, wanted.offset = 10, 20
    bench.deliver(wanted)
    call = bench.call()
    assert (call.kind, call.limit, call.offset) == (CallKind.LIST, 10, 20)
    group = Group("g-1", "name", "", ("a",))
    bench.answer(Applied("r1", groups=(group,), total=31))
    verdict = bench.verdicts["c1"]
    assert (verdict.groups, verdict.total, verdict.request_ids) == ((group,), 31, ("r1",))


def test_draining_starts_nothing_and_finishes_what_is_in_flight() -> None:
    """After `Drain` no call starts, whatever permits still come; what ends is still settled."""
    bench = Bench()
    bench.deliver(add("c1", "a"), add("c2", "b", OTHER))
    bench.grant()
    bench.drain()
    bench.grant()
    assert len(bench.flights) == 1
    bench.deliver(add("c3", "c", OTHER))
    bench.answer(Applied("r1"))
    bench.wait(60)
    assert bench.statuses == {"c1": "applied"}
    assert (bench.permits_wanted, len(bench.flights)) == (0, 0)


def test_a_lost_partition_is_forgotten() -> None:
    """After `LeaseLost` nothing of it is settled, and a late answer only frees its slot."""
    bench = Bench(max_in_flight=1)
    bench.deliver(add("c1", "a"), add("c2", "b", OTHER))
    bench.call()
    bench.lose_lease()
    assert bench.engine.memory_load(0) == 0
    bench.deliver(add("c1", "a"), add("c2", "b", OTHER))
    bench.answer(Applied("r1"))
    assert bench.settles == []
    vendor = ModelVendor()
    vendor.put("g-1", "")
    vendor.put("g-2", "")
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "applied"}


@pytest.mark.parametrize("outcome", [Throttled(None, "429", "slow down"), Withheld()])
def test_what_was_surely_not_done_is_cut_anew(outcome: Throttled | Withheld) -> None:
    """After a call that the vendor turned away, or that was not sent, newer commands join the batch."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.deliver(replace("c2", "b"))
    bench.answer(outcome)
    if bench.alarm:
        bench.sleep()
    call = bench.call()
    assert (call.kind, call.numbers, call.group_id) == (CallKind.REPLACE, ("b",), BY_ID.name)
