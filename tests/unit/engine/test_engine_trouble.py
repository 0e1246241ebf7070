"""When the vendor is in trouble, and when only a group is: who waits, and who goes on."""

from collections import Counter

from engine_bench import UNREACHABLE, Bench
from engine_commands import add

from numbergroup.engine.calls import AccountFault, Applied, Call, Outcome, Refused
from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.events import Controls, ControlsUpdated, CredentialsChanged, ProbeDenied
from numbergroup.engine.policy import BreakerNotice

FAULT = AccountFault("1003", "invalid signature")
OK = Applied("r")


def group(name: object) -> GroupRef:
    return GroupRef("default", HandleKind.ID, f"g-{name}")


def busy(groups: int, **options: float) -> Bench:
    """So many groups with a command each."""
    bench = Bench(**options)  # type: ignore[arg-type]
    bench.deliver(*(add(f"c{n}", "a", group(n)) for n in range(groups)))
    return bench


def grant_all(bench: Bench) -> None:
    while bench.permits_wanted:
        bench.grant()


def outage(bench: Bench, seconds: float) -> Counter[str]:
    """Answer every call with 503 for so long; how many calls there were, and how many at once."""
    until, seen = bench.now + seconds, Counter[str]()
    while bench.now < until:
        grant_all(bench)
        if bench.told and bench.told[-1].notice is not None:
            seen["at once, while it is open"] = max(seen["at once, while it is open"], len(bench.flights))
        while bench.flights:
            bench.answer(UNREACHABLE)
            seen["calls"] += 1
        bench.sleep()
    return seen


def recover(bench: Bench) -> None:
    """From here on all calls go through, until nothing waits any more."""
    bench.run(lambda call: OK, patience=5_000)


def test_ten_minutes_without_the_vendor_fail_nobody() -> None:
    """A hundred groups, ten minutes of 503: a few probes one at a time, no dead letter, and all is applied
    soon after."""
    bench = busy(100)
    seen = outage(bench, 600)
    assert bench.settles == []
    assert seen["at once, while it is open"] == 1
    assert seen["calls"] < 60
    back = bench.now
    recover(bench)
    assert bench.statuses == {f"c{n}": "applied" for n in range(100)}
    # A minute until the next probe, the ramp, and no group's own wait on top of that.
    assert bench.now - back < 75


def test_no_herd_when_the_vendor_comes_back() -> None:
    """After the probe one call more goes out, then two, and so on: not all that wait, at once."""
    bench = busy(100)
    outage(bench, 60)
    while not bench.flights:
        grant_all(bench)
        if not bench.flights:
            bench.sleep()
    bench.answer(OK)
    grant_all(bench)
    assert len(bench.flights) == 1


def test_the_other_workers_are_told_when_it_opens_and_when_it_is_over() -> None:
    """A notice when the breaker opens, and its end once a probe has gone through."""
    bench = busy(20)
    outage(bench, 10)
    assert bench.told[0].notice is not None
    recover(bench)
    assert bench.told[-1].notice is None


def test_a_worker_that_was_told_makes_no_call() -> None:
    """What another worker found out is believed, without a failure of one's own."""
    bench = Bench()
    bench.feed(
        ControlsUpdated(Controls(breakers={"default": BreakerNotice(bench.now + 30, 3)}), bench.now, 0.5)
    )
    bench.deliver(add("c1", "a"))
    assert bench.permits_wanted == 0
    bench.wait(31)
    assert [want.probe for want in bench.wanted] == [True]


def test_while_another_worker_probes_nobody_else_does() -> None:
    """Denied the probe, a worker asks again within a second or two, and makes no call until then."""
    bench = busy(20)
    outage(bench, 5)
    bench.sleep()
    while not bench.wanted:
        bench.sleep()
    for _ in range(50):
        (want,) = bench.wanted
        assert want.probe
        bench.wanted.clear()
        bench.feed(ProbeDenied("default", bench.now, 0.5))
        assert bench.wanted == []
        asked = bench.now
        while not bench.wanted:
            bench.sleep()
        assert 0 < bench.now - asked <= 2
    assert bench.flights == []


def test_a_group_that_alone_meets_account_faults_stops_nobody() -> None:
    """The second time, when others were answered between, the fault is known for the group's own: it parks,
    and the account goes on without a pause."""
    bench = busy(2)

    def vendor(call: Call) -> Outcome:
        return FAULT if call.group_id == "g-0" else OK

    bench.run(vendor, until=lambda: "c1" in bench.statuses)
    for n in range(50):
        bench.wait(60)
        bench.deliver(add(f"late-{n}", "a", group("other")))
        now = bench.now
        bench.run(vendor, until=lambda name=f"late-{n}": name in bench.statuses)  # type: ignore[misc]
        if n:
            assert bench.now == now
    assert "c0" not in bench.statuses


