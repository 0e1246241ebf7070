"""The token of an account: made once for all workers, renewed in time, and replaced when it is dead."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from token_world import KEY, MINE, START, TIMEOUT_S, USER, Worker, World

from numbergroup.engine.calls import AccountFault, Throttled, Unavailable
from numbergroup.ledger.token_state import Claim
from numbergroup.vendors.port import Credentials, Request

OTHERS = Credentials(USER, "rotated-key")


@pytest.fixture
def world() -> Iterator[World]:
    with capture_logs() as lines:
        one = World()
        yield one
        one.end()
    assert "eyJ" not in repr(lines)
    assert KEY not in repr(lines)
    assert OTHERS.secret not in repr(lines)


def current(world: World, worker: Worker, dead: str | None = None) -> Any:
    return world.run(worker.current(dead))


def good(world: World, token: Any) -> bool:
    return isinstance(token, str) and world.issuer.is_accepted(USER, token, world.now())


def sleep(world: World, seconds: float) -> None:
    world.run(asyncio.sleep(seconds))


def test_one_token_for_all(world: World) -> None:
    """However many ask at once, in however many workers, one is made, with a permit of its own."""
    workers = [world.worker(f"w-{n}") for n in range(5)]

    async def ask() -> list[Any]:
        return await asyncio.gather(*(worker.current() for worker in workers for _ in range(4)))

    tokens = world.run(ask())
    assert len(set(tokens)) == 1
    assert good(world, tokens[0])
    assert len(world.requested) == 1
    assert 1 <= sum(worker.permits for worker in workers) <= 5


def test_nobody_is_asked_for_what_is_known(world: World) -> None:
    """Most of the time a call costs neither a look into the ledger nor a permit."""
    worker = world.worker()
    token = current(world, worker)
    uses, permits = world.store.uses, worker.permits
    sleep(world, 3000)
    assert current(world, worker) == token
    assert (world.store.uses, worker.permits) == (uses, permits)


def test_a_newcomer_uses_what_is_there(world: World) -> None:
    token = current(world, world.worker("a"))
    newcomer = world.worker("b")
    assert current(world, newcomer) == token
    assert newcomer.permits == 0


def test_it_is_renewed_before_it_ends(world: World) -> None:
    """By one of the workers, at a moment that nobody else chose; the others find the new one."""
    workers = [world.worker(f"w-{n}") for n in range(5)]
    for worker in workers:
        current(world, worker)

    async def go_on(worker: Worker) -> None:
        while world.loop.now < 3600:
            await asyncio.sleep(0.9)
            found = await worker.current()
            assert isinstance(found, str)

    async def all_go_on() -> None:
        await asyncio.gather(*map(go_on, workers))

    world.run(all_go_on())
    assert len(world.requested) == 2
    assert 3290 <= world.requested[1] - START <= 3490
    assert {good(world, current(world, worker)) for worker in workers} == {True}
    assert len(world.requested) == 2


def test_workers_renew_it_at_moments_of_their_own() -> None:
    """They do not all come at once: when it is, chance decides."""
    moments = []
    for seed in range(6):
        world = World(seed)
        worker = world.worker()
        current(world, worker)
        while len(world.requested) == 1:
            sleep(world, 5)
            current(world, worker)
        moments.append(world.requested[1] - START)
        world.end()
    assert min(moments) >= 3300
    assert max(moments) <= 3490
    assert max(moments) - min(moments) > 60


def test_a_permit_is_for_now(world: World) -> None:
    """While a slow ledger was asked others may have had theirs: another one is waited for."""
    worker = world.worker()
    world.store.lag_s = 0.1
    assert good(world, current(world, worker))
    assert worker.permits == 2


def test_a_token_that_works_is_used_while_the_next_is_made(world: World) -> None:
    """A slow vendor keeps nobody waiting, but the one who asks it."""
    worker = world.worker()
    token = current(world, worker)
    sleep(world, 3500)
    world.fate = lambda request: "never"

    async def both() -> tuple[Any, float]:
        asking = asyncio.ensure_future(worker.current())
        await asyncio.sleep(0.1)
        began = world.loop.now
        found = await worker.current()
        took_s = world.loop.now - began
        assert await asking == token
        return found, took_s

    assert world.run(both()) == (token, 0.0)


def test_it_is_used_to_its_end_when_no_new_one_comes(world: World) -> None:
    """And no longer: then it is said why there is none. Nothing is in doubt, for nothing was sent."""
    worker = world.worker()
    token = current(world, worker)
    world.fate = lambda request: "not connected"
    for _ in range(19):
        sleep(world, 180)
        assert current(world, worker) == token
    sleep(world, 3599.5 - world.loop.now)
    found = current(world, worker)
    assert found == Unavailable("not connected", in_doubt=False)
    world.fate = lambda request: "ok"
    assert good(world, current(world, worker))


def test_a_vendor_that_is_asked_in_vain_is_not_hammered(world: World) -> None:
    """While the token works, it is asked for the next one every ten to twenty seconds."""
    worker = world.worker()
    current(world, worker)
    sleep(world, 3500)
    asked: list[float] = []

    def fate(request: Request) -> str:
        asked.append(world.now())
        return "not connected"

    world.fate = fate

    async def calls() -> None:
        for _ in range(60):
            await worker.current()
            await asyncio.sleep(1)

    world.run(calls())
    assert 3 <= len(asked) <= 6


def test_a_dead_token_is_replaced_at_once(world: World) -> None:
    """Whoever says so first makes the next one; who says so of the one before it is given that."""
    one, other = world.worker("a"), world.worker("b")
    dead = current(world, one)
    assert current(world, other) == dead
    world.issuer.revoke(USER)
    token = current(world, one, dead)
    assert good(world, token)
    assert current(world, other, dead) == token
    assert current(world, one, dead) == token
    assert len(world.requested) == 2


def test_a_token_dies_while_it_is_looked_up(world: World) -> None:
    """What was found for others and is called dead meanwhile is not given out."""
    dead = current(world, world.worker("a"))
    world.issuer.revoke(USER)
    worker = world.worker("b")

    async def both() -> list[Any]:
        return await asyncio.gather(worker.current(), worker.current(dead))

    assert {good(world, token) for token in world.run(both())} == {True}


def test_a_rotated_key_makes_a_token_of_its_own(world: World) -> None:
    """The one that the former key made may have ended with it."""
    worker = world.worker()
    former = current(world, worker)
    world.keys.add(OTHERS.secret)
    token = world.run(worker.tokens.get_token(OTHERS))
    assert token != former
    assert good(world, token)
    assert world.run(world.worker("b", OTHERS).current()) == token


def test_credentials_that_are_not_taken(world: World) -> None:
    """That is the account's fault, and uses none of the hour's tokens up: other ones work at once."""
    worker = world.worker("a", OTHERS)
    for _ in range(30):
        found = current(world, worker)
        assert found == AccountFault("key", "Authentication failed")
    assert good(world, current(world, world.worker("b")))


def test_the_hour_is_used_up(world: World) -> None:
    """Somebody kills them as fast as they come: never more than ten an hour, it is said when there is the
    next, and it comes then. The vendor has never to refuse one."""
    worker = world.worker()
    token = current(world, worker)
    answers: list[Any] = []

    async def killed() -> None:
        nonlocal token
        while world.loop.now < 3 * 3600:
            world.issuer.revoke(USER)
            found = await worker.current(token)
            answers.append((world.now(), found))
            if isinstance(found, str):
                token = found
                await asyncio.sleep(1)
            else:
                assert isinstance(found, Throttled)
                assert found.retry_after_s is not None
                await asyncio.sleep(found.retry_after_s)

    world.run(killed())
    assert world.issuer.count_refused(USER) == 0
    for moment in world.requested:
        assert sum(moment - 3600 < at <= moment for at in world.requested) <= 10
    throttled = [found for _, found in answers if isinstance(found, Throttled)]
    assert len(throttled) < len(world.requested), "it comes when it was said to"
    assert 25 <= len(world.requested) <= 31
    assert "of the 10 tokens of an hour are used up" in throttled[-1].message
    assert "the next one is made at 2023-11-1" in throttled[-1].message
    assert max(found.retry_after_s or 0 for found in throttled) < 3600


@pytest.mark.parametrize("fate", ["lost", "late", "unreadable"])
def test_requests_that_nobody_answers_count(world: World, fate: str) -> None:
    """They may have made a token: never more than ten an hour come to the vendor, and each a while after the
    last, so that an outage that is over does not last on."""
    worker = world.worker()
    world.fate = lambda request: fate

    async def go_on() -> None:
        while world.loop.now < 3600:
            found = await worker.current()
            assert not isinstance(found, str)
            assert not found.in_doubt
            await asyncio.sleep(5)

    world.run(go_on())
    assert 8 <= len(world.requested) <= 10
    world.fate = lambda request: "ok"

    async def comes() -> float:
        began = world.loop.now
        while not isinstance(await worker.current(), str):
            await asyncio.sleep(1)
        return world.loop.now - began

    assert world.run(comes()) <= 24 * 60


@pytest.mark.parametrize("fate", ["not connected", "down"])
def test_a_vendor_that_is_down_has_made_none(world: World, fate: str) -> None:
    """When it is back, there is a token at once, however long it was away."""
    worker = world.worker()
    world.fate = lambda request: fate
    for _ in range(100):
        found = current(world, worker)
        assert isinstance(found, Unavailable)
        assert not found.in_doubt
        sleep(world, 5)
    world.fate = lambda request: "ok"
    assert good(world, current(world, worker))


def test_the_vendor_says_that_the_hour_is_used_up(world: World) -> None:
    """As when the ledger was lost, and the count with it. What is asked for in vain counts, too: it is not
    asked all the time."""
    for _ in range(10):
        world.issuer.issue(USER, world.now())
    worker = world.worker()
    assert current(world, worker) == Throttled(None, "limit", "Max limit exceeded")

    async def go_on() -> None:
        while world.loop.now < 3500:
            assert isinstance(await worker.current(), Throttled)
            await asyncio.sleep(1)

    world.run(go_on())
    assert 8 <= len(world.requested) <= 10
    sleep(world, 400)
    assert good(world, current(world, worker))


def test_a_worker_dies_with_the_claim(world: World) -> None:
    """The others wait until nothing can come of it any more, some seconds at a time, and then make one."""
    dead, alive = world.worker("dead"), world.worker("alive")

    def die() -> None:
        dead.process.alive = False

    world.on_token_request = die
    dead.start(dead.current())
    sleep(world, 1)
    world.on_token_request = lambda: None
    answers = []
    while not isinstance(found := current(world, alive), str):
        answers.append(found)
    assert answers[0] == Unavailable("another worker is making a token", in_doubt=False, is_local=True)
    assert good(world, found)
    assert world.loop.now < 30
    assert len(world.requested) == 2


def test_a_worker_freezes_with_the_claim(world: World) -> None:
    """When it thaws it sends nothing: another one's token would die of it."""
    frozen, alive = world.worker("frozen"), world.worker("alive")
    swap = world.store.change

    async def freezing(account: str, change: Any) -> Any:
        done = await swap(account, change)
        if not frozen.process.thaws:
            frozen.process.frozen = True
            world.loop.later(60, world.loop.thaw, frozen.process)
        return done

    frozen.tokens._store = type(
        "Freezing", (), {"read": world.store.read, "change": staticmethod(freezing)}
    )()
    asking = frozen.start(frozen.current())
    sleep(world, 25)
    token = current(world, alive)
    assert good(world, token)
    sleep(world, 60)
    assert asking.result() == Unavailable("not sent in time", in_doubt=False, is_local=True)
    assert len(world.requested) == 1
    assert good(world, token)


