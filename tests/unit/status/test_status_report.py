"""What workers say and what the ledger says, put together."""

from dataclasses import replace
from typing import Any

import pytest

from numbergroup.cli.status.as_json import as_json
from numbergroup.cli.status.formatting import format_status
from numbergroup.cli.status.status_report import StatusReport, build_status_report
from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.partition.quarantine import ADVICE
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.snapshot import AccountView, GroupView, PartitionView, Snapshot
from numbergroup.engine.verdicts import Fault
from numbergroup.ledger.overview import LetterKind, LiveWorker, Overview
from numbergroup.ledger.port import Pause
from numbergroup.ledger.reports import Report

NOW = 1_700_000_000.0
WELL = AccountView(1, 0, 2, "closed", None, 0, 0.1, None, None, None, {"applied": 5}, 1)
REF = GroupRef("default", HandleKind.ID, "g-1")
OTHER = GroupRef("acme", HandleKind.KEY, "k-1")
EMPTY = Overview(NOW, [], [None], {}, {}, {}, 0, [], [])


def group(ref: GroupRef, since: float = NOW - 30, **more: Any) -> GroupView:
    return GroupView(ref, 3, 2, since, NOW + 20, Fault("unavailable", "http-503", "no 85211111114"), **more)


def partition(*parked: GroupView, held: list[GroupView] | None = None, in_hand: int = 4) -> PartitionView:
    return PartitionView(in_hand, 2, NOW - 12, parked, len(parked), held or [], len(held or []))


def worker(
    owner: str,
    accounts: dict[str, AccountView] | None = None,
    partitions: dict[int, PartitionView] | None = None,
    at: float = NOW - 1,
) -> LiveWorker:
    report = Report(owner, "0.1.0", NOW - 60, at, 0, Snapshot(accounts or {}, partitions or {}))
    return LiveWorker(owner, NOW - 60, report)


def of(overview: Overview, backlog: dict[int, int] | None = None, *, counts: bool = True) -> StatusReport:
    return build_status_report(
        overview, {0: 9} if backlog is None else backlog, 1_000, backlog_includes_in_hand=counts
    )


def words(found: StatusReport) -> str:
    return "\n".join(format_status(found))


def test_what_was_published_for_another_number_of_partitions() -> None:
    """It is counted by its queue, as long as there is something."""
    found = replace(of(EMPTY), strays={"numbergroup.commands": 1_234, "numbergroup.commands.7": 0})
    assert "  numbergroup.commands  backlog 1,234, published for another number of partitions" in words(found)
    assert "numbergroup.commands.7" not in words(found)
    assert as_json(found)["strays"] == {"numbergroup.commands": 1_234, "numbergroup.commands.7": 0}


def test_no_worker() -> None:
    """It says so, and what is known all the same."""
    found = of(replace(EMPTY, pauses={"default": Pause("why", "me@here", NOW - 90)}, letters=7))
    said = words(found)
    assert said.startswith("no worker is running")
    assert "0  no owner  backlog 9" in said
    assert "default  paused by me@here 90 s ago: why" in said
    assert "dead letters 7, at most 1,000" in said
    assert as_json(found)["workers"] == []


def test_the_calls_of_all_workers() -> None:
    """What each has done counts together."""
    found = of(replace(EMPTY, workers=[worker("a", {"default": WELL}), worker("b", {"default": WELL})]))
    (account,) = found.accounts
    assert (account.in_flight, account.ready_groups, account.isolation_calls) == (2, 4, 2)
    assert account.calls == {"applied": 10}
    assert as_json(found)["accounts"]["default"]["calls"] == {"applied": 10}


@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_of_all_workers(order: int) -> None:
    """One breaker that is open, or one worker that the vendor refuses, is what an operator has to know,
    whoever says it first."""
    ill = replace(
        WELL, breaker="open", breaker_until=NOW + 8, breaker_failures=3, paused_by="fault", reason="1003: no"
    )
    workers = [worker("a", {"default": WELL}), worker("b", {"default": ill})][::order]
    found = of(replace(EMPTY, workers=workers))
    (account,) = found.accounts
    assert (account.paused_by, account.reason) == ("fault", "1003: no")
    assert (account.breaker, account.breaker_until, account.breaker_failures) == ("open", NOW + 8, 3)
    assert "the vendor refuses the account: 1003: no" in words(found)
    assert "breaker open: most calls fail, a probe goes out in 8 s, opened 3 times in a row" in words(found)


