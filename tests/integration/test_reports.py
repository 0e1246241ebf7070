"""Reports: what workers say of themselves in the ledger."""

from dataclasses import replace

import pytest
from integration_rig import ID_REF, KEY_REF, Rig, event
from integration_servers import eventually
from integration_stage import Stage

from numbergroup.engine.engine import Engine
from numbergroup.engine.policy import RetryPolicy
from numbergroup.engine.snapshot import AccountView, GroupView, PartitionView, Snapshot
from numbergroup.engine.verdicts import Fault
from numbergroup.ledger import keys
from numbergroup.ledger.reports import RedisReports, Report
from numbergroup.sandbox.faults import Status

ACCOUNT = AccountView(
    3, 2, 1, "open", 1_700_000_060.5, 4, 0.75, "fault", 1_700_000_005.0, "1003: \x1b no", {"applied": 12}, 7
)
PARKED = GroupView(ID_REF, 120, 3, 1_699_999_000.0, 1_700_000_030.0, Fault("unavailable", "http-503", "ü"))
HELD = GroupView(KEY_REF, 5, 0, None, None, None, "maintenance")
SNAPSHOT = Snapshot({"default": ACCOUNT}, {0: PartitionView(125, 2, 1_699_998_999.5, [PARKED], 1, [HELD], 1)})
REPORT = Report("host-1-w2", "0.1.0", 1_699_990_000.0, 1_700_000_000.25, 9, SNAPSHOT)


async def test_as_it_was_said(rig: Rig) -> None:
    """All of a report comes back as it was written, whoever reads it; the last one counts."""
    reports = RedisReports(rig.client)
    await reports.write(replace(REPORT, letters_written=1))
    await reports.write(REPORT)
    assert await reports.read(["nobody", REPORT.owner]) == {REPORT.owner: REPORT}
    assert await reports.read([]) == {}


async def test_it_ends_with_its_worker(rig: Rig) -> None:
    """Ten seconds after its last word nothing of it is left; of a worker that ends well, at once."""
    reports = RedisReports(rig.client)
    await reports.write(REPORT)
    assert 9_000 < await rig.client.pttl(keys.report(REPORT.owner)) <= 10_000
    await reports.drop("another")
    for _ in range(2):
        await reports.drop(REPORT.owner)
    assert await rig.client.keys() == []


@pytest.mark.parametrize("junk", [b"", b"\xff", b"{}", b"[]", b"null", b"[" * 10_000, b'{"owner":"a"}'])
async def test_what_cannot_be_read(rig: Rig, junk: bytes) -> None:
    """A worker of another version, or junk, costs its own report and no other."""
    reports = RedisReports(rig.client)
    await reports.write(REPORT)
    await rig.client.set(keys.report("other"), junk)
    assert await reports.read(["other", REPORT.owner]) == {"other": None, REPORT.owner: REPORT}


async def test_of_very_many_workers(rig: Rig) -> None:
    """They are read page by page."""
    reports = RedisReports(rig.client)
    owners = [f"w{n}" for n in range(250)]
    for owner in owners:
        await reports.write(replace(REPORT, owner=owner))
    found = await reports.read(owners)
    assert [one and one.owner for one in found.values()] == owners


def patient(engine: Engine) -> Engine:
    engine.retry = RetryPolicy(base_s=1_000.0, cap_s=1_000.0)
    return engine


async def test_a_worker_reports(stage: Stage) -> None:
    """While it runs it says what is in hand, what is parked and why, and how its calls ended; when it has
    ended it says nothing. (A parked group that an operator resumes is tried at once.)"""
    reports = RedisReports(stage.client)
    stage.fault(Status(status=503, group_id="g-1"))  # type: ignore[call-arg]
    async with stage.worker(ports={"reports": reports, "version": "9.9"}, engine=patient):
        await stage.publish(event("c-1"), event("c-2", "g-2"))

        async def parked() -> Report | None:
            report = (await reports.read(["me"])).get("me")
            views = report.snapshot.partitions.values() if report else []
            return report if any(view.parked and view.in_hand == 1 for view in views) else None

        report = await eventually(parked, "a report of a parked group")
        assert report is not None
        assert (report.owner, report.version, report.letters_written) == ("me", "9.9", 0)
        assert report.began_at <= report.at
        (one,) = report.snapshot.partitions[0].parked
        assert (one.ref, one.waiting, one.failures) == (ID_REF, 1, 1)
        assert one.last_fault == Fault("unavailable", "http-503", "HTTP 503 without a verdict in the body")
        assert report.snapshot.accounts["default"].outcomes == {"applied": 1, "unavailable": 1}
        stage.sandbox.state.faults.clear()
        await stage.control_store.resume(ID_REF, "me@here")
        await stage.answered(2)
    assert await reports.read(["me"]) == {}


async def test_letters_are_counted(stage: Stage) -> None:
    """How many dead letters it has written is in its report."""
    reports = RedisReports(stage.client)
    async with stage.worker(ports={"reports": reports}):
        await stage.publish(b"junk", b"more junk")

        async def written() -> bool:
            report = (await reports.read(["me"])).get("me")
            return report is not None and report.letters_written == 2

        await eventually(written, "two letters in the report")
