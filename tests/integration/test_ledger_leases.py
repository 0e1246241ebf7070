"""Leases: one owner at a time, and an epoch that tells the owners apart."""

from integration_rig import EPOCH, LEASE, TTL_S, Rig
from integration_servers import cutting, eventually


async def test_exclusive(rig: Rig) -> None:
    """While one owns the partition, nobody else can; other partitions are other leases."""
    assert await rig.ledger.acquire_lease(0, "me", TTL_S) == 1
    assert await rig.ledger.acquire_lease(0, "another", TTL_S) is None
    assert await rig.ledger.acquire_lease(1, "another", TTL_S) == 1


async def test_the_epoch_grows(rig: Rig) -> None:
    """Every owner has an epoch of its own, greater than those before it."""
    epochs = []
    for owner in ("a", "b", "a"):
        epoch = await rig.ledger.acquire_lease(0, owner, TTL_S)
        assert epoch is not None
        epochs.append(epoch)
        await rig.ledger.release_lease(0, owner, epoch)
    assert epochs == [1, 2, 3]


async def test_a_lease_ends_by_itself(rig: Rig) -> None:
    """Whoever does not renew is replaced when its time is over."""
    assert await rig.ledger.acquire_lease(0, "me", 0.05) == 1
    assert await eventually(lambda: rig.ledger.acquire_lease(0, "another", TTL_S), "the lease ends") == 2


async def test_renewal(rig: Rig) -> None:
    """The owner stays the owner for the whole time again."""
    await rig.ledger.acquire_lease(0, "me", 1.0)
    assert await rig.ledger.renew_lease(0, "me", 1, TTL_S)
    assert 1_000 < await rig.client.pttl(LEASE) <= TTL_S * 1000
    assert await rig.ledger.acquire_lease(0, "another", TTL_S) is None


async def test_an_old_epoch_is_not_renewed(rig: Rig) -> None:
    """Who was replaced learns it at the next renewal, and takes nothing back."""
    await rig.own("me")
    await rig.own("another")
    before = await rig.everything()
    assert not await rig.ledger.renew_lease(0, "me", 1, TTL_S)
    assert await rig.everything() == before
    assert await rig.ledger.renew_lease(0, "another", 2, TTL_S)


async def test_an_old_epoch_of_the_same_owner_is_not_renewed(rig: Rig) -> None:
    """Nor is an earlier epoch of the present owner."""
    await rig.own("me")
    await rig.own("me")
    assert not await rig.ledger.renew_lease(0, "me", 1, TTL_S)
    assert await rig.ledger.renew_lease(0, "me", 2, TTL_S)


async def test_a_lease_that_ran_out_but_was_not_taken(rig: Rig) -> None:
    """After an outage the owner goes on where it was, if nobody came meanwhile."""
    await rig.own("me")
    await rig.client.delete(LEASE)
    assert await rig.ledger.renew_lease(0, "me", 1, TTL_S)
    assert await rig.ledger.acquire_lease(0, "another", TTL_S) is None


async def test_a_ledger_that_lost_its_memory(rig: Rig) -> None:
    """When nobody knows of any epoch, a renewal is refused: the partition is to be acquired anew."""
    await rig.own("me")
    await rig.client.delete(LEASE, EPOCH)
    assert not await rig.ledger.renew_lease(0, "me", 1, TTL_S)


async def test_release(rig: Rig) -> None:
    """Released, the partition is free at once."""
    await rig.own("me")
    await rig.ledger.release_lease(0, "me", 1)
    assert await rig.ledger.acquire_lease(0, "another", TTL_S) == 2


async def test_a_renewal_that_comes_after_the_release(rig: Rig) -> None:
    """One that was given up on its way, and arrives late, takes nothing back: nobody has to wait for it."""
    await rig.own("me")
    await rig.ledger.release_lease(0, "me", 1)
    before = await rig.everything()
    assert not await rig.ledger.renew_lease(0, "me", 1, TTL_S)
    assert await rig.everything() == before
    assert await rig.ledger.acquire_lease(0, "another", TTL_S) == 2


async def test_an_old_owner_releases_nothing(rig: Rig) -> None:
    """A late release of a former owner, or of a former epoch, does not drive the present owner out."""
    await rig.own("me")
    await rig.own("another")
    await rig.ledger.release_lease(0, "me", 1)
    await rig.ledger.release_lease(0, "me", 2)
    await rig.ledger.release_lease(0, "another", 1)
    assert await rig.ledger.acquire_lease(0, "me", TTL_S) is None
    assert await rig.ledger.renew_lease(0, "another", 2, TTL_S)


async def test_a_lost_answer(rig: Rig) -> None:
    """When the answer to an acquisition gets lost, the repetition has the lease: nobody waits for itself."""
    await rig.own("warm-up")
    await rig.ledger.release_lease(0, "warm-up", rig.epoch)
    async with cutting(rig.url, b"EVALSHA") as url, Rig(url) as far:
        epoch = await far.ledger.acquire_lease(0, "me", TTL_S)
    assert epoch == rig.epoch + 2
    assert await rig.ledger.renew_lease(0, "me", epoch, TTL_S)
