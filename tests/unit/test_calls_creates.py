"""Creates over real HTTP: at most one group, whatever becomes of the answer."""

import pytest
from calls_rig import CREATE, Rig
from deadlines import deadline

from worker.engine.model import Applied, Unavailable, Withheld
from worker.sandbox.faults import Drop, Fault, Garbage, Lost, Status


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
    ],
    ids=lambda fault: fault.kind,
)
async def test_a_create_that_may_have_gone_through_is_never_resent(fault: Fault) -> None:
    """Without a readable answer a create ends in doubt after one request."""
    async with Rig() as rig:
        rig.fault(fault)
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Unavailable)
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
