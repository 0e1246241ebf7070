"""Calls that bear a token: which dies, is renewed by others, or cannot be had."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from token_world import KEY, USER, Vendor, Worker, World

from numbergroup.engine.calls import AccountFault, Applied, Call, CallKind, Throttled, Unavailable, Withheld
from numbergroup.vendors.attempt import CallResult
from numbergroup.vendors.nxcloud import NXCloud
from numbergroup.vendors.port import Credentials, Request
from numbergroup.vendors.tokens import Tokens, build_tokens

NEW = Credentials(USER, "new-key")
FORMER_TAKEN = "the vendor takes the account's former credentials still, not those that replaced them"
NEW_TAKEN = "the vendor takes the account's new credentials"
CALLS = [
    Call(CallKind.ADD, ("1",), "g"),
    Call(CallKind.CREATE, ("1",), group_name="g"),
    Call(CallKind.FIND_CREATED),
]


@pytest.fixture
def told() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines
    assert not any(secret in repr(lines) for secret in (KEY, NEW.secret, "eyJ"))


@pytest.fixture
def world(told: list[Any]) -> Iterator[World]:
    one = World()
    yield one
    one.end()


def run(world: World, worker: Worker, call: Call = CALLS[0], *, once: bool = False) -> CallResult:
    ended: CallResult = world.run(worker.caller.run(call, worker, worker.record, once=once))
    return ended


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.kind.value)
def test_a_call_bears_the_token(world: World, call: Call) -> None:
    """One is made for the first call, and the next ones cost no more than without."""
    worker = world.worker()
    assert isinstance(run(world, worker, call).outcome, Applied)
    permits = worker.permits
    assert run(world, worker, call).attempts == 1
    assert len(world.requested) == 1
    assert worker.permits == permits


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.kind.value)
def test_a_dead_token(world: World, call: Call, once: bool) -> None:
    """The call is sent again at once, with a new token; each request has a permit of its own."""
    worker = world.worker()
    run(world, worker)
    world.issuer.revoke(USER)
    permits = worker.permits
    ended = run(world, worker, call, once=once)
    assert isinstance(ended.outcome, Applied)
    assert (ended.attempts, ended.doubt_until) == (2, None)
    assert worker.permits - permits == 2, "for the new token, and the call with it; the first it had"


def test_an_account_that_must_wait_asks_for_no_token(world: World) -> None:
    """Neither for a call's first request nor in place of a dead token: the call waits for its turn. The right
    to make a token is free again at once."""
    worker = world.worker()

    def run_waiting() -> CallResult:
        work = worker.caller.run(CALLS[0], worker, worker.record, must_wait=lambda: True)
        ended: CallResult = world.run(work)
        return ended

    assert run_waiting() == CallResult(Withheld())
    assert isinstance(run(world, worker).outcome, Applied)
    assert isinstance(run_waiting().outcome, Applied), "with the token that is there"
    world.issuer.revoke(USER)
    ended = run_waiting()
    assert isinstance(ended.outcome, Unavailable)
    assert (ended.outcome.message, ended.attempts) == ("stopped between two attempts", 1)
    assert len(world.requested) == 1
    assert isinstance(run(world, worker).outcome, Applied)


def test_another_worker_has_made_a_new_one(world: World) -> None:
    """Then that is taken, and none is made."""
    one, other = world.worker("a"), world.worker("b")
    run(world, one)
    run(world, other)
    world.issuer.revoke(USER)
    assert run(world, one).attempts == 2
    assert run(world, other).attempts == 2
    assert len(world.requested) == 2
    assert run(world, one).attempts == run(world, other).attempts == 1


def test_many_calls_meet_the_same_dead_token(world: World) -> None:
    """One token is made for all of them, and each is sent twice."""
    worker = world.worker()
    run(world, worker)
    world.issuer.revoke(USER)

    async def together() -> list[CallResult]:
        return await asyncio.gather(*(worker.call(f"g-{n}") for n in range(10)))

    ended = world.run(together())
    assert {type(one.outcome) for one in ended} == {Applied}
    assert {one.attempts for one in ended} == {2}
    assert len(world.requested) == 2


def test_no_token_is_good(world: World) -> None:
    """A vendor that refuses every token is asked twice a call: the fault is the account's."""
    worker = world.worker()
    world.issuer.is_accepted = lambda user, token, now_s: False  # type: ignore[method-assign]
    ended = run(world, worker)
    assert isinstance(ended.outcome, AccountFault)
    assert ended.attempts == 2
    assert world.calls == 2
    assert len(world.requested) == 2


