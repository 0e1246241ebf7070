"""What the ledger notes of crashes: how an owner ended, and what it had in hand."""

import pytest
from integration_rig import CRASHES, LEASE, TTL_S, Rig
from integration_servers import cutting

from numbergroup.engine.partition.poison_detection import History, InHand, Step, Suspect
from numbergroup.ledger.port import CrashRecord

CLEAN = CrashRecord(History(), False, InHand())
HISTORY = History(3, (Suspect(Step.DECODE, "a"), Suspect(Step.SEND, "b", 2)))
IN_HAND = InHand(Step.PLAN, ("a", "b"))


async def test_the_first_owner(rig: Rig) -> None:
    """Nobody was there before who might have crashed."""
    await rig.own("me")
    assert await rig.ledger.read_crash_record(0) == CLEAN


async def test_a_clean_end(rig: Rig) -> None:
    """Who released the partition has not crashed, and has nothing in hand; what is suspected stays."""
    await rig.own("me")
    assert await rig.ledger.write_crash_history(0, rig.epoch, HISTORY)
    assert await rig.ledger.write_in_hand(0, rig.epoch, IN_HAND)
    await rig.ledger.release_lease(0, "me", rig.epoch)
    await rig.own("another")
    assert await rig.ledger.read_crash_record(0) == CrashRecord(HISTORY, False, InHand())


async def test_a_crash(rig: Rig) -> None:
    """Whose lease ran out has crashed, as soon as another one comes; what it had in hand is known."""
    await rig.own("me")
    assert await rig.ledger.write_in_hand(0, rig.epoch, IN_HAND)
    await rig.client.delete(LEASE)
    assert not (await rig.ledger.read_crash_record(0)).has_uncounted_crash
    await rig.own("another")
    assert await rig.ledger.read_crash_record(0) == CrashRecord(History(), True, IN_HAND)
    await rig.own("me")
    assert await rig.ledger.write_crash_history(0, rig.epoch, History(1))
    assert await rig.ledger.read_crash_record(0) == CrashRecord(History(1), False, InHand())


async def test_the_same_owner_again(rig: Rig) -> None:
    """Who lost its lease and took it again is alive. So is who asks twice because the answer got lost, and a
    crash before that is not forgotten."""
    await rig.own("me")
    await rig.own("me")
    assert await rig.ledger.read_crash_record(0) == CLEAN
    async with cutting(rig.url, b"EVALSHA") as url, Rig(url) as far:
        await rig.client.delete(LEASE)
        assert await far.ledger.acquire_lease(0, "another", TTL_S)
    assert (await rig.ledger.read_crash_record(0)).has_uncounted_crash


async def test_who_stops_before_it_has_counted_the_crash(rig: Rig) -> None:
    """The next one counts it, and finds what was in hand then."""
    await rig.own("me")
    assert await rig.ledger.write_in_hand(0, rig.epoch, IN_HAND)
    await rig.own("another")
    await rig.ledger.release_lease(0, "another", rig.epoch)
    await rig.own("third")
    assert await rig.ledger.read_crash_record(0) == CrashRecord(History(), True, IN_HAND)


async def test_who_was_replaced_notes_nothing(rig: Rig) -> None:
    """An old epoch changes nothing, and an old owner's release does not say that its successor ended well."""
    await rig.own("me")
    old = rig.epoch
    await rig.own("another")
    before = await rig.everything()
    assert not await rig.ledger.write_crash_history(0, old, HISTORY)
    assert not await rig.ledger.write_in_hand(0, old, IN_HAND)
    await rig.ledger.release_lease(0, "me", old)
    await rig.ledger.release_lease(0, "me", rig.epoch)
    assert await rig.everything() == before


async def test_every_partition_has_its_own(rig: Rig) -> None:
    await rig.own("me")
    assert await rig.ledger.write_crash_history(0, rig.epoch, HISTORY)
    assert await rig.ledger.read_crash_record(1) == CLEAN


async def test_notes_that_nobody_can_read(rig: Rig) -> None:
    """They are forgotten: nobody is condemned because of them, and the worker works."""
    for junk in (b"\xff", b"[]", b"7", b'{"crashes": "many"}', b'{"suspects": 7}'):
        await rig.client.hset(CRASHES, mapping={"history": junk, "in_hand": junk})
        assert await rig.ledger.read_crash_record(0) == CLEAN


@pytest.mark.parametrize(
    "junk",
    [b"", b"\xff", b"[]", b'{"crashes":"many"}', b'{"crashes":5,"suspects":["x"]}', b'{"suspects":[[]]}'],
)
async def test_a_history_that_cannot_be_read(rig: Rig, junk: bytes) -> None:
    """It is forgotten, and ends no worker."""
    await rig.own("me")
    await rig.client.hset(CRASHES, "history", junk)
    await rig.client.hset(CRASHES, "in_hand", b"[[[]], 7]")
    assert (await rig.ledger.read_crash_record(0)).history == History()
