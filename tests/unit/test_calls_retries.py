"""Calls over real HTTP: what is tried again within one call, what is not, and what stays in doubt."""

import asyncio
import math
from email.utils import formatdate
from typing import Any

import aiohttp
import orjson
import pytest
from calls_rig import ADD, CREATE, FIND, GROUP, MIB, A, B, Rig
from deadlines import deadline

from numbergroup.engine.calls import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    Refused,
    Throttled,
    Unavailable,
    Withheld,
)
from numbergroup.sandbox.faults import Drop, Garbage, Lost, Redirect, Status, Throttle, VendorCode
from numbergroup.vendors.classification import FailureClass


async def test_a_call() -> None:
    """One call is one request under the permit that it came with; nothing is in doubt."""
    async with Rig() as rig:
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Applied)
        assert ended.outcome.request_id is not None
        assert (ended.attempts, ended.doubt_until) == (1, None)
        assert (rig.arrived, rig.permits, rig.slept_s) == (1, 0, [])
        assert rig.members() == [A]


async def test_every_attempt_is_signed_anew_and_has_a_permit_of_its_own() -> None:
    """Retried after 503s, the call goes out with a fresh time and signature each time."""
    async with Rig() as rig:
        rig.fault(Status(status=503, times=2))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Applied)
        assert (ended.attempts, ended.doubt_until) == (3, None)
        assert (rig.arrived, rig.permits, len(rig.slept_s)) == (3, 2, 2)
        requests = rig.provider.requests
        assert len({request.headers["ts"] for request in requests}) == 3
        assert len({request.headers["sign"] for request in requests}) == 3
        assert len({request.body for request in requests}) == 1


async def test_attempts_are_bounded() -> None:
    """A vendor that stays away gets as many attempts as the account allows."""
    async with Rig(attempts=2) as rig:
        rig.fault(Status(status=503))
        ended = await rig.run(ADD)
        assert ended.outcome == Unavailable(
            "HTTP 503 without a verdict in the body", in_doubt=False, code="http-503"
        )
        assert (ended.attempts, ended.doubt_until, rig.arrived) == (2, None, 2)


async def test_a_probe_is_one_request() -> None:
    """Who only finds out whether the vendor is there again does not ask twice."""
    async with Rig(attempts=3) as rig:
        rig.fault(Status(status=503))
        assert (await rig.run(ADD, once=True)).attempts == 1
        assert (await rig.run(FIND, once=True)).attempts == 1
        assert (rig.arrived, rig.slept_s) == (2, [])


async def test_nobody_listens() -> None:
    """A refused connection is tried again, and nothing is in doubt: nothing was sent."""
    async with Rig() as rig:
        await rig.sandbox.stop()
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert not ended.outcome.in_doubt
        assert (ended.attempts, ended.doubt_until, rig.permits) == (3, None, 2)


async def test_a_lost_answer_to_an_update() -> None:
    """The update is sent again and applied; that the lost one may arrive until its time is up is told."""
    async with Rig() as rig:
        rig.fault(Lost(times=1))
        began = rig.now_s
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Applied)
        assert (ended.attempts, rig.arrived) == (2, 2)
        assert ended.doubt_until == began + 61.0
        assert rig.members() == [A]


async def test_a_lost_answer_to_an_update_that_must_not_be_sent_twice() -> None:
    """It is one request, whatever becomes of it; one that was surely not carried out is tried again."""
    async with Rig(idempotent=False) as rig:
        rig.fault(Lost(times=1))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert ended.outcome.in_doubt
        assert (ended.attempts, rig.arrived) == (1, 1)
        await rig.sandbox.stop()
        assert (await rig.run(ADD)).attempts == 3


async def test_every_answer_lost() -> None:
    """Doubt lasts as long as the last request that may arrive can be accepted."""
    async with Rig() as rig:
        rig.fault(Drop())
        began = rig.now_s
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert ended.outcome.in_doubt
        assert (ended.attempts, ended.doubt_until) == (3, began + 2.0 + 61.0)


async def test_doubt_is_not_forgotten_by_a_later_refusal() -> None:
    """The first attempt was lost and the second refused: the first may still arrive."""
    async with Rig() as rig:
        rig.fault(Drop(times=1), VendorCode(code=1002))
        began = rig.now_s
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Refused)
        assert (ended.attempts, ended.doubt_until) == (2, began + 61.0)


@pytest.mark.parametrize("found", [FailureClass.REFUSED, FailureClass.ACCOUNT_FAULT, FailureClass.THROTTLED])
async def test_doubt_whatever_class_an_operator_gives_it(found: FailureClass) -> None:
    """A 500 that is not to be tried again may have been applied all the same: that is told."""
    async with Rig() as rig:
        rig.use(rig.sandbox.url, http_500=found)
        rig.fault(Status(status=500, applied=True))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Refused | AccountFault | Throttled)
        assert (ended.attempts, ended.doubt_until) == (1, rig.now_s + 61.0)
        assert rig.members() == [A]