def test_whose_token_is_not_the_newest_uses_the_newer(world: World) -> None:
    """A worker that was frozen with its token in hand has a dead one there, and does not spread it."""
    frozen, alive = world.worker("frozen"), world.worker("alive")

    def freeze() -> None:
        world.on_token_request = lambda: None
        frozen.process.frozen = True
        world.loop.later(60, world.loop.thaw, frozen.process)

    world.on_token_request = freeze
    asking = frozen.start(frozen.current())
    sleep(world, 25)
    token = current(world, alive)
    sleep(world, 60)
    assert asking.done()
    assert current(world, frozen) == token
    assert good(world, token)


def test_the_ledger_is_away(world: World) -> None:
    """A token that works is used on; where there is none, that is our trouble, and nobody else's."""
    worker = world.worker()
    token = current(world, worker)
    sleep(world, 3500)
    world.ledger_away = lambda: True
    assert current(world, worker) == token
    found = current(world, world.worker("b"))
    assert isinstance(found, Unavailable)
    assert found.is_local
    assert not found.in_doubt


def test_the_ledger_goes_away_while_one_is_made(world: World) -> None:
    """For a moment: it is written all the same. For longer: who made it uses it; others make another."""
    worker = world.worker()

    def away(for_s: float) -> None:
        back = world.loop.now + for_s
        world.ledger_away = lambda: world.loop.now < back
        world.on_token_request = lambda: None

    world.on_token_request = lambda: away(1.5)
    token = current(world, worker)
    assert current(world, world.worker("b")) == token

    world.issuer.revoke(USER)
    world.on_token_request = lambda: away(10)
    token = current(world, worker, token)
    assert good(world, token)
    assert current(world, worker) == token
    sleep(world, 30)
    other = world.worker("b")
    former = current(world, other)
    assert not good(world, former)
    assert good(world, current(world, other, former))


