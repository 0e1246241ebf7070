"""Credentials that change while calls are made: the vendor may switch earlier or later than we do."""

from collections.abc import Iterator
from typing import Any

import pytest
from calls_rig import ADD, CREATE, FIND, KEY, SECRET, Rig
from structlog.testing import capture_logs

from numbergroup.engine.calls import AccountFault, Applied, Call, Unavailable
from numbergroup.sandbox.faults import Status, VendorCode
from numbergroup.vendors.port import Credentials

OLD, NEW = Credentials(KEY, SECRET), Credentials(KEY, "n3w-s3cret")
FORMER_TAKEN = "the vendor takes the account's former credentials still, not those that replaced them"
NEW_TAKEN = "the vendor takes the account's new credentials"


@pytest.fixture
def told() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines
    assert not any(secret in repr(lines) for secret in (SECRET, NEW.secret, KEY))


def events(told: list[Any]) -> list[str]:
    return [line["event"] for line in told]


@pytest.mark.parametrize("call", [ADD, CREATE, FIND], ids=lambda call: call.kind.value)
async def test_new_credentials_are_used_at_once(call: Call, told: list[Any]) -> None:
    """From the next signature on, at no cost when the vendor has switched, too."""
    async with Rig() as rig:
        await rig.run(call)
        rig.sandbox.state.rotate(KEY, NEW.secret)
        rig.keyring.replace(NEW, rig.now_s)
        ended = await rig.run(call)
        assert isinstance(ended.outcome, Applied)
        assert ended.attempts == 1
        await rig.run(call)
    assert events(told) == [NEW_TAKEN]


@pytest.mark.parametrize("call", [ADD, CREATE, FIND], ids=lambda call: call.kind.value)
async def test_a_vendor_that_switches_later(call: Call, told: list[Any]) -> None:
    """The former pair is tried once, with a permit of its own and no wait, and then used first, until the
    vendor takes it no longer."""
    async with Rig() as rig:
        await rig.run(call)
        rig.keyring.replace(NEW, rig.now_s)
        permits = rig.permits
        assert [(await rig.run(call)).attempts for _ in range(3)] == [2, 1, 1]
        assert rig.permits == permits + 1
        rig.sandbox.state.rotate(KEY, NEW.secret)
        assert [(await rig.run(call)).attempts for _ in range(3)] == [2, 1, 1]
        assert rig.slept_s == []
    assert events(told) == [FORMER_TAKEN, NEW_TAKEN]


async def test_neither_pair_is_taken() -> None:
    """Each pair is tried once a call: there is no hammering, and the fault is the account's."""
    async with Rig() as rig:
        rig.sandbox.state.rotate(KEY, "an0ther")
        ended = await rig.run(ADD)
        assert (type(ended.outcome), ended.attempts) == (AccountFault, 1)
        rig.keyring.replace(NEW, rig.now_s)
        ended = await rig.run(ADD)
        assert (type(ended.outcome), ended.attempts) == (AccountFault, 2)
        assert rig.slept_s == []


async def test_a_probe_tries_both_pairs() -> None:
    """What finds out whether the account works again looks for the pair that does."""
    async with Rig() as rig:
        rig.keyring.replace(NEW, rig.now_s)
        ended = await rig.run(ADD, once=True)
        assert (type(ended.outcome), ended.attempts) == (Applied, 2)


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (VendorCode(code=1003), 2),
        (VendorCode(code=1005), 2),
        (VendorCode(code=10003), 2),
        (Status(status=401), 2),
        (Status(status=403), 2),
        (VendorCode(code=1001), 1),
        (VendorCode(code=1002), 1),
        (Status(status=404), 1),
    ],
)
async def test_what_other_credentials_may_mend(fault: VendorCode | Status, attempts: int) -> None:
    """Only a fault of the credentials is answered with others; neither wrong headers nor a wrong path is."""
    async with Rig() as rig:
        rig.keyring.replace(NEW, rig.now_s)
        rig.fault(fault)
        assert (await rig.run(ADD)).attempts == attempts


async def test_another_access_key() -> None:
    """A key may change with its secret."""
    async with Rig() as rig:
        rig.keyring.replace(Credentials("another-key", "x"), rig.now_s)
        ended = await rig.run(ADD)
        assert [request.headers["accessKey"] for request in rig.provider.requests] == ["another-key", KEY]
        assert isinstance(ended.outcome, Applied)


async def test_a_lost_answer_of_the_second_try() -> None:
    """A request with the other pair is in doubt like any other, and a create is not sent a third time."""
    async with Rig() as rig:
        rig.fault(VendorCode(code=1003, times=1), Status(status=500, applied=True))
        rig.keyring.replace(NEW, rig.now_s)
        ended = await rig.run(CREATE)
        assert isinstance(ended.outcome, Unavailable)
        assert (ended.attempts, ended.doubt_until) == (2, rig.now_s + 61.0)
