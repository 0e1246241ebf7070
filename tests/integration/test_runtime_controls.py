"""Whole workers that operators speak to through the ledger, while they run."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from deadlines import deadline
from integration_rig import ID_REF, event
from integration_servers import eventually
from integration_stage import Stage, Watched
from structlog.testing import capture_logs

from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.ledger import keys
from numbergroup.ledger.control_store import RedisControlStore
from numbergroup.ledger.port import ControlSnapshot, LedgerUnavailable
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.dead_letter_cap import DeadLetterCap
from numbergroup.sandbox.faults import VendorCode

OTHER_REF = GroupRef("default", HandleKind.ID, "g-2")


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def said(logs: list[Any], text: str) -> list[Any]:
    return [line for line in logs if text in line["event"]]


async def logged(logs: list[Any], text: str) -> Any:
    async def found() -> Any:
        return said(logs, text)

    return (await eventually(found, f"the log says {text!r}"))[0]


async def test_a_paused_account(stage: Stage, logs: list[Any]) -> None:
    """Paused before the worker starts, no call of it is ever made; resumed, all of them are; the log says
    both, with the reason."""
    await stage.control_store.pause("default", "keys are being rotated", "me@here")
    await stage.publish(event("c-1"), event("c-2", "g-2"))
    async with stage.worker() as worker:
        await worker.owns()
        await worker.asked("lookup")
        assert (await logged(logs, "paused by an operator"))["reason"] == "keys are being rotated"
        assert stage.arrived == 0
        await stage.control_store.resume("default", "me@here")
        await stage.answered(2)
        assert (await logged(logs, "resumed by an operator"))["account"] == "default"


async def test_a_paused_group(stage: Stage, logs: list[Any]) -> None:
    """Its commands wait, and no others; resumed while the worker runs, it goes on in order."""
    await stage.control_store.pause(ID_REF, "", "me@here")
    async with stage.worker():
        await stage.publish(event("c-1"), event("c-2", operation="delete"), event("c-3", "g-2"))

        async def others() -> bool:
            return ("c-3", "applied") in await stage.results()

        await eventually(others, "the other group's answer")
        assert await stage.results() == [("c-3", "applied")]
        await stage.control_store.resume(ID_REF, "me@here")
        await stage.answered(3)
        assert stage.members("g-1") == set()


async def test_paused_in_mid_work(stage: Stage, logs: list[Any]) -> None:
    """What is in flight ends and is settled; nothing begins."""
    stage.gate.opened.clear()
    async with stage.worker():
        await stage.publish(event("c-1"))
        await stage.calls_waiting(1)
        await stage.control_store.pause("default", "", "me@here")
        await logged(logs, "paused by an operator")
        await stage.publish(event("c-2", "g-2"))
        stage.gate.opened.set()

        async def first() -> bool:
            return bool(await stage.results())

        await eventually(first, "the first answer")
        assert await stage.results() == [("c-1", "applied")]
        assert stage.arrived == 1
        await stage.control_store.resume("default", "me@here")
        await stage.answered(2)


async def test_the_ledger_is_away(stage: Stage, logs: list[Any]) -> None:
    """What operators said last stays in force; that the ledger is away is said once."""
    control_store = RedisControlStore(stage.client)
    away, asked = False, 0

    async def read() -> ControlSnapshot:
        nonlocal asked
        asked += 1
        if away:
            raise LedgerUnavailable("gone for a moment")
        return await control_store.read()

    await stage.control_store.pause("default", "", "me@here")
    async with stage.worker(ports={"control_store": Watched(control_store, {"read": read})}) as worker:
        await worker.owns()
        away = True
        before = asked

        async def twice() -> bool:
            return asked >= before + 2

        await stage.publish(event("c-1"))
        await eventually(twice, "two readings that fail")
        assert len(said(logs, "the ledger is unavailable")) == 1
        assert stage.arrived == 0
        away = False
        await logged(logs, "the ledger is available again")
        await stage.control_store.resume("default", "me@here")
        await stage.answered(1)


async def test_the_ledger_is_away_from_the_start(stage: Stage) -> None:
    """Nothing is begun before it is known what is paused; a worker that waits for that ends when it is told,
    and not when its time to finish is over."""
    tried = asyncio.Event()

    async def read() -> ControlSnapshot:
        tried.set()
        raise LedgerUnavailable("away")

    control_store = Watched(stage.control_store, {"read": read})
    await stage.publish(event("c-1"))
    async with stage.worker(ports={"control_store": control_store}) as worker:
        await tried.wait()
        worker.worker.stop()
        async with deadline(15):
            await worker.ended()
        assert worker.ledger.calls["acquire_lease"] == 0
    assert len(await stage.left()) == 1


async def test_junk_ends_no_worker(stage: Stage) -> None:
    """Whatever is in the keys of the controls, commands are carried out."""
    client: Any = stage.client
    for key in (keys.PAUSES, keys.RESUMES, keys.BREAKERS):
        await client.hset(
            key, mapping={b"\xff": b"\xff", b"a\0b": b"{", "unknown": b"[]", keys.group_field(OTHER_REF): b""}
        )
    await client.set(keys.DEAD_LETTER_COUNT, b"many")
    async with stage.worker():
        await stage.publish(event("c-1"))
        await stage.answered(1)


async def test_too_many_dead_letters(stage: Stage, logs: list[Any]) -> None:
    """At the cap nothing more is read; what was in hand is carried out. Nothing is lost: as soon as there
    are fewer, all of it is done."""
    stage.gate.opened.clear()
    async with stage.worker(ports={"dead_letter_cap": DeadLetterCap(10)}):
        await stage.publish(event("c-1"))
        await stage.calls_waiting(1)
        await stage.client.set(keys.DEAD_LETTER_COUNT, 10)
        assert (await logged(logs, "too many dead letters"))["log_level"] == "error"
        tags = await stage.publish(*(event(f"d-{n}", f"g-{n}") for n in range(50)))
        stage.gate.opened.set()

        async def first() -> bool:
            return ("c-1", "applied") in await stage.results()

        await eventually(first, "what was in hand is answered")
        assert set(tags) <= set(await stage.left())
        assert stage.arrived == 1
        await stage.client.set(keys.DEAD_LETTER_COUNT, 9)
        await stage.answered(1 + len(tags))


async def test_too_many_from_the_start(stage: Stage, logs: list[Any]) -> None:
    """A worker that starts then does not read one command, and is well otherwise: it ends when it is told."""
    await stage.client.set(keys.DEAD_LETTER_COUNT, 10)
    await stage.publish(event("c-1"))
    async with stage.worker(ports={"dead_letter_cap": DeadLetterCap(10)}) as worker:
        await worker.owns()
        await worker.asked("read_crash_record")
        await worker.asked_again("renew_lease")
        assert worker.ledger.calls["lookup"] == 0
    assert len(await stage.left()) == 1


class StandingStill(Clock):
    """No pause ends by itself."""

    def now(self) -> float:
        return 1_000.0


async def test_resuming_ends_a_fault(stage: Stage, logs: list[Any]) -> None:
    """The vendor refuses the account's key, and the account pauses by itself; as soon as an operator resumes
    it, it is tried, though no operator had paused it."""
    stage.fault(VendorCode(code=1003, times=1))
    async with stage.worker(ports={"clock": StandingStill()}):
        await stage.publish(event("c-1"))

        async def refused() -> bool:
            return any(line.get("code") == "1003" for line in logs)

        await eventually(refused, "the account's fault")
        assert not await stage.control_store.resume("default", "me@here")
        await stage.answered(1)