def test_who_asked_first_is_cancelled(world: World) -> None:
    """The others get their token all the same."""
    worker = world.worker()

    async def both() -> Any:
        first = asyncio.ensure_future(worker.current())
        await asyncio.sleep(0.03)
        second = asyncio.ensure_future(worker.current())
        await asyncio.sleep(0.01)
        first.cancel()
        return await second

    assert good(world, world.run(both()))
    assert len(world.requested) == 1


def test_closing(world: World) -> None:
    """Nothing is left running."""
    worker = world.worker()
    world.fate = lambda request: "never"

    async def close() -> None:
        asking = asyncio.ensure_future(worker.current())
        await asyncio.sleep(1)
        await worker.tokens.close()
        assert asking.cancelled() or asking.done()

    world.run(close())
    assert world.loop.now < TIMEOUT_S


def test_a_bug_of_the_adapter(world: World) -> None:
    """It parks the group and says so, without what the error says: that may quote the token."""
    worker = world.worker()

    def token(answer: Any, credentials: Any) -> Any:
        raise ValueError(answer.body)

    worker.tokens._provider.parse_token = token  # type: ignore[method-assign]
    assert current(world, worker) == Unavailable("internal error: ValueError", in_doubt=False, is_local=True)


def test_a_claim_of_another_time(world: World) -> None:
    """The ledger's clock was set back: a claim that would last for a day keeps nobody waiting."""
    left = Claim("x", world.now() + 86_400)
    world.run(world.store.change("default", lambda state: state.claimed(left, left.until)))
    assert good(world, current(world, world.worker()))


def test_it_is_not_shown(world: World) -> None:
    worker = world.worker()
    token = current(world, worker)
    assert token not in repr(world.store.states)
    assert KEY not in repr(world.store.states)
    assert KEY not in str(world.store.states["default"].token.of)  # type: ignore[union-attr]
    assert MINE.secret not in repr(MINE)