def test_the_ledger_has_the_last_word_on_pauses() -> None:
    """What was paused or resumed a moment ago is so, whatever workers said before."""
    held = replace(WELL, paused_by="operator", reason="old")
    resumed = of(replace(EMPTY, workers=[worker("a", {"default": held})]))
    assert resumed.accounts[0].paused_by is None
    assert as_json(resumed)["accounts"]["default"]["paused"] is None
    pauses: dict[str | GroupRef, Pause] = {"default": Pause("new", "me@here", NOW)}
    paused = of(replace(EMPTY, workers=[worker("a", {"default": WELL})], pauses=pauses))
    assert (paused.accounts[0].paused_by, paused.accounts[0].reason) == ("operator", "new")


def test_breakers_in_the_ledger() -> None:
    """One that is open there is, though its worker died; one whose time is over says nothing."""
    notices = {"default": BreakerNotice(NOW + 5, 2), "acme": BreakerNotice(NOW - 5, 2)}
    found = of(replace(EMPTY, breakers=notices))
    assert {one.name: one.breaker for one in found.accounts} == {"acme": "closed", "default": "open"}


def test_groups_that_do_not_go_on() -> None:
    """Each once, with its reason: paused ones, also those that nothing waits of; and parked ones, those
    first that have failed for longest."""
    pauses: dict[str | GroupRef, Pause] = {REF: Pause("wait", "me@here", NOW - 5)}
    late, early = (GroupRef("default", HandleKind.ID, name) for name in ("late", "early"))
    view = partition(group(late, NOW - 1), group(early, NOW - 100), group(REF), held=[group(REF)])
    found = of(
        replace(EMPTY, pauses={**pauses, OTHER: Pause("", "", 0.0)}, workers=[worker("a", {}, {0: view})])
    )
    assert [(one.ref, one.state, one.waiting) for one in found.groups] == [
        (OTHER, "paused", 0),
        (REF, "paused", 3),
        (early, "parked", 3),
        (late, "parked", 3),
    ]
    said = words(found)
    assert "id:g-1    default  3 commands  paused by me@here 5 s ago: wait" in said
    assert "parked for 100 s, tried again in 20 s: unavailable http-503: no [phone]" in said
    assert "85211111114" not in said + str(as_json(found))


def test_more_groups_than_are_named() -> None:
    """How many more there are is said."""
    view = replace(partition(group(REF)), parked_groups=4_321)
    found = of(replace(EMPTY, workers=[worker("a", {}, {0: view})]))
    assert "and 4,320 more" in words(found)
    assert as_json(found)["moreGroups"] == {"parked": 4_320}


@pytest.mark.parametrize(("counts", "backlog"), [(True, 9), (False, 13)])
def test_the_backlog(counts: bool, backlog: int) -> None:
    """What is in hand counts, whether the broker counts it or not."""
    found = of(replace(EMPTY, workers=[worker("a", {}, {0: partition()})]), counts=counts)
    assert [one.backlog for one in found.partitions] == [backlog]


def test_a_broker_that_says_nothing() -> None:
    """What waits there is not known, and not said to be none."""
    found = build_status_report(EMPTY, None, 1_000, backlog_includes_in_hand=True)
    assert "backlog unknown" in words(found)
    assert as_json(found)["partitions"][0]["backlog"] is None


def test_the_oldest_command() -> None:
    """Of what the broker and the workers know, the older; by the ledger's clock."""
    workers = [worker("a", {}, {0: partition()})]
    assert "oldest 12 s" in words(of(replace(EMPTY, workers=workers)))
    assert "oldest 5 min" in words(of(replace(EMPTY, workers=workers, oldest_at={0: NOW - 300})))


def test_a_partition_of_two_reports() -> None:
    """Just after it was handed over, the later word counts."""
    old, new = partition(in_hand=7), partition(in_hand=2)
    for workers in (
        [worker("a", {}, {0: old}, NOW - 2), worker("b", {}, {0: new})],
        [worker("b", {}, {0: new}), worker("a", {}, {0: old}, NOW - 2)],
    ):
        assert [one.in_hand for one in of(replace(EMPTY, workers=workers)).partitions] == [2]


@pytest.mark.parametrize(("letters", "alarm"), [(799, None), (800, "many"), (999, "many"), (1_000, "full")])
def test_the_alarm(letters: int, alarm: str | None) -> None:
    """From four fifths of the cap on there is one; at the cap it says what that means."""
    found = of(replace(EMPTY, letters=letters))
    assert found.alarm == as_json(found)["deadLetters"]["alarm"] == alarm
    assert ("WORKERS ACCEPT NO COMMANDS" in words(found)) == (alarm == "full")


