"""Creates over real HTTP: at most one group, whatever becomes of the answer."""

import pytest
from calls_rig import ADD, CREATE, FIND, Rig
from deadlines import deadline

from numbergroup.engine.calls import AccountFault, Applied, Refused, Throttled, Unavailable, Withheld
from numbergroup.sandbox.faults import Drop, Fault, Garbage, Lost, Status
from numbergroup.vendors.classification import FailureClass


async def test_the_intent_is_recorded_before_the_request() -> None:
    """When the request arrives, the ledger knows of it, and until when it can take effect."""
    async with Rig() as rig:
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Applied)
        assert rig.members(ended.outcome.group_id or "") is not None
        assert (rig.sent_before_intent, rig.intents) == ([0], [rig.now_s + 61.0])


@pytest.mark.parametrize(
    "fault",
    [
        Lost(),
        Drop(),
        Garbage(applied=True),
        Status(status=500, applied=True),
        Status(status=503, applied=True),
        Status(status=500, applied=True, body='{"code":500,"msg":"Internal Server Error"}'),
        Status(status=502, applied=True, body='{"code":"E","msg":"bad gateway"}', retry_after="0"),
        Status(status=200, applied=True, body='{"code":10009,"msg":"failed to retrieve data"}'),
        Status(status=200, applied=True, body='{"code":777,"msg":"what?"}'),
        Status(status=409, applied=True, body='{"code":777,"msg":"conflict"}'),
        Status(status=408, applied=True, body=""),
        Status(status=302, applied=True, body=""),
        Status(status=200, applied=True, body='{"code":true}'),
        Status(status=200, applied=True, body='{"code":777,"msg":"System busy"}'),
    ],
    ids=lambda fault: f"{fault.kind}-{getattr(fault, 'status', '')}",
)
@pytest.mark.parametrize("unknown", FailureClass)
async def test_a_create_that_may_have_gone_through_is_never_resent(
    fault: Fault, unknown: FailureClass
) -> None:
    """Without an answer that is certain a create ends in doubt after one request, whatever unknown codes are
    taken for."""
    async with Rig() as rig:
        rig.use(rig.sandbox.url, unknown=unknown)
        rig.fault(fault)
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Unavailable | Refused | AccountFault | Throttled)
        assert ended.outcome.in_doubt
        assert (ended.attempts, rig.arrived) == (1, 1)
        assert ended.doubt_until == rig.intents[0]
        assert rig.groups() <= 1


async def test_a_create_times_out() -> None:
    """Nor is it resent when its time is over."""
    async with Rig(timeout_s=0.2) as rig:
        rig.fault(Garbage(form="drip", interval_ms=10))
        async with deadline(4):
            ended = await rig.run(CREATE)
        assert (ended.attempts, rig.arrived, ended.doubt_until) == (1, 1, rig.intents[0])


async def test_a_create_that_was_not_sent_is_sent_again() -> None:
    """A refused connection is no doubt: each further attempt records an intent of its own before it."""
    async with Rig() as rig:
        await rig.sandbox.stop()
        began = rig.now_s
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Unavailable)
        assert not ended.outcome.in_doubt
        assert (ended.attempts, ended.doubt_until) == (3, None)
        assert rig.intents == [began + 61.0, began + 62.0, began + 63.0]


async def test_without_a_recorded_intent_nothing_is_sent() -> None:
    """A ledger that does not take the intent stops the create before it is sent."""
    async with Rig() as rig:
        rig.takes_intents = False
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Unavailable)
        assert not ended.outcome.in_doubt
        assert (ended.attempts, rig.arrived, ended.doubt_until) == (0, 0, None)


async def test_the_lease_is_looked_at_after_the_intent_is_written() -> None:
    """Writing the intent may take long: a lease that ended meanwhile lets no request out."""
    async with Rig() as rig:
        rig.may_send = lambda asked: asked == 1
        ended = await rig.run(CREATE)
        assert ended.outcome == Withheld()
        assert (len(rig.intents), rig.arrived) == (1, 0)


async def test_what_was_recorded_covers_what_is_sent() -> None:
    """The request bears the time by which its intent was reckoned, however long the ledger took."""
    async with Rig() as rig:
        record = rig.record_intent

        async def slowly(until: float) -> bool:
            rig.wall_s += 30.0
            rig.now_s += 30.0
            return await record(until)

        began = rig.now_s
        ended = await rig.caller.run(CREATE, rig, slowly)
        assert isinstance(ended.outcome, Applied)
        assert rig.intents == [began + 61.0]
        assert int(rig.provider.requests[0].headers["ts"]) <= (began + 1.0) * 1000


async def test_a_permit_of_another_moment() -> None:
    """A create that had to wait for its intent asks for a permit once more: all that waited would leave at
    once with those that they had."""
    async with Rig() as rig:
        rig.frozen_s = iter([0.0, 0.2])
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Applied)
        assert (rig.permits, rig.arrived) == (1, 1)
        await rig.run(CREATE)
        assert (rig.permits, rig.arrived) == (1, 2)


async def test_a_permit_is_for_one_try() -> None:
    """A try that comes to nothing, its intent not written, uses its permit up: the next one asks for another,
    lest it leave beside those whose turn it is by then."""
    async with Rig() as rig:
        rig.takes_intents = False
        ended = await rig.run(CREATE)
        assert (ended.attempts, len(rig.intents), rig.permits) == (0, 3, 2)


@pytest.mark.parametrize(
    "body",
    ['{"code":1002,"msg":"no"}', '{"code":1004,"msg":"timestamp expired"}', '{"code":777,"msg":"QPS limit"}'],
)
async def test_what_is_certain_is_no_doubt(body: str) -> None:
    """A documented refusal of a create, or a rate limit, says that nothing was made: there is nothing to look
    for."""
    async with Rig() as rig:
        rig.fault(Status(status=200, body=body))
        assert (await rig.run(CREATE)).doubt_until is None


async def test_already_exists_after_a_request_of_the_same_call() -> None:
    """An earlier request had to count as not carried out, and was: what exists may be of its making."""
    async with Rig() as rig:
        rig.use(rig.sandbox.url, unknown=FailureClass.RETRYABLE)
        rig.fault(Status(status=400, applied=True, body='{"code":777,"msg":"?"}', times=1))
        rig.fault(Status(status=200, body='{"code":1002,"msg":"groupName already exists"}'))
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Refused)
        assert (ended.outcome.already_exists, ended.outcome.in_doubt) == (True, True)
        assert ended.doubt_until is not None


@pytest.mark.parametrize("seconds", ["30", "1"])
async def test_the_vendors_time_is_not_waited_for_within_a_call(seconds: str) -> None:
    """Who asks for more than a moment is not asked again at once: the engine waits, and holds no slot."""
    async with Rig() as rig:
        rig.fault(Status(status=503, retry_after=seconds, body='{"code":503,"msg":"Service Unavailable"}'))
        for call in (ADD, FIND):
            before = rig.arrived
            ended = await rig.run(call)
            assert isinstance(ended.outcome, Unavailable)
            assert ended.outcome.retry_after_s == float(seconds)
            assert rig.arrived == before + 1
