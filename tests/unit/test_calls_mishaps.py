"""Calls when something of ours is wrong: clocks, the ledger, a bug. A call ends; it never raises."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from calls_rig import ADD, CREATE, FIND, A, Rig
from structlog.testing import capture_logs

from numbergroup.engine.calls import Applied, Call, Unavailable
from numbergroup.sandbox.faults import Drop, Status, VendorCode


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def said_why(logs: list[Any]) -> bool:
    """Whether the log has the error with its traceback."""
    return any(line["event"] == "call ended in an unexpected error" and line.get("exc_info") for line in logs)


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0, 61.0, -61.0])
async def test_a_clock_that_is_wrong(ahead_s: float) -> None:
    """Refused for its time, a call is signed again by the vendor's clock, and so are those that follow."""
    async with Rig() as rig:
        rig.vendor_ahead_s = ahead_s
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Applied)
        assert (ended.attempts, ended.doubt_until) == (2, None)
        assert (rig.slept_s, rig.permits) == ([], 1)
        assert (await rig.run(ADD)).attempts == 1


async def test_a_clock_that_is_wrong_when_there_is_only_one_attempt() -> None:
    """What is known to be wrong with the request is mended, also where nothing else is tried again."""
    async with Rig(attempts=1) as rig:
        rig.vendor_ahead_s = 3600.0
        assert isinstance((await rig.run(ADD, once=True)).outcome, Applied)


async def test_a_wrong_clock_is_told_once(logs: list[Any]) -> None:
    """However many calls meet it: one warning for each change of it."""
    async with Rig() as rig:
        for ahead_s in (3600.0, 3600.4, -90.0, -90.0):
            rig.vendor_ahead_s = ahead_s
            rig.fault(VendorCode(code=1004, times=5))
            await asyncio.gather(*(rig.run(ADD) for _ in range(4)))
            rig.sandbox.state.faults.clear()
    told = [line for line in logs if line["event"] == "the vendor's clock is not ours"]
    assert [round(line["vendor_ahead_s"], -1) for line in told] == [3600, -90]
    assert {line["account"] for line in told} == {"default"}


async def test_a_clock_that_is_put_right() -> None:
    """When the machine's clock is corrected, the correction is measured anew."""
    async with Rig() as rig:
        rig.vendor_ahead_s = 3600.0
        await rig.run(ADD)
        rig.wall_s += 3600.0
        rig.vendor_ahead_s = 0.0
        assert (await rig.run(ADD)).attempts == 2
        assert (await rig.run(ADD)).attempts == 1


async def test_a_vendor_that_takes_no_time() -> None:
    """When the vendor's own time does not help either, the call is unavailable, and not in doubt."""
    async with Rig() as rig:
        rig.fault(VendorCode(code=1004))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert (ended.outcome.code, ended.outcome.in_doubt) == ("1004", False)
        # Once of those at once.
        assert (rig.arrived, len(rig.slept_s)) == (4, 2)


@pytest.mark.parametrize(
    ("vendor_ahead_s", "longer_s"), [(-45.5, 44.5), (-1.5, 0.5), (-0.5, 0.0), (0.0, 0.0), (30.0, 0.0)]
)
async def test_a_signature_lasts_for_longer_where_the_clock_is_behind(
    vendor_ahead_s: float, longer_s: float
) -> None:
    """The vendor accepts what lies ahead of its clock a little: that is accepted for so much longer."""
    async with Rig(attempts=1) as rig:
        rig.wall_s = 1_700_000_000.75
        rig.vendor_ahead_s = vendor_ahead_s
        await rig.run(ADD)
        rig.fault(Drop())
        doubt_until = (await rig.run(ADD)).doubt_until
        assert doubt_until is not None
        # The vendor tells its time in whole seconds.
        assert longer_s <= doubt_until - rig.now_s - 61.0 <= longer_s + (1.0 if longer_s else 0.0)


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
async def test_doubt_is_counted_on_a_clock_that_never_steps(step_s: float) -> None:
    """Whatever the machine's clock says, doubt ends 61 s after the request was signed."""
    async with Rig(attempts=1) as rig:
        rig.wall_s += step_s
        rig.fault(Drop())
        assert (await rig.run(ADD)).doubt_until == rig.now_s + 61.0
        await rig.run(CREATE)
        assert rig.intents == [rig.now_s + 61.0] * 2


