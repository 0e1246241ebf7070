"""What operators tell all workers, and workers each other: kept in the ledger."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from integration_rig import ID_REF, KEY_REF, TTL_S, Rig
from integration_servers import eventually
from structlog.testing import capture_logs

from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.events import Controls
from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger import keys
from numbergroup.ledger.port import ControlSnapshot, LedgerUnavailable, Pause

ODD_REF = GroupRef("acme", HandleKind.KEY, 'ключ "1", \\{%s}')
TARGETS = ["default", ID_REF, KEY_REF, ODD_REF]
JUNK = [
    b"\xff\xfe",
    b"",
    b"\0",
    b"junk",
    b"{",
    b"7",
    b"null",
    b"[1]",
    b"[" * 10_000,
    b'{"until":"x"}',
    b"9" * 400,
]


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


async def audit(rig: Rig) -> list[tuple[str, str, Any]]:
    return [
        (entry[b"who"].decode(), entry[b"action"].decode(), orjson.loads(entry[b"detail"]))
        for _, entry in await rig.client.xrange(keys.AUDIT)
    ]


async def test_nothing_is_said(rig: Rig) -> None:
    """An empty ledger forbids nothing."""
    assert await rig.control_store.read() == ControlSnapshot(Controls(), {})


@pytest.mark.parametrize("target", TARGETS, ids=str)
async def test_pausing(rig: Rig, target: str | GroupRef) -> None:
    """It holds until it is resumed; everybody reads the reason, and can find out who paused it and when."""
    assert await rig.control_store.pause(target, 'a "reason" \\ {"since":1} ü', "me@here")
    controls = (await rig.control_store.read()).controls
    assert {**controls.paused_accounts, **controls.paused_groups} == {target: 'a "reason" \\ {"since":1} ü'}
    assert isinstance(target, str) == bool(controls.paused_accounts)
    (found,) = (await rig.control_store.read_pauses()).items()
    assert found == (target, Pause('a "reason" \\ {"since":1} ü', "me@here", found[1].since))
    assert abs(found[1].since - time.time()) < 60

    assert await rig.control_store.resume(target, "you@there")
    orders = await rig.control_store.read()
    assert orders.controls == Controls()
    assert list(orders.resumed) == [target]


async def test_pausing_twice(rig: Rig) -> None:
    """Whoever comes second is told so, and changes nothing: the first one's reason stands."""
    assert await rig.control_store.pause("default", "first", "a@x")
    before = await rig.everything()
    assert not await rig.control_store.pause("default", "second", "b@x")
    assert await rig.everything() == before


async def test_two_pause_at_once(rig: Rig) -> None:
    """One of them did it."""
    done = await asyncio.gather(*(rig.control_store.pause(ID_REF, f"r{n}", f"u{n}") for n in range(10)))
    assert sorted(done) == [False] * 9 + [True]
    assert len(await audit(rig)) == 1


async def test_resuming_what_is_not_paused(rig: Rig) -> None:
    """Nobody had paused it; all workers hear of it, each time: something else may hold it up."""
    assert not await rig.control_store.resume("default", "me@here")
    first = (await rig.control_store.read()).resumed["default"]

    async def later() -> bool:
        assert not await rig.control_store.resume("default", "me@here")
        return (await rig.control_store.read()).resumed["default"] > first

    await eventually(later, "another time")


async def test_what_was_resumed_is_forgotten(rig: Rig) -> None:
    """An hour later it is of no interest to anybody: the ledger does not fill up with it."""
    await rig.control_store.resume("default", "me@here")
    assert 3_590_000 < await rig.client.pttl(keys.RESUMES) <= 3_600_000


