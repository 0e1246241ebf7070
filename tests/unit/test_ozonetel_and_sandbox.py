"""The provider and the sandbox, each written from the vendor's pages alone, understand each other."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from numbergroup.engine.calls import AccountFault, Applied, Call, CallKind, Outcome, Refused, Throttled
from numbergroup.sandbox.faults import ErrorAnswer, Fault, KillToken, RefuseNumbers, RejectNumbers, Throttle
from numbergroup.sandbox.server import Sandbox, start
from numbergroup.settings import OzonetelAccount
from numbergroup.vendors.http import HttpTransport
from numbergroup.vendors.port import Credentials

MODES = ("legacy", "basic", "token")
NAME = "blocked"
A, B, C = "9876543210", "919876543211", "85211111114"


class Pair:
    def __init__(self, sandbox: Sandbox, mode: Any) -> None:
        self.sandbox = sandbox
        account = {"username": "sandbox", "api_key": "sandbox-api-key", "auth": mode}
        self.account = OzonetelAccount.model_validate(
            {"provider": "ozonetel", "base_url": sandbox.origin, **account}
        )
        self.vendor = self.account.create_provider()
        self.credentials: Credentials = self.account.credentials
        self.transport = HttpTransport(1, 5.0, 5.0)

    async def token(self) -> object:
        request = self.vendor.build_token_request(self.credentials)
        found = self.vendor.parse_token(await self._exchange(request), self.credentials)
        if isinstance(found, str):
            self.credentials = replace(self.credentials, token=found)
        return found

    async def _exchange(self, request: Any) -> Any:
        return await self.transport.exchange(request, 100_000, time.monotonic() + 60)

    async def call(self, call: Call) -> Outcome:
        request = self.vendor.build_request(call, 0, self.credentials)
        return self.vendor.parse_answer(call, await self._exchange(request), self.credentials)

    async def create(self, *numbers: str, **more: Any) -> Outcome:
        return await self.call(Call(CallKind.CREATE, numbers=numbers, group_name=NAME, **more))

    async def created(self, *numbers: str) -> str:
        outcome = await self.create(*numbers)
        assert isinstance(outcome, Applied)
        assert outcome.group_id is not None
        return outcome.group_id

    def fault(self, fault: Fault) -> None:
        self.sandbox.state.faults.add([fault])

    def members(self) -> list[str]:
        group = self.sandbox.state.ozonetel.groups.find("sandbox", NAME)
        return [] if group is None else [member.sent for member in group.members.values()]


@pytest.fixture(params=MODES)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with await start(port=0) as sandbox:
        pair = Pair(sandbox, request.param)
        if request.param == "token":
            assert isinstance(await pair.token(), str)
        yield pair
        await pair.transport.close()


async def test_every_operation(pair: Pair) -> None:
    """Create, add and delete do what they say, on the group that the create's answer names."""
    group = await pair.created(A, B)
    assert await pair.call(Call(CallKind.ADD, group_id=group, numbers=(C,))) == Applied(None)
    assert pair.members() == [A, B, C]
    assert await pair.call(Call(CallKind.DELETE, group_id=group, numbers=(A, C))) == Applied(None)
    assert pair.members() == [B]


async def test_rejected_numbers(pair: Pair) -> None:
    """They are named as they were sent, whatever the vendor makes of them."""
    pair.fault(RejectNumbers(numbers=frozenset({A, B, C})))
    outcome = await pair.create(A, B, C, "9876543219")
    assert isinstance(outcome, Applied)
    assert outcome.rejected == (A, B, C)
    assert pair.members() == ["9876543219"]
    assert outcome.group_id is not None
    delete = Call(CallKind.DELETE, group_id=outcome.group_id, numbers=("9876543219", A))
    assert await pair.call(delete) == Applied(None, rejected=(A,))


async def test_expiry(pair: Pair) -> None:
    """The numbers of a call leave when it says."""
    expires_s = int(time.time()) + 3600
    await pair.create(A, expires_at=expires_s)
    group = pair.sandbox.state.ozonetel.groups.find("sandbox", NAME)
    assert group is not None
    assert [member.expires_ms for member in group.members.values()] == [expires_s * 1000]


async def test_refusals(pair: Pair) -> None:
    """Content is refused for what it is."""
    outcome = await pair.call(Call(CallKind.ADD, group_id="77", numbers=(A,)))
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid-group-id"
    pair.fault(RefuseNumbers(numbers=frozenset({A})))
    outcome = await pair.create(A)
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid-data"
    pair.fault(ErrorAnswer(message="Parameters are mandatory", status="false", http=401))
    outcome = await pair.create(B)
    assert isinstance(outcome, Refused)
    assert outcome.code == "parameters-mandatory"


@pytest.mark.parametrize("body", [False, True])
async def test_throttled(pair: Pair, body: bool) -> None:
    """By HTTP status, or in the vendor's words alone."""
    pair.fault(Throttle(body=body))
    assert isinstance(await pair.create(A), Throttled)


async def test_wrong_credentials(pair: Pair) -> None:
    """The account is at fault, no command."""
    pair.credentials = Credentials("sandbox", "wrong", "wrong" if pair.credentials.token else None)
    outcome = await pair.create(A)
    assert isinstance(outcome, AccountFault)
    assert outcome.code in pair.vendor.credential_codes


async def test_tokens() -> None:
    """A dead one is known for what it is, and so is the end of the hour's budget."""
    async with await start(port=0) as sandbox:
        pair = Pair(sandbox, "token")
        assert isinstance(await pair.token(), str)
        pair.fault(KillToken(times=1))
        outcome = await pair.create(A)
        rules = pair.vendor.token_rules
        assert isinstance(outcome, AccountFault)
        assert rules is not None
        assert outcome.code in rules.codes
        for _ in range(rules.max_per_hour - 1):
            assert isinstance(await pair.token(), str)
        assert isinstance(await pair.token(), Throttled)
        assert isinstance(await pair.create(A), Applied)
        pair.credentials = Credentials("sandbox", "wrong")
        assert isinstance(await pair.token(), AccountFault)
        await pair.transport.close()


async def test_a_rename(pair: Pair) -> None:
    """The sandbox's group gets its new description, by the legacy paths its new name, too, and keeps its
    numbers."""
    group_id = await pair.created(A, C)
    name = "of the day" if pair.account.auth == "legacy" else None
    got = await pair.call(Call(CallKind.RENAME, group_id=group_id, group_name=name, remark="all of it"))
    assert isinstance(got, Applied)
    assert got.rejected == ()
    group = pair.sandbox.state.ozonetel.groups.find("sandbox", name or NAME)
    assert group is not None
    assert (group.name, group.description) == (name or NAME, "all of it")
    assert [member.sent for member in group.members.values()] == [A, C]


async def test_a_name_that_another_group_has(pair: Pair) -> None:
    """It is refused, and nothing is changed."""
    if pair.account.auth != "legacy":
        return
    group_id = await pair.created(A)
    await pair.call(Call(CallKind.CREATE, (C,), group_name="other"))
    got = await pair.call(Call(CallKind.RENAME, group_id=group_id, group_name="other", remark="mine"))
    assert isinstance(got, Refused)
    group = pair.sandbox.state.ozonetel.groups.find("sandbox", NAME)
    assert group is not None
    assert group.description == NAME