@pytest.mark.parametrize("form", ["html", "truncated", "cut"])
async def test_nonsense(form: str) -> None:
    """An answer that cannot be read leaves the call in doubt, applied or not; it is tried again."""
    async with Rig() as rig:
        rig.fault(Garbage(form=form, times=1, applied=True))  # type: ignore[arg-type]
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Applied)
        assert ended.attempts == 2
        assert ended.doubt_until is not None


async def test_a_slow_drip_ends_at_the_timeout() -> None:
    """An answer that never ends is given up when the attempt's time is over; the call is in doubt."""
    async with Rig(timeout_s=0.2, attempts=1) as rig:
        rig.fault(Garbage(form="drip", interval_ms=10))
        async with deadline(4):
            ended = await rig.run(ADD)
        assert ended.outcome == Unavailable("no answer: TimeoutError", in_doubt=True)
        assert ended.doubt_until is not None


@pytest.mark.parametrize("timeout_s", [0.2, 7.3])
async def test_the_timeout_is_exact(timeout_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt ends when its time is over, and not at the next whole second: the lease counts on it."""
    asked: list[aiohttp.ClientTimeout] = []
    async with Rig(timeout_s=timeout_s, attempts=1) as rig:
        request = rig.transport.session.request

        def watched(*args: Any, timeout: aiohttp.ClientTimeout, **more: Any) -> Any:
            asked.append(timeout)
            return request(*args, timeout=timeout, **more)

        monkeypatch.setattr(rig.transport.session, "request", watched)
        assert isinstance((await rig.run(ADD)).outcome, Applied)
    (timeout,) = asked
    # Timeouts beyond the threshold are rounded up.
    assert (timeout.total, timeout.ceil_threshold) == (timeout_s, math.inf)


@pytest.mark.parametrize(("size", "fits"), [(MIB, True), (MIB + 1, False)])
async def test_an_answer_has_an_end(size: int, fits: bool) -> None:
    """Of an answer no more than 1 MiB is read; what is longer is no answer."""
    async with Rig(attempts=1) as rig:
        frame = orjson.dumps({"code": 0, "msg": ""})
        body = orjson.dumps({"code": 0, "msg": "x" * (size - len(frame))})
        assert len(body) == size
        rig.fault(Status(status=200, body=body.decode()))
        ended = await rig.run(ADD)
        expected = Applied(None) if fits else Unavailable("no answer: ValueError", in_doubt=True)
        assert ended.outcome == expected


async def test_a_redirect_is_not_followed() -> None:
    """The signed request goes nowhere else: a redirect is a fault of the account's settings."""
    async with Rig() as rig:
        rig.fault(Redirect(location=rig.sandbox.url, times=1))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, AccountFault)
        assert ended.outcome.code == "http-302"
        assert (rig.arrived, rig.members()) == (1, None)


@pytest.mark.parametrize("code", [1002, 1003])
async def test_a_verdict_ends_the_call(code: int) -> None:
    """What is certain is not tried again."""
    async with Rig() as rig:
        rig.fault(VendorCode(code=code))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Refused | AccountFault)
        assert (ended.attempts, rig.arrived, rig.slept_s) == (1, 1, [])


async def test_throttled_calls_are_not_tried_again() -> None:
    """Who is told to wait does not ask again: how long to wait is handed on."""
    async with Rig() as rig:
        rig.fault(Throttle(retry_after="7"))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Throttled)
        assert (ended.outcome.retry_after_s, ended.attempts, rig.arrived) == (7.0, 1, 1)


@pytest.mark.parametrize("ahead_s", [-7200.0, 7200.0])
async def test_a_date_to_wait_for_is_the_vendors(ahead_s: float) -> None:
    """Whatever the two clocks say: 90 seconds after the vendor's answer are 90 seconds."""
    async with Rig() as rig:
        rig.vendor_ahead_s = ahead_s
        rig.fault(Throttle(retry_after=formatdate(rig.wall_s + ahead_s + 90, usegmt=True)))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Throttled)
        assert ended.outcome.retry_after_s == 90.0


async def test_an_unknown_code_is_tried_a_few_times() -> None:
    """A code that nobody knows may pass; when it does not, it is a refusal that is not certain."""
    async with Rig() as rig:
        rig.fault(VendorCode(code=9999, msg="what?", times=2))
        assert isinstance((await rig.run(ADD)).outcome, Applied)
        rig.fault(VendorCode(code=9999, msg="what?"))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Refused)
        assert not ended.outcome.certain
        assert ended.attempts == 3


async def test_withheld() -> None:
    """Without the right to send, nothing is sent."""
    async with Rig() as rig:
        rig.may_send = False
        ended = await rig.run(ADD)
        assert ended.outcome == Withheld()
        assert (ended.attempts, rig.arrived, rig.slept_s) == (0, 0, [])


@pytest.mark.parametrize(
    ("fault", "in_doubt", "code"), [(Status(status=503), False, "http-503"), (Drop(), True, None)]
)
async def test_stopped_between_two_attempts(fault: Status | Drop, in_doubt: bool, code: str | None) -> None:
    """When the right to send ends between two attempts, what became of the first is told."""
    async with Rig() as rig:
        rig.fault(fault)
        rig.may_send = lambda asked: asked <= 2
        ended = await rig.run(ADD)
        assert ended.outcome == Unavailable("stopped between two attempts", in_doubt, code)
        assert (ended.attempts, rig.arrived) == (1, 1)
        assert (ended.doubt_until is not None) is in_doubt