async def test_no_permit_for_another_attempt() -> None:
    """A ledger that is away between two attempts ends the call; what was sent before stays in doubt."""
    async with Rig() as rig:
        rig.permits_left = 0
        rig.fault(Drop())
        began = rig.now_s
        ended = await rig.run(ADD)
        assert ended.outcome == Unavailable("no permit: away", in_doubt=False, is_local=True)
        assert (ended.attempts, ended.doubt_until) == (1, began + 61.0)


@pytest.mark.parametrize("call", [ADD, CREATE, FIND], ids=lambda call: call.kind.value)
async def test_a_bug_before_the_request(call: Call, logs: list[Any]) -> None:
    """A provider that cannot build the request: nothing is sent, nothing is in doubt."""
    async with Rig() as rig:
        rig.use(rig.sandbox.url, bug="build_request")
        ended = await rig.run(call)
        assert ended.outcome == Unavailable(
            "internal error: ZeroDivisionError", in_doubt=False, is_local=True
        )
        assert (ended.doubt_until, rig.arrived) == (None, 0)
    assert said_why(logs)


async def test_a_bug_after_the_request(logs: list[Any]) -> None:
    """A provider that cannot read the answer: an update is in doubt."""
    async with Rig(attempts=1) as rig:
        rig.use(rig.sandbox.url, bug="parse_answer")
        ended = await rig.run(ADD)
        assert ended.outcome == Unavailable("internal error: ZeroDivisionError", in_doubt=True, is_local=True)
        assert ended.doubt_until == rig.now_s + 61.0
        assert rig.members() == [A]
    assert said_why(logs)


async def test_a_bug_after_a_create(logs: list[Any]) -> None:
    """A create whose answer nobody could read is not sent again, whoever is to blame."""
    async with Rig() as rig:
        rig.use(rig.sandbox.url, bug="parse_answer")
        ended = await rig.run(CREATE)
        assert (ended.attempts, rig.arrived, rig.groups()) == (1, 1, 1)
        assert ended.doubt_until == rig.intents[0]
    assert said_why(logs)


async def test_a_session_that_was_closed(logs: list[Any]) -> None:
    """A session that cannot be used any more ends the call like a vendor that is away."""
    async with Rig() as rig:
        await rig.transport.close()
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert rig.arrived == 0
    assert said_why(logs)


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/", "http://[::1", "number.nxcloud.com", ""])
async def test_a_base_url_that_is_none(url: str) -> None:
    """A BASE_URL that cannot be called is unavailable, says so, and leaves nothing in doubt."""
    async with Rig(attempts=1) as rig:
        rig.use(url)
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert ended.outcome.message.startswith("BASE_URL cannot be called")
        assert not ended.outcome.in_doubt


async def test_a_guard_with_a_bug(logs: list[Any]) -> None:
    """Nor does a bug of the guard's raise out of a call."""
    async with Rig() as rig:

        def broken(_asked: int) -> bool:
            raise ZeroDivisionError

        rig.may_send = broken
        rig.fault(Status(status=503))
        ended = await rig.run(ADD)
        assert ended.outcome == Unavailable(
            "internal error: ZeroDivisionError", in_doubt=False, is_local=True
        )
        assert rig.arrived == 0
    assert said_why(logs)


@pytest.mark.parametrize("call", [ADD, CREATE])
@pytest.mark.parametrize("connected", [False, True])
async def test_frozen_just_before_sending(call: Call, connected: bool) -> None:
    """Nothing is sent when the time that the lease was good for has passed, be the connection new or old."""
    async with Rig(attempts=1) as rig:
        if connected:
            await rig.run(ADD)
        before = rig.arrived
        rig.frozen_s = iter([0.0, 0.0, 0.0, 5.0])
        ended = await rig.run(call)
        assert ended.outcome == Unavailable("not sent in time", in_doubt=False, is_local=True)
        assert ended.doubt_until is None
        assert rig.arrived == before
        assert isinstance((await rig.run(ADD)).outcome, Applied)


async def test_a_request_that_waited_for_its_permit_lasts_from_when_it_was_sent() -> None:
    """What is not signed does not get older while it waits here: whoever counts from before has doubts that
    end before the request does."""
    async with Rig() as rig:
        rig.frozen_s = iter([0.0, 1.0, 1.0])
        waited_s = 70.0

        async def permit() -> None:
            rig.now_s += waited_s

        rig._permit = permit  # type: ignore[method-assign]
        rig.use(rig.sandbox.url)
        rig.fault(Status(status=500, applied=True))
        began = rig.now_s
        ended = await rig.run(ADD, once=True)
        assert rig.now_s == began + waited_s
        assert ended.doubt_until == rig.now_s + rig.provider.acceptance_window_s + 1
