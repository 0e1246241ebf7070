"""Metrics, as Prometheus reads them."""

import asyncio
import socket
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from deadlines import room
from prometheus_client.parser import text_string_to_metric_families

from numbergroup.engine.snapshot import AccountView, PartitionView, Snapshot
from numbergroup.observability.metrics import MetricsServer, WorkerMetrics, is_served, render
from numbergroup.sandbox.server import start


def account(paused_by: str | None = None, breaker: str = "closed", **outcomes: int) -> AccountView:
    return AccountView(3, 2, 5, breaker, None, 0, 0.25, paused_by, None, None, outcomes, 7)


def figures(accounts: dict[str, AccountView]) -> WorkerMetrics:
    partitions = {
        0: PartitionView(125, 9, 990.5, [], 4, [], 1, 2),
        12: PartitionView(0, 0, None, [], 0, [], 0),
    }
    return WorkerMetrics(1_000.0, Snapshot(accounts, partitions), 8, 41_000, 50_000)


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    return {
        (sample.name.removeprefix("numbergroup_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def shown(accounts: dict[str, AccountView]) -> dict[tuple[str, ...], float]:
    return samples(render(lambda: figures(accounts)))


def test_what_is_shown() -> None:
    """Everything that an operator may want an alarm on, by account and by partition, and nothing more: no
    label grows with the commands."""
    found = shown({"default": account(applied=120, refused=3)})
    assert {key: value for key, value in found.items() if "default" in key} == {
        ("calls_total", "default", "applied"): 120,
        ("calls_total", "default", "refused"): 3,
        ("isolation_calls_total", "default"): 7,
        ("calls_in_flight", "default"): 3,
        ("permits_wanted", "default"): 2,
        ("ready_groups", "default"): 5,
        ("calls_failing_ratio", "default"): 0.25,
        **{("account_paused", "default", by): 0 for by in ("operator", "fault", "throttle")},
        ("breaker_state", "default", "closed"): 1,
        ("breaker_state", "default", "open"): 0,
        ("breaker_state", "default", "ramping"): 0,
    }
    assert {key: value for key, value in found.items() if "0" in key} == {
        ("commands_in_hand", "0"): 125,
        ("groups_in_hand", "0"): 9,
        ("groups_parked", "0"): 4,
        ("groups_paused", "0"): 1,
        ("groups_quarantined", "0"): 2,
        ("oldest_command_age_seconds", "0"): 9.5,
    }
    assert found["oldest_command_age_seconds", "12"] == 0
    assert {key: value for key, value in found.items() if len(key) == 1} == {
        ("dead_letters",): 41_000,
        ("dead_letters_limit",): 50_000,
        ("dead_letters_written_total",): 8,
    }


@pytest.mark.parametrize("by", ["operator", "fault", "throttle"])
def test_a_paused_account(by: str) -> None:
    """Who wants it paused has the 1, and nobody else."""
    found = shown({"a": account(by), "b": account()})
    paused = {key[1:]: value for key, value in found.items() if key[0] == "account_paused"}
    assert {key for key, value in paused.items() if value} == {("a", by)}
    assert len(paused) == 6


@pytest.mark.parametrize("state", ["closed", "open", "ramping"])
def test_a_breaker(state: str) -> None:
    """It is in one state."""
    found = shown({"a": account(breaker=state)})
    assert {key[2]: value for key, value in found.items() if key[0] == "breaker_state" and value} == {
        state: 1
    }


def test_before_there_are_any() -> None:
    """While the worker waits for its broker, nothing is made up."""
    assert render(lambda: None) == b""


async def served(server: MetricsServer, path: str = "") -> tuple[int, str, bytes]:
    def get() -> tuple[int, str, bytes]:
        with urlopen(server.url + path, timeout=room(10)) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()

    return await asyncio.to_thread(get)


async def test_over_http() -> None:
    """What is shown is of the moment at which it is asked for; other paths have nothing."""
    server = MetricsServer("127.0.0.1", 0)
    await server.start()
    try:
        assert (await served(server))[2] == b""
        server.read_metrics = lambda: figures({"default": account(applied=1)})
        status, kind, body = await served(server)
        assert (status, kind.split(";")[0]) == (200, "text/plain")
        assert samples(body)["calls_total", "default", "applied"] == 1
        server.read_metrics = lambda: figures({"default": account(applied=2)})
        assert samples((await served(server))[2])["calls_total", "default", "applied"] == 2
        with pytest.raises(HTTPError, match="404"):
            await served(server, "/more")
    finally:
        await server.stop()


async def test_who_serves_there() -> None:
    """A worker's metrics are told from another server, also before there are any figures."""
    server = MetricsServer("127.0.0.1", 0)
    await server.start()
    port = urlsplit(server.url).port
    assert port is not None
    assert await is_served("127.0.0.1", port)
    await server.stop()
    assert not await is_served("127.0.0.1", port)
    async with await start(port=0) as sandbox:
        other = urlsplit(sandbox.origin).port
        assert other is not None
        assert not await is_served("127.0.0.1", other)


async def test_the_port_is_taken() -> None:
    """It says so, as the system does; stopping what never ran is no error."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = MetricsServer("127.0.0.1", other.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await server.start()
        await server.stop()


def test_names_are_told_apart() -> None:
    """An account may have any name that settings allow; its samples are still its own."""
    found = shown({"a-b_1": account(applied=1), "x" * 64: account(applied=2)})
    assert found["calls_total", "a-b_1", "applied"] == 1
    assert found["calls_total", "x" * 64, "applied"] == 2