async def test_every_action_is_written_down(rig: Rig) -> None:
    """Who did what to what and why, in order; what changed nothing is no action."""
    await rig.control_store.pause("default", "key rotated", "a@x")
    await rig.control_store.pause("default", "again", "b@x")
    await rig.control_store.pause(KEY_REF, "", "a@x")
    await rig.control_store.resume(KEY_REF, "c@x")
    assert await audit(rig) == [
        ("a@x", "pause", {"account": "default", "reason": "key rotated"}),
        ("a@x", "pause", {"account": "default", "group": "key:k-1", "reason": ""}),
        ("c@x", "resume", {"account": "default", "group": "key:k-1"}),
    ]


@pytest.mark.parametrize("key", [keys.AUDIT, keys.PAUSES, keys.RESUMES])
async def test_all_or_nothing(rig: Rig, key: str) -> None:
    """Where one of the keys is not what it should be, nothing at all is changed."""
    await rig.control_store.pause(ID_REF, "", "me@here")
    await rig.client.delete(key)
    await rig.client.set(key, b"junk")
    before = await rig.everything()
    with pytest.raises(LedgerUnavailable, match="WRONGTYPE"):
        await rig.control_store.resume(ID_REF, "me@here")
    if key != keys.RESUMES:
        with pytest.raises(LedgerUnavailable, match="WRONGTYPE"):
            await rig.control_store.pause("default", "", "me@here")
    assert await rig.everything() == before


async def test_breakers(rig: Rig) -> None:
    """What one worker says of an account all of them read, until it says that it is closed."""
    opened = BreakerNotice(time.time() + 12.5, 3)
    await rig.control_store.publish_breaker("default", BreakerNotice(time.time() + 1, 2))
    await rig.control_store.publish_breaker("default", opened)
    await rig.control_store.publish_breaker("acme", BreakerNotice(1.5, 1))
    assert (await rig.control_store.read()).controls.breakers == {
        "default": opened,
        "acme": BreakerNotice(1.5, 1),
    }
    for _ in range(2):
        await rig.control_store.publish_breaker("default", None)
    assert list((await rig.control_store.read()).controls.breakers) == ["acme"]


async def test_one_probe_at_a_time(rig: Rig) -> None:
    """Of all who ask at once one may try the account, however often it asks; other accounts are apart."""
    done = await asyncio.gather(
        *(rig.control_store.claim_probe("default", f"w{n}", TTL_S) for n in range(10))
    )
    assert done.count(True) == 1
    holder = f"w{done.index(True)}"
    assert await rig.control_store.claim_probe("default", holder, TTL_S)
    assert await rig.control_store.claim_probe("acme", "another", TTL_S)


async def test_the_probe_is_its_holders(rig: Rig) -> None:
    """Only who holds it can let another one in."""
    await rig.control_store.claim_probe("default", "a", TTL_S)
    await rig.control_store.release_probe("default", "b")
    assert not await rig.control_store.claim_probe("default", "b", TTL_S)
    for _ in range(2):
        await rig.control_store.release_probe("default", "a")
    assert await rig.control_store.claim_probe("default", "b", TTL_S)


async def test_the_probe_of_the_dead(rig: Rig) -> None:
    """Who took it and died keeps it no longer than it said; asking again prolongs it."""
    await rig.control_store.claim_probe("default", "dead", TTL_S)
    assert 0 < await rig.client.pttl(keys.probe("default")) <= TTL_S * 1000
    await rig.control_store.claim_probe("default", "dead", 0.05)

    async def free() -> bool:
        return await rig.control_store.claim_probe("default", "alive", TTL_S)

    await eventually(free, "the dead one's probe ends")


@pytest.mark.parametrize("junk", ["text", "list", "hash"])
async def test_a_probe_that_is_none(rig: Rig, junk: str) -> None:
    """What would never end, or is no token, keeps nobody out."""
    name = keys.probe("default")
    if junk == "text":
        await rig.client.set(name, b"somebody")
    elif junk == "list":
        await rig.client.rpush(name, b"somebody")  # type: ignore[misc]
    else:
        await rig.client.hset(name, "some", b"body")  # type: ignore[arg-type, misc]
    await rig.control_store.release_probe("default", "a")
    assert await rig.control_store.claim_probe("default", "a", TTL_S)
    assert not await rig.control_store.claim_probe("default", "b", TTL_S)


