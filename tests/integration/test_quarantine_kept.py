"""Quarantine in the ledger: which groups' commands are put away, for whoever owns the partition next."""

import pytest
from integration_replays import ID_REF
from integration_rig import KEY_REF, Rig

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Fault
from numbergroup.ledger import keys
from numbergroup.ledger.overview import read_overview

WHY = Fault("quarantined", "http-503", "its group is stuck")


async def test_the_next_owner_knows(rig: Rig) -> None:
    """Written with the unit that says so, and there for whoever owns any partition."""
    log = await rig.own()
    await log.settle(Settlement(0, quarantined={ID_REF: WHY}), 1)
    assert (await rig.ledger.read_previous_owner_state(0)).quarantined == {ID_REF: WHY}
    assert (await rig.ledger.read_previous_owner_state(3)).quarantined == {ID_REF: WHY}
    assert (await read_overview(rig.client, 1)).quarantined == {ID_REF: WHY}


async def test_an_operator_ends_it(rig: Rig) -> None:
    """Resumed, the group is in quarantine no more, and others stay; the workers are told."""
    log = await rig.own()
    await log.settle(Settlement(0, quarantined={ID_REF: WHY, KEY_REF: WHY}), 1)
    assert await rig.control_store.resume(ID_REF, "me@here")
    assert not await rig.control_store.resume(ID_REF, "me@here")
    assert (await rig.ledger.read_previous_owner_state(0)).quarantined == {KEY_REF: WHY}
    assert ID_REF in (await rig.control_store.read()).resumed


async def test_an_owner_ends_it(rig: Rig) -> None:
    """Who put the group away before it heard that it is resumed takes that back; others stay."""
    log = await rig.own()
    await log.settle(Settlement(0, quarantined={ID_REF: WHY, KEY_REF: WHY}), 1)
    await log.settle(Settlement(0, quarantined={ID_REF: None}), 2)
    assert (await rig.ledger.read_previous_owner_state(0)).quarantined == {KEY_REF: WHY}


async def test_junk(rig: Rig) -> None:
    """What names a group is a quarantine, whatever it says; what names none is nothing."""
    await rig.client.hset(keys.QUARANTINED, keys.group_field(ID_REF), b"\xff")
    await rig.client.hset(keys.QUARANTINED, b"\xfe", b"{}")
    found = (await rig.ledger.read_previous_owner_state(0)).quarantined
    assert {ref: fault.kind for ref, fault in found.items()} == {ID_REF: "quarantined"}


async def test_a_key_of_another_kind(rig: Rig) -> None:
    """A unit that would say so is not written at all; any other one is."""
    log = await rig.own()
    await rig.client.set(keys.QUARANTINED, "x")
    await log.settle(Settlement(0), 1)
    before = await rig.everything()
    with pytest.raises(BrokerUnavailable):
        await log.settle(Settlement(0, quarantined={ID_REF: WHY}), 2)
    assert await rig.everything() == before