async def test_no_second_attempt_while_the_account_is_in_trouble() -> None:
    """What others have found out since counts: a call that failed is not tried again then, and says so."""
    async with Rig() as rig:
        rig.fault(Status(status=503))
        rig.is_well = lambda: not rig.arrived
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert (ended.attempts, rig.arrived) == (1, 1)


@pytest.mark.parametrize("call", [ADD, CREATE, FIND])
async def test_no_first_attempt_either(call: Call) -> None:
    """It was permitted, and while it waited for what it needs others were told to wait: so does it."""
    async with Rig() as rig:
        rig.may_begin = lambda: False
        assert (await rig.run(call)).outcome == Withheld()
        assert rig.arrived == 0


async def test_what_has_begun_goes_on() -> None:
    """Only the first request asks whether it may begin: the next one knows more than that."""
    async with Rig() as rig:
        rig.may_begin = lambda: not rig.arrived
        rig.fault(Status(status=503, times=1))
        assert isinstance((await rig.run(ADD)).outcome, Applied)
        assert rig.arrived == 2


async def test_a_correction_waits_too() -> None:
    """The vendor refuses our time, and asks another call of the account to wait: the request that would
    correct the time is not sent."""
    async with Rig() as rig:
        rig.fault(VendorCode(code=1004, msg="timestamp expired", times=1))
        rig.must_wait = lambda: rig.arrived > 0
        ended = await rig.run(ADD)
        assert ended.outcome == Unavailable("stopped between two attempts", in_doubt=False, code="1004")
        assert (ended.attempts, rig.arrived) == (1, 1)


async def test_a_correction_waits_for_as_long_as_its_own_answer_asks() -> None:
    """The vendor refuses our time, and asks to wait: the request is not sent again within its call. The next
    one has the vendor's time."""
    async with Rig() as rig:
        rig.vendor_ahead_s = 3600.0
        rig.fault(
            Status(status=200, body='{"code":1004,"msg":"timestamp expired"}', retry_after="9", times=1)
        )
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert (ended.outcome.code, ended.outcome.retry_after_s) == ("1004", 9.0)
        assert (ended.attempts, rig.arrived, rig.slept_s) == (1, 1, [])
        ended = await rig.run(ADD)
        assert (type(ended.outcome), ended.attempts) == (Applied, 1)


async def test_a_permit_grows_old_while_the_lease_is_waited_for() -> None:
    """Permitted in time and kept by a lease that has to be renewed first: another permit is asked for, or it
    would leave beside those whose turn it is by then."""
    async with Rig() as rig:
        now, times = 0.0, iter([0.0, 1.0, 0.0, 0.0, 0.0])

        def renewed(_: int) -> bool:
            nonlocal now
            now += next(times, 0.0)
            return True

        rig.monotonic_s = lambda: now
        rig.may_send = renewed
        assert isinstance((await rig.run(ADD)).outcome, Applied)
        assert (rig.permits, rig.arrived) == (1, 1)


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    """A call that is cancelled in the middle of an answer does not spoil the next."""
    async with Rig() as rig:
        rig.fault(Garbage(form="drip", interval_ms=1, times=1))
        running = asyncio.create_task(rig.run(ADD))
        while not rig.arrived:
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert isinstance((await rig.run(Call(CallKind.ADD, (B,), GROUP))).outcome, Applied)
        assert rig.members() == [B]


async def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the environment are not used: phone numbers go to the vendor and to nobody else."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    async with Rig() as rig:
        assert isinstance((await rig.run(ADD)).outcome, Applied)


async def test_a_permit_that_was_granted_long_ago() -> None:
    """A process that was frozen between its permit and the call asks for another one."""
    async with Rig() as rig:
        rig.frozen_s = iter([10.0])
        ended = await rig.caller.run(ADD, rig, rig.record_intent, 9.9)
        assert isinstance(ended.outcome, Applied)
        assert (rig.arrived, rig.permits) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "lasts_s"),
    [
        (VendorCode(code=10009), 0.0),
        (VendorCode(code=9999, msg="what?"), 0.0),
        (Status(status=500, body='{"code":9999,"msg":"what?"}'), 61.0),
        (Status(status=200, body="nothing of it"), 61.0),
    ],
)
async def test_how_long_a_doubt_lasts(fault: Status | VendorCode, lasts_s: float) -> None:
    """What the vendor itself answered is over, done or not; what a gateway may have answered may be done
    later."""
    async with Rig(attempts=2) as rig:
        rig.fault(fault)
        ended = await rig.run(ADD, once=True)
        assert ended.doubt_until == rig.now_s + lasts_s
        rig.sandbox.state.faults.clear()
        rig.fault(Drop(times=1), fault)
        began = rig.now_s
        both = await rig.run(ADD)
        assert both.doubt_until is not None
        assert both.doubt_until >= began + 61.0