def test_tokens_that_die_all_the_time(world: World) -> None:
    """A call has one new token, in all its attempts: it makes no more of them than the others."""
    worker = world.worker()
    run(world, worker)
    sent = 0

    def fate(request: Request) -> str:
        nonlocal sent
        if request.url == "/token":
            return "ok"
        sent += 1
        if sent in (1, 3):
            world.issuer.revoke(USER)
        return "not connected" if sent == 2 else "ok"

    world.fate = fate
    ended = run(world, worker)
    assert isinstance(ended.outcome, AccountFault)
    assert (ended.attempts, len(world.requested)) == (3, 2)


def test_there_is_no_token(world: World) -> None:
    """The call is not sent, and not in doubt; why there is none is what becomes of it."""
    worker = world.worker()
    world.fate = lambda request: "lost"
    ended = run(world, worker, CALLS[1], once=True)
    assert ended == CallResult(Unavailable("no answer", in_doubt=False), None, 0)
    world.fate = lambda request: "ok"
    world.keys.clear()
    world.store.states.clear()
    ended = run(world, worker)
    assert ended == CallResult(AccountFault("key", "Authentication failed"), None, 0)
    assert world.calls == 0


def test_a_vendor_that_is_away_for_a_moment(world: World) -> None:
    """What may pass within seconds is tried again within the call."""
    worker = world.worker()
    fates = iter(["not connected", "not connected", "ok", "ok"])
    world.fate = lambda request: next(fates)
    ended = run(world, worker)
    assert isinstance(ended.outcome, Applied)
    assert ended.attempts == 1


def test_the_hour_is_used_up(world: World) -> None:
    """The account waits: `Throttled` is no failure of the command, and names the time."""
    worker = world.worker()
    for _ in range(60):
        ended = run(world, worker)
        world.issuer.revoke(USER)
        if isinstance(ended.outcome, Throttled):
            wait_s = ended.outcome.retry_after_s
            assert wait_s is not None
            if len(world.requested) == 10:
                break
            world.run(asyncio.sleep(wait_s))
    assert isinstance(ended.outcome, Throttled)
    assert ended.outcome.message.startswith("10 of the 10 tokens")
    assert len(world.requested) == 10
    world.run(asyncio.sleep(ended.outcome.retry_after_s or 0))
    assert isinstance(run(world, worker).outcome, Applied)


def test_a_vendor_that_switches_later(world: World, told: list[Any]) -> None:
    """The new key makes no token yet: the former one's is used on, until the vendor has switched."""
    worker = world.worker()
    run(world, worker)
    worker.keyring.replace(NEW, world.now())
    ended = run(world, worker)
    assert isinstance(ended.outcome, Applied)
    assert ended.attempts == 1
    assert world.issuer.count_issued(USER) == 1
    world.keys = {NEW.secret}
    world.issuer.revoke(USER)
    ended = run(world, worker)
    assert isinstance(ended.outcome, Applied)
    assert ended.attempts == 2
    assert run(world, worker).attempts == 1
    said = [line["event"] for line in told if line["event"] in (FORMER_TAKEN, NEW_TAKEN)]
    assert said == [FORMER_TAKEN, NEW_TAKEN]


def test_a_vendor_that_switches_first(world: World) -> None:
    """The old key's token is dead, and it makes no other one: an account's fault until the key is replaced;
    then the next call makes one."""
    worker = world.worker()
    run(world, worker)
    world.keys = {NEW.secret}
    world.issuer.revoke(USER)
    ended = run(world, worker)
    assert isinstance(ended.outcome, AccountFault)
    worker.keyring.replace(NEW, world.now())
    ended = run(world, worker)
    assert isinstance(ended.outcome, Applied)
    assert ended.attempts == 1


def test_an_account_without_tokens() -> None:
    """Whoever wants no tokens is asked for none: NXCloud, and the other modes of a vendor that knows them."""

    class Plain(Vendor):
        token_rules = None  # type: ignore[assignment]

    world = World()
    rest: Any = {
        "store": world.store,
        "transport": None,
        "permit": None,
        "timeout_s": 8.0,
        "now_s": world.now,
    }
    nxcloud = NXCloud("http://127.0.0.1")
    assert build_tokens("default", nxcloud, **rest) is None
    assert build_tokens("default", Plain(), **rest) is None
    assert isinstance(build_tokens("default", Vendor(), **rest), Tokens)
    world.end()
