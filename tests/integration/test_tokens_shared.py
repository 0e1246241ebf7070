"""Ozonetel's token among workers: over HTTP and a real ledger, with nothing simulated but the vendor."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from integration_rig import Rig

from numbergroup.engine.calls import AccountFault, Applied, Call, CallKind
from numbergroup.ledger.tokens import RedisTokens
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import Sandbox, start
from numbergroup.vendors.attempt import CallResult, Limits
from numbergroup.vendors.client import Caller
from numbergroup.vendors.http import HttpTransport
from numbergroup.vendors.keyring import Keyring
from numbergroup.vendors.ozonetel import Ozonetel
from numbergroup.vendors.port import Credentials
from numbergroup.vendors.tokens import build_tokens

USER = "sandbox"
MINE, ROTATED = Credentials(USER, "sandbox-api-key"), Credentials(USER, "another-api-key")
GROUP = "blocked"
WORKERS = 3


class Shared:
    """Three workers' callers of one account, and the vendor's issuer that makes its tokens."""

    def __init__(self, sandbox: Sandbox, rig: Rig, opened: AsyncExitStack) -> None:
        self.issuer = sandbox.state.ozonetel.tokens
        self.state = sandbox.state.ozonetel
        self.keyrings = [Keyring("default", MINE) for _ in range(WORKERS)]
        self.callers = []
        for keyring in self.keyrings:
            vendor, transport = Ozonetel(sandbox.origin, "token"), HttpTransport(16, 5.0, 5.0)
            tokens = build_tokens(
                "default",
                vendor,
                store=RedisTokens(rig.client),
                transport=transport,
                permit=self._permit,
                timeout_s=5.0,
                now_s=time.time,
            )
            caller = Caller(
                vendor,
                keyring,
                transport,
                Limits(5.0, 5.0),
                permit=self._permit,
                wall_s=time.time,
                tokens=tokens,
            )
            opened.push_async_callback(caller.close)
            self.callers.append(caller)

    async def _permit(self) -> None:
        """At once."""

    async def outlives(self, seconds: float) -> bool:
        return True

    async def _record(self, until: float) -> bool:
        return True

    async def add(self, worker: int, number: int) -> CallResult:
        call = Call(CallKind.ADD, (f"98765432{number:02}",), GROUP)
        return await self.callers[worker].run(call, self, self._record)

    async def all_add(self, times: int = 3) -> list[CallResult]:
        """In every worker so many calls at once; all of them are applied."""
        ended = await asyncio.gather(*(self.add(n % WORKERS, n) for n in range(times * WORKERS)))
        assert {type(one.outcome) for one in ended} == {Applied}
        return ended


@pytest.fixture
async def shared(rig: Rig) -> AsyncIterator[Shared]:
    async with AsyncExitStack() as opened:
        sandbox = await start(Options(), port=0)
        opened.push_async_callback(sandbox.stop)
        one = Shared(sandbox, rig, opened)
        ended = await one.callers[0].run(
            Call(CallKind.CREATE, ("9876543299",), group_name=GROUP), one, one._record
        )
        assert isinstance(ended.outcome, Applied)
        yield one


async def test_all_use_the_token_that_one_has_made(shared: Shared) -> None:
    ended = await shared.all_add()
    assert {one.attempts for one in ended} == {1}
    assert shared.issuer.count_issued(USER) == 1


async def test_a_token_that_dies(shared: Shared) -> None:
    """One of the workers makes another; no call is sent more than twice."""
    await shared.all_add()
    shared.issuer.revoke(USER)
    assert {one.attempts for one in await shared.all_add()} == {2}
    assert shared.issuer.count_issued(USER) == 2
    assert {one.attempts for one in await shared.all_add()} == {1}


async def test_a_key_that_is_rotated(shared: Shared) -> None:
    """The vendor first: that is the account's fault until the workers have the new key. Then one is made."""
    shared.state.rotate(USER, ROTATED.secret)
    assert isinstance((await shared.add(1, 1)).outcome, AccountFault)
    for keyring in shared.keyrings:
        keyring.replace(ROTATED, time.time())
    await shared.all_add()
    assert shared.issuer.count_issued(USER) == 2


async def test_a_key_that_is_rotated_here_first(shared: Shared) -> None:
    """The former one's token is used on, and the vendor is asked for no other one that works."""
    for keyring in shared.keyrings:
        keyring.replace(ROTATED, time.time())
    await shared.all_add()
    assert shared.issuer.count_issued(USER) == 1