async def test_dead_letters_are_counted(rig: Rig) -> None:
    """How many there are, as whoever writes and removes them has counted."""
    await rig.client.set(keys.DEAD_LETTER_COUNT, 412_345)
    assert (await rig.control_store.read()).controls.dead_letters == 412_345


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:12]))
async def test_junk(rig: Rig, logs: list[Any], junk: bytes) -> None:
    """Whatever somebody else wrote there: what can be read holds, what is named is paused, the rest counts
    for nothing; each is told once, however often it is read."""
    await rig.control_store.pause("acme", "sound", "me@here")
    await rig.control_store.publish_breaker("acme", BreakerNotice(1.5, 1))
    raw: Any = rig.client
    await raw.hset(
        keys.PAUSES, mapping={"default": junk, keys.group_field(ID_REF): junk, b"\xff": junk, b"": junk}
    )
    await raw.hset(keys.PAUSES, mapping={b"a\0b": junk, b"a\0nokind\0c": junk, b"\x1b[2J": junk})
    await raw.hset(keys.BREAKERS, mapping={"default": junk, b"\xff": junk})
    await raw.hset(keys.RESUMES, mapping={"default": junk or b"x", b"\xff": b"1"})
    await rig.client.set(keys.DEAD_LETTER_COUNT, junk if junk != b"7" else b"-7")
    readings = [await rig.control_store.read() for _ in range(3)]
    assert readings[0] == readings[1] == readings[2]
    controls = readings[0].controls
    unreadable = "its entry cannot be read"
    assert controls.paused_accounts == {"acme": "sound", "default": unreadable}
    assert controls.paused_groups == {ID_REF: unreadable}
    assert controls.breakers == {"acme": BreakerNotice(1.5, 1)}
    assert controls.dead_letters == 0
    told = [(line["key"], line["field"]) for line in logs]
    assert len(told) == len(set(told)) >= 10
    assert await rig.control_store.resume("default", "me@here")


async def test_a_breaker_that_would_not_be_tried_for_days(rig: Rig) -> None:
    """A time that nobody can mean (in milliseconds, say) closes no account."""
    await rig.control_store.publish_breaker("default", BreakerNotice(time.time() * 1000, 1))
    assert (await rig.control_store.read()).controls.breakers == {}


@pytest.mark.redis_server
@pytest.mark.parametrize("key", [keys.PAUSES, keys.RESUMES, keys.BREAKERS, keys.DEAD_LETTER_COUNT])
async def test_a_key_of_another_kind(redis_url: str, logs: list[Any], key: str) -> None:
    """It counts for nothing, is told once, and costs nobody the others: no worker waits for it to be mended.
    (The embedded broker hangs up on it.)"""
    async with Rig(redis_url) as rig:
        await rig.client.flushall()
        await rig.control_store.pause("default", "why", "me@here")
        await rig.client.delete(key)
        await rig.client.rpush(key, b"junk")  # type: ignore[misc]
        for _ in range(2):
            controls = (await rig.control_store.read()).controls
        assert list(controls.paused_accounts) == ([] if key == keys.PAUSES else ["default"])
    assert [line["key"] for line in logs] == [key]


async def test_in_one_round_trip(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is in force comes with one answer: every worker asks once a second."""
    sent: list[Any] = []
    connection: Any = type(rig.client.connection_pool.make_connection())
    send = connection.send_packed_command

    async def count(self: Any, command: Any, *args: Any, **kwargs: Any) -> None:
        sent.append(command)
        await send(self, command, *args, **kwargs)

    await rig.control_store.read()  # which connects
    monkeypatch.setattr(connection, "send_packed_command", count)
    await rig.control_store.read()
    assert len(sent) == 1