def test_an_account_fault_that_all_meet_pauses_and_settles_nothing() -> None:
    """Ten groups, hours of bad credentials: one call at a time, a minute apart, and nothing is given up."""
    bench = busy(10)
    calls, until = 0, bench.now + 100_000
    while bench.now < until:
        grant_all(bench)
        if calls > 10:
            assert len(bench.flights) <= 1
        while bench.flights:
            bench.answer(FAULT)
            calls += 1
        bench.sleep()
    assert bench.settles == []
    assert calls < 100_000 / 60 + 30
    recover(bench)


def test_new_credentials_are_tried_at_once() -> None:
    """Replaced while the account is paused: a probe goes out, and when it goes through, all the others."""
    bench = busy(10)
    for _ in range(6):
        grant_all(bench)
        while bench.flights:
            bench.answer(FAULT)
        bench.sleep()
    grant_all(bench)
    while bench.flights:
        bench.answer(FAULT)
    assert bench.permits_wanted == 0
    now = bench.now
    bench.feed(CredentialsChanged("default", bench.now))
    grant_all(bench)
    while bench.flights:
        bench.answer(OK)
        grant_all(bench)
    assert bench.now == now
    assert len(bench.statuses) == 10


def test_a_paused_account_makes_no_call_until_it_is_resumed() -> None:
    """An operator's pause: what is in flight ends, nothing else begins; commands still arrive."""
    bench = busy(3)
    bench.grant()
    bench.feed(ControlsUpdated(Controls(paused_accounts={"default": "rotating keys"}), bench.now, 0.5))
    bench.answer(OK)
    grant_all(bench)
    bench.deliver(add("c9", "a", group(9)))
    bench.wait(10_000)
    assert (len(bench.flights), bench.permits_wanted) == (0, 0)
    bench.feed(ControlsUpdated(Controls(), bench.now, 0.5))
    recover(bench)
    assert len(bench.statuses) == 4


def test_a_paused_group_waits_and_the_others_go_on() -> None:
    """An operator's pause of a group holds that group's commands, also between the calls of its batch."""
    bench = Bench(cap=1)
    bench.deliver(add("c0", "ab", group(0)), add("c1", "a", group(1)))
    bench.call()
    bench.feed(ControlsUpdated(Controls(paused_groups={group(0): "asked for"}), bench.now, 0.5))
    bench.answer(OK)
    bench.run(lambda call: OK, until=lambda: "c1" in bench.statuses)
    assert bench.statuses == {"c1": "applied"}
    bench.feed(ControlsUpdated(Controls(), bench.now, 0.5))
    recover(bench)
    assert set(bench.statuses) == {"c0", "c1"}


def test_a_group_with_endless_work_takes_turns() -> None:
    """A batch of a hundred calls lets each other group's only call through between two of its own."""
    bench = Bench(cap=1, max_in_flight=1)
    bench.deliver(add("big", "abcdefghij", group(0)), *(add(f"c{n}", "a", group(n)) for n in range(1, 6)))
    order: list[str] = []

    def vendor(call: Call) -> Outcome:
        assert call.group_id is not None
        order.append(call.group_id)
        return OK

    bench.run(vendor)
    assert order.index("g-1") <= 2
    assert order.index("g-5") <= 10
    assert order.count("g-0") == 10


def test_finding_a_bad_command_leaves_room_for_others() -> None:
    """A refused batch of two hundred commands: halving it costs no more calls a second than the budget has,
    and it goes on until the culprit stands alone."""
    bench = Bench(isolation_per_second=1.0, max_in_flight=1)
    bench.deliver(*(add(f"c{n}", [f"{n}"], group(0)) for n in range(200)))
    calls = 0

    def vendor(call: Call) -> Outcome:
        nonlocal calls
        calls += 1
        return Refused("1002", "parameter error") if {"7", "150"} & set(call.numbers) else OK

    began = bench.now
    bench.run(vendor)
    spent = bench.now - began
    assert calls <= 21 + spent * 1.0
    assert {name for name, status in bench.statuses.items() if status == "rejected"} == {"c7", "c150"}
    assert sum(status == "applied" for status in bench.statuses.values()) == 198


def test_commands_expire_while_the_account_is_paused() -> None:
    """Whoever waits for an account that is down is told in time that it was too late, in order."""
    bench = Bench()
    bench.feed(ControlsUpdated(Controls(paused_accounts={"default": "maintenance"}), bench.now, 0.5))
    bench.deliver(
        add("c1", "a", expires_at=bench.now + 5), add("c2", "b", expires_at=bench.now + 7), add("c3", "c")
    )
    bench.wait(5)
    assert bench.statuses == {"c1": "expired"}
    bench.wait(2)
    assert bench.statuses == {"c1": "expired", "c2": "expired"}
    bench.feed(ControlsUpdated(Controls(), bench.now, 0.5))
    recover(bench)
    assert bench.statuses["c3"] == "applied"


def test_an_expiry_does_not_cut_a_groups_wait_short() -> None:
    """What expires at the head of a parked group is answered, and the others wait as long as before."""
    bench = Bench()
    bench.deliver(add("c1", "a", expires_at=bench.now + 0.1), add("c2", "b"))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.wait(0.2)
    assert bench.statuses == {"c1": "expired"}
    assert bench.permits_wanted == 0
    bench.wait(0.5)
    assert bench.permits_wanted == 1
