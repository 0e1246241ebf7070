"""The shared token in the ledger: read by all, changed by one at a time."""

import asyncio
from typing import Any

import orjson
import pytest
from integration_rig import Rig
from structlog.testing import capture_logs
from token_world import MINE, USER, Vendor

from numbergroup.ledger import keys
from numbergroup.ledger.token_state import Claim, SharedToken, TokenState
from numbergroup.ledger.tokens import RedisTokens
from numbergroup.sandbox.ozonetel_tokens import TokenIssuer
from numbergroup.vendors.port import Answer, Request
from numbergroup.vendors.tokens import Tokens

NOW = 1_700_000_000.25
STATE = TokenState(
    SharedToken("eyJ.t.1", "ann", NOW), Claim("c-2", NOW + 15.5), {"c-1": NOW, "c-2": NOW + 15.5}
)
KEY = keys.token("default")


def to(state: TokenState) -> Any:
    return lambda _: state


async def test_nothing_is_there(rig: Rig) -> None:
    assert await rig.tokens.read("default") == TokenState()


@pytest.mark.parametrize("state", [TokenState(), STATE, TokenState(STATE.token)])
async def test_what_is_written_is_read(rig: Rig, state: TokenState) -> None:
    """By every worker, and of this account only."""
    assert await rig.tokens.change("default", to(state)) == state
    assert await RedisTokens(rig.client).read("default") == state
    assert await rig.tokens.read("acme") == TokenState()


async def test_a_change_that_is_none(rig: Rig) -> None:
    await rig.tokens.change("default", to(STATE))
    before = await rig.everything()
    assert await rig.tokens.change("default", lambda state: None) is None
    assert await rig.everything() == before


async def test_of_all_who_claim_at_once_one_may(rig: Rig) -> None:
    """The state that each of them has seen is that of one only when it is changed."""
    seen = await rig.tokens.read("default")

    async def take(name: str) -> bool:
        claim = Claim(name, NOW + 15)
        found = await RedisTokens(rig.client).change(
            "default", lambda state: state.claimed(claim, NOW) if state == seen else None
        )
        return found is not None

    assert (await asyncio.gather(*(take(f"c-{n}") for n in range(10)))).count(True) == 1


async def test_no_change_is_lost(rig: Rig) -> None:
    """Whoever comes second changes what the first one has made of it."""

    def add(name: str) -> Any:
        return lambda state: TokenState(state.token, None, {**state.made, name: NOW})

    names = {f"c-{n}" for n in range(8)}
    await asyncio.gather(*(RedisTokens(rig.client).change("default", add(name)) for name in names))
    assert set((await rig.tokens.read("default")).made) == names


async def test_it_ends_with_the_account(rig: Rig) -> None:
    """Nobody has to remove the token of an account that is not used any more."""
    await rig.tokens.change("default", to(STATE))
    assert 86_000_000 < await rig.client.pttl(KEY) <= 86_400_000


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff",
        b"{",
        b"7",
        b"[]",
        b"null",
        b"[" * 10_000,
        b'{"made":{"a":"x"}}',
        b'{"claim":{"id":"a"}}',
        b'{"token":{"value":"eyJ.secret","of":"a","since":[]}}',
    ],
    ids=lambda junk: repr(junk[:12]),
)
async def test_junk(rig: Rig, junk: bytes) -> None:
    """It counts for nothing, is told once and without what is in it, and is written over."""
    await rig.client.set(KEY, junk)
    with capture_logs() as lines:
        for _ in range(3):
            assert await rig.tokens.read("default") == TokenState()
        assert await rig.tokens.change("default", to(STATE)) == STATE
    assert [line["key"] for line in lines] == [KEY]
    assert "eyJ" not in repr(lines)
    assert await rig.tokens.read("default") == STATE


async def test_a_key_of_another_kind(rig: Rig) -> None:
    """Likewise."""
    await rig.client.rpush(KEY, b"junk")  # type: ignore[misc]
    with capture_logs() as lines:
        assert await rig.tokens.read("default") == TokenState()
        assert await rig.tokens.change("default", to(STATE)) == STATE
    assert [line["key"] for line in lines] == [KEY]
    assert await rig.tokens.read("default") == STATE


async def test_workers_that_share_it(rig: Rig) -> None:
    """However many workers need a token at once, one is made, and all of them have it."""
    issuer = TokenIssuer()
    vendor = Vendor()
    now_s = NOW

    class Wire:
        async def exchange(
            self, request: Request, max_bytes: int, send_deadline: float, *_: object
        ) -> Answer:
            made = issuer.issue(request.body.decode(), now_s)
            return Answer(200, orjson.dumps({"token": made}))

        async def close(self) -> None:
            """Nothing to close."""

    async def permit() -> None:
        """At once."""

    workers = [
        Tokens(
            "default",
            vendor,
            rules=vendor.token_rules,
            store=RedisTokens(rig.client),
            transport=Wire(),
            permit=permit,
            timeout_s=8.0,
            now_s=lambda: now_s,
        )
        for _ in range(6)
    ]
    tokens = await asyncio.gather(*(worker.get_token(MINE) for worker in workers))
    assert len(set(tokens)) == issuer.count_issued(USER) == 1
    dead, now_s = str(tokens[0]), NOW + 60
    tokens = await asyncio.gather(*(worker.get_token(MINE, dead) for worker in workers))
    assert len(set(tokens)) == 1
    assert issuer.count_issued(USER) == 2
    assert issuer.is_accepted(USER, str(tokens[0]), now_s)
    for worker in workers:
        await worker.close()
