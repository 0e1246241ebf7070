"""Serves the worker's metrics to Prometheus over HTTP.

Metrics are collected on request, so they add no cost to a command. The text is built in the worker's own
thread, where nothing changes meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from numbergroup.engine.snapshot import AccountView, PartitionView, Snapshot
from numbergroup.observability.logging import get_logger

PATH = "/metrics"

_BREAKERS = ("closed", "open", "ramping")
_PAUSES = ("operator", "fault", "throttle")
_STOP_S = 0.5
_ASK_S = 3.0
_SERVER = "numbergroup"

log = get_logger("metrics")


@dataclass(slots=True, frozen=True)
class WorkerMetrics:
    """How the worker stands at `now` (Unix seconds). `letters_written` by it, `letters` that there are in the
    ledger, `letters_cap` that there may be."""

    now: float
    snapshot: Snapshot
    dead_letters_written: int
    dead_letters: int
    dead_letters_cap: int


Look = Callable[[], WorkerMetrics | None]
"""Returns the metrics' values, or `None` before the worker is built."""


class _Standing(Collector):
    def __init__(self, look: Look) -> None:
        self._look = look

    def collect(self) -> Iterable[Metric]:
        figures = self._look()
        if figures is None:
            return
        yield from _of_accounts(figures)
        yield from _of_partitions(figures)
        yield _gauge("dead_letters", "Dead letters in the ledger.", figures.dead_letters)
        yield _gauge("dead_letters_limit", "So many, and nothing more is taken in.", figures.dead_letters_cap)
        written = CounterMetricFamily(
            "numbergroup_dead_letters_written", "Dead letters that this worker has written."
        )
        written.add_metric((), figures.dead_letters_written)
        yield written

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering collects no values."""
        return ()


def _of_accounts(figures: WorkerMetrics) -> Iterator[Metric]:
    accounts = figures.snapshot.accounts.items()
    calls = CounterMetricFamily(
        "numbergroup_calls", "Calls that ended, by outcome.", labels=("account", "outcome")
    )
    for name, account in accounts:
        for outcome, count in account.outcomes.items():
            calls.add_metric((name, outcome), count)
    yield calls
    isolation = CounterMetricFamily(
        "numbergroup_isolation_calls", "Calls made to find out which command is refused.", labels=("account",)
    )
    for name, account in accounts:
        isolation.add_metric((name,), account.isolation_calls)
    yield isolation
    by_account: dict[str, tuple[str, Callable[[AccountView], float]]] = {
        "calls_in_flight": ("Calls that have not ended.", lambda one: one.in_flight),
        "permits_wanted": ("Permits of the rate limit that are waited for.", lambda one: one.permits_wanted),
        "ready_groups": ("Groups whose turn it could be.", lambda one: one.ready_groups),
        "calls_failing_ratio": (
            "Of the calls that ended lately, how many failed.",
            lambda one: one.failure_share,
        ),
    }
    for metric, (help_text, value) in by_account.items():
        yield _gauges(metric, help_text, ("account",), [((name,), value(one)) for name, one in accounts])
    yield _gauges(
        "account_paused",
        "Whether no call of the account begins, and who wants it so: 1 is yes.",
        ("account", "by"),
        [((name, by), float(one.paused_by == by)) for name, one in accounts for by in _PAUSES],
    )
    yield _gauges(
        "breaker_state",
        "Which state the account's breaker is in: 1 is that one.",
        ("account", "state"),
        [((name, state), float(one.breaker == state)) for name, one in accounts for state in _BREAKERS],
    )


def _of_partitions(figures: WorkerMetrics) -> Iterator[Metric]:
    partitions = figures.snapshot.partitions.items()
    by_partition: dict[str, tuple[str, Callable[[PartitionView], float]]] = {
        "commands_in_hand": ("Commands in memory that are not answered.", lambda one: one.in_hand),
        "groups_in_hand": ("Groups that have such commands.", lambda one: one.groups),
        "groups_parked": ("Groups that wait to be tried again.", lambda one: one.parked_groups),
        "groups_quarantined": ("Groups whose commands are put away.", lambda one: one.quarantined_groups),
        "groups_paused": ("Groups that an operator has paused.", lambda one: one.paused_groups),
        "oldest_command_age_seconds": (
            "How long the command has waited in memory that has waited longest.",
            lambda one: 0.0 if one.oldest_at is None else max(0.0, figures.now - one.oldest_at),
        ),
    }
    for metric, (help_text, value) in by_partition.items():
        samples = [((str(number),), value(one)) for number, one in partitions]
        yield _gauges(metric, help_text, ("partition",), samples)


def _gauges(
    name: str, help_text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    family = GaugeMetricFamily(f"numbergroup_{name}", help_text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return _gauges(name, help_text, (), [((), value)])


def render(look: Look) -> bytes:
    """Return the metrics in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Standing(look))
    return generate_latest(registry)


class MetricsServer:
    """Serves `/metrics` from `start` to `stop`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self.read_metrics: Look = lambda: None

    async def start(self) -> None:
        """Listen. Raises `OSError` when the port cannot be used."""
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        log.info("metrics", url=self.url)

    @property
    def url(self) -> str:
        return _url(self._host, self._port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=render(self.read_metrics), headers={"Content-Type": CONTENT_TYPE_LATEST, "Server": _SERVER}
        )


async def is_served(host: str, port: int) -> bool:
    """Return whether a numbergroup worker serves its metrics at this address."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as session,
            session.get(_url(host, port), allow_redirects=False) as answer,
        ):
            return answer.headers.get("Server") == _SERVER
    except (aiohttp.ClientError, OSError, ValueError):
        return False


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
