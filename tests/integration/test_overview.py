"""All that the ledger knows of how things stand."""

import time
from typing import Any

import orjson
import pytest
from integration_rig import ID_REF, KEY_REF, TTL_S, Rig
from test_reports import REPORT

from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger import keys
from numbergroup.ledger.overview import LetterKind, read_overview
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.ledger.reports import RedisReports


async def test_an_empty_ledger(rig: Rig) -> None:
    """Nobody has been there: as many partitions as the settings say, and nothing else."""
    found = await read_overview(rig.client, 3)
    assert (found.workers, found.owners, found.letters, found.problems) == ([], [None] * 3, 0, [])
    assert abs(found.now - time.time()) < 60
    assert await rig.client.keys() == []


async def test_what_is_there(rig: Rig) -> None:
    """Workers by seniority with their reports, owners, the oldest command of each partition, pauses,
    breakers, dead letters by fingerprint: and looking changes nothing."""
    await rig.ledger.register(REPORT.owner, 2, TTL_S)
    await rig.ledger.register("silent", 2, TTL_S)
    await RedisReports(rig.client).write(REPORT)
    await rig.ledger.acquire_lease(1, REPORT.owner, TTL_S)
    await rig.client.xadd(keys.commands(1), {"event": b"{}"}, id="1700000000250-3")
    await rig.client.xadd(keys.commands(1), {"event": b"{}"})
    await rig.control_store.pause(ID_REF, "why", "me@here")
    notice = BreakerNotice(time.time() + 5, 2)
    await rig.control_store.publish_breaker("default", notice)
    raw: Any = rig.client
    await raw.set(keys.DEAD_LETTER_COUNT, 12)
    await raw.hset(keys.FINGERPRINTS, mapping={"aa": 2, "bb": 10})
    shape = {"kind": "refused", "code": "1002", "message": "no #"}
    shapes = {"aa": orjson.dumps(shape), "bb": orjson.dumps(shape | {"code": None})}
    await raw.hset(keys.SHAPES, mapping=shapes)
    before = await rig.everything()
    found = await read_overview(rig.client, 1)
    assert await rig.everything() == before
    assert {one.owner: one.report for one in found.workers} == {REPORT.owner: REPORT, "silent": None}
    assert found.owners == [None, REPORT.owner]
    assert found.oldest_at == {1: 1_700_000_000.25}
    assert [(target, pause.operator) for target, pause in found.pauses.items()] == [(ID_REF, "me@here")]
    assert found.breakers == {"default": notice}
    assert found.letters == 12
    assert found.kinds == [
        LetterKind("bb", 10, "refused", None, "no #"),
        LetterKind("aa", 2, "refused", "1002", "no #"),
    ]
    assert found.problems == []


async def test_dead_letters_of_quarantined_groups(rig: Rig) -> None:
    """Whether a quarantined group has any is known; what cannot be read counts as none, and is a problem."""
    raw: Any = rig.client
    await raw.hset(
        keys.QUARANTINED, mapping={keys.group_field(ID_REF): b"{}", keys.group_field(KEY_REF): b"{}"}
    )
    await raw.hset(keys.DEAD_LETTER_GROUPS, keys.group_field(KEY_REF), 2)
    found = await read_overview(rig.client, 1)
    assert found.quarantined.keys() == {ID_REF, KEY_REF}
    assert (found.with_dead_letters, found.problems) == ({KEY_REF}, [])


async def test_the_dead_are_not_shown(rig: Rig) -> None:
    """Whose life in the register is over does not count, though it is in it still."""
    raw: Any = rig.client
    await raw.hset(keys.WORKERS, mapping={"dead": "1:2", "junk": "x", b"\xff": b"\xff"})
    assert (await read_overview(rig.client, 1)).workers == []


@pytest.mark.redis_server
@pytest.mark.parametrize(
    "key",
    [
        keys.WORKERS,
        keys.PAUSES,
        keys.BREAKERS,
        keys.FINGERPRINTS,
        keys.SHAPES,
        keys.PARTITIONS,
        keys.DEAD_LETTER_COUNT,
        keys.commands(0),
    ],
)
async def test_a_key_of_another_kind(redis_url: str, key: str) -> None:
    """It is named among the problems, and costs nothing else. (The embedded broker hangs up on it.)"""
    async with Rig(redis_url) as rig:
        await rig.client.flushall()
        await rig.control_store.pause(ID_REF, "why", "me@here")
        await rig.client.delete(key)
        await rig.client.rpush(key, b"junk")  # type: ignore[misc]
        found = await read_overview(rig.client, 1)
    assert found.problems == [f"{key} cannot be read"]
    assert found.owners == [None]
    assert bool(found.pauses) == (key != keys.PAUSES)


async def test_junk(rig: Rig) -> None:
    """What cannot be read is named among the problems, and costs nothing else."""
    raw: Any = rig.client
    await rig.ledger.register("w", 1, TTL_S)
    await raw.set(keys.report("w"), b"junk")
    await raw.set(keys.DEAD_LETTER_COUNT, b"many")
    await raw.set(keys.PARTITIONS, b"one")
    await raw.hset(keys.FINGERPRINTS, mapping={"aa": "x", b"\xff": b"1"})
    await raw.hset(keys.PAUSES, mapping={b"\xff": b"", "default": b"junk"})
    found = await read_overview(rig.client, 1)
    assert [one.owner for one in found.workers] == ["w"]
    assert list(found.pauses) == ["default"]
    assert (found.letters, len(found.kinds)) == (0, 2)
    assert "the report of w cannot be read" in found.problems
    assert len(found.problems) >= 5


async def test_the_ledger_is_away(rig: Rig) -> None:
    """The port's error, as of every part of the ledger."""
    async with Rig("redis://127.0.0.1:1/0") as far:
        with pytest.raises(LedgerUnavailable):
            await read_overview(far.client, 1)