def test_dead_letters_by_fingerprint() -> None:
    """With how many are alike, and what they have in common."""
    kinds = [LetterKind(f"{n:012x}", 100 - n, "refused", "1002", "parameter error: #") for n in range(30)]
    found = of(replace(EMPTY, letters=2_000, kinds=kinds))
    said = words(found)
    assert "  000000000000  100  refused 1002  parameter error: #" in said
    assert "and 10 more fingerprints" in said
    assert len(as_json(found)["deadLetters"]["fingerprints"]) == 30


def test_nothing_moves_the_cursor() -> None:
    """Whatever others wrote into the ledger: names, reasons, messages of vendors."""
    evil = "a\x1b[2J\r\n\u202eb"
    ref = GroupRef(evil, HandleKind.KEY, evil)
    trouble = replace(group(ref), last_fault=Fault(evil, evil, evil))
    overview = replace(
        EMPTY,
        workers=[
            worker(evil, {evil: replace(WELL, paused_by="fault", reason=evil)}, {0: partition(trouble)})
        ],
        owners=[evil],
        pauses={evil + "2": Pause(evil, evil, NOW), ref: Pause(evil, evil, NOW)},
        kinds=[LetterKind(evil, 1, evil, evil, evil)],
        problems=[evil],
    )
    for line in format_status(of(overview)):
        assert line.isprintable(), line


def test_a_thousand_partitions() -> None:
    """Only those are shown that have something to tell."""
    owners: list[str | None] = ["a"] * 1_024
    found = of(
        replace(EMPTY, workers=[worker("a")], owners=owners), dict.fromkeys(range(1023), 0) | {1_023: 8}
    )
    said = words(found)
    assert "1023  owner a  backlog 8" in said
    assert "and 1,023 more" in said
    assert len(said.splitlines()) < 20


def test_groups_in_quarantine() -> None:
    """Named with the reason, until an operator resumes them; numbers in it are masked."""
    why = Fault("quarantined", "503", "its group is stuck (no 85211111114)")
    found = of(replace(EMPTY, quarantined={REF: why}))
    (one,) = as_json(found)["groups"]
    assert (one["group"], one["state"], one["error"]["kind"]) == ("id:g-1", "quarantined", "quarantined")
    said = words(found)
    assert "id:g-1  default  nothing in dead letters  quarantined: its group is stuck" in said
    assert "85211111114" not in said


def test_what_helps_a_group_in_quarantine() -> None:
    """A replay is named as long as there is anything to replay."""
    why = Fault("quarantined", "503", f"its group is stuck: {ADVICE}")
    overview = replace(EMPTY, quarantined={REF: why})
    gone, kept = of(overview), of(replace(overview, with_dead_letters={REF}))
    assert "nothing in dead letters" in words(gone)
    assert "replay" not in words(gone)
    assert "replay sends its dead letters again" in words(kept)
    for found in (gone, kept):
        assert words(found).count("numbergroup resume group resumes it") == 1
        assert as_json(found)["groups"][0]["error"]["message"] == "its group is stuck"


def test_warnings() -> None:
    """What a worker warns of at its start is shown here, too: for people and for programs."""
    found = replace(of(EMPTY), warnings=["Redis keeps nothing on disk\x1b[2J"])
    assert "warning: Redis keeps nothing on disk" in words(found)
    assert "\x1b" not in words(found)
    assert as_json(found)["warnings"] == ["Redis keeps nothing on disk\x1b[2J"]
    assert as_json(of(EMPTY))["warnings"] == []


def test_the_cap_of_the_workers() -> None:
    """The smallest cap that a worker reports counts, for that worker stops first: the operator's settings may
    be others. Where no worker reports one, the settings' is shown, and called so."""
    workers = [worker("a"), worker("b"), worker("old")]
    caps = [500, 20, None]
    told = [
        replace(one, report=replace(one.report, letters_cap=cap))
        for one, cap in zip(workers, caps, strict=True)
        if one.report
    ]
    found = of(replace(EMPTY, workers=told, letters=20))
    assert (found.cap, found.alarm, as_json(found)["deadLetters"]["capIsReported"]) == (20, "full", True)
    assert "dead letters 20, at most 20: too many, WORKERS ACCEPT NO COMMANDS" in words(found)
    alone = of(replace(EMPTY, workers=[workers[2]], letters=20))
    assert (alone.cap, alone.alarm, alone.cap_is_reported) == (1_000, None, False)
    assert "dead letters 20, at most 1,000 by the settings here" in words(alone)
