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
_SHUTDOWN_TIMEOUT_S = 0.5
_REQUEST_TIMEOUT_S = 3.0
_SERVER = "numbergroup"

log = get_logger("metrics")


@dataclass(slots=True, frozen=True)
class WorkerMetrics:
    """The values of the metrics at `now` (Unix seconds).

    `dead_letters_written` counts those of this worker, `dead_letters` all in the ledger, and
    `dead_letters_cap` how many there may be.
    """

    now: float
    snapshot: Snapshot
    dead_letters_written: int
    dead_letters: int
    dead_letters_cap: int


ReadMetrics = Callable[[], WorkerMetrics | None]
"""Returns the metrics' values, or `None` before the worker is built."""


class _WorkerCollector(Collector):
    """Makes Prometheus' metrics of the worker's values."""

    def __init__(self, read_metrics: ReadMetrics) -> None:
        self._read_metrics = read_metrics

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics, with their values of now."""
        metrics = self._read_metrics()
        if metrics is None:
            return
        yield from _account_metrics(metrics)
        yield from _partition_metrics(metrics)
        yield _gauge("dead_letters", "Dead letters in the ledger.", metrics.dead_letters)
        yield _gauge(
            "dead_letters_limit",
            "Number of dead letters at which workers accept no more commands.",
            metrics.dead_letters_cap,
        )
        written = CounterMetricFamily(
            "numbergroup_dead_letters_written", "Dead letters that this worker has written."
        )
        written.add_metric((), metrics.dead_letters_written)
        yield written

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering collects no values."""
        return ()


def _account_metrics(metrics: WorkerMetrics) -> Iterator[Metric]:
    accounts = metrics.snapshot.accounts.items()
    calls = CounterMetricFamily(
        "numbergroup_calls", "Finished calls, by outcome.", labels=("account", "outcome")
    )
    for name, account in accounts:
        for outcome, count in account.outcomes.items():
            calls.add_metric((name, outcome), count)
    yield calls
    isolation = CounterMetricFamily(
        "numbergroup_isolation_calls",
        "Calls that isolate a refused command from its batch.",
        labels=("account",),
    )
    for name, account in accounts:
        isolation.add_metric((name,), account.isolation_calls)
    yield isolation
    by_account: dict[str, tuple[str, Callable[[AccountView], float]]] = {
        "calls_in_flight": ("Calls that are not finished.", lambda account: account.in_flight),
        "permits_wanted": (
            "Calls that wait for a permit of the rate limit.",
            lambda account: account.permits_wanted,
        ),
        "ready_groups": ("Groups that are ready for a call.", lambda account: account.ready_groups),
        "calls_failing_ratio": (
            "Share of the recent calls that failed, 0 to 1.",
            lambda account: account.failure_share,
        ),
    }
    for metric, (help_text, value) in by_account.items():
        yield _gauges(
            metric, help_text, ("account",), [((name,), value(account)) for name, account in accounts]
        )
    yield _gauges(
        "account_paused",
        "1 if the account makes no calls: paused by an operator, by a fault, or by the vendor's throttling.",
        ("account", "by"),
        [((name, by), float(account.paused_by == by)) for name, account in accounts for by in _PAUSES],
    )
    yield _gauges(
        "breaker_state",
        "1 for the state that the account's breaker is in.",
        ("account", "state"),
        [
            ((name, state), float(account.breaker == state))
            for name, account in accounts
            for state in _BREAKERS
        ],
    )


def _partition_metrics(metrics: WorkerMetrics) -> Iterator[Metric]:
    partitions = metrics.snapshot.partitions.items()
    by_partition: dict[str, tuple[str, Callable[[PartitionView], float]]] = {
        "commands_in_hand": ("Commands in memory without a result yet.", lambda partition: partition.in_hand),
        "groups_in_hand": ("Groups that have such commands.", lambda partition: partition.groups),
        "groups_parked": ("Groups that wait for their next try.", lambda partition: partition.parked_groups),
        "groups_quarantined": (
            "Groups in quarantine: their commands are dead-lettered.",
            lambda partition: partition.quarantined_groups,
        ),
        "groups_paused": ("Groups that an operator has paused.", lambda partition: partition.paused_groups),
        "oldest_command_age_seconds": (
            "How long the command has waited in memory that has waited longest.",
            lambda one: 0.0 if one.oldest_at is None else max(0.0, metrics.now - one.oldest_at),
        ),
    }
    for metric, (help_text, value) in by_partition.items():
        samples = [((str(number),), value(partition)) for number, partition in partitions]
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


def render(read_metrics: ReadMetrics) -> bytes:
    """Return the metrics in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_WorkerCollector(read_metrics))
    return generate_latest(registry)


class MetricsServer:
    """Serves `/metrics` from `start` to `stop`. `read_metrics` is set when the worker is built."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self.read_metrics: ReadMetrics = lambda: None

    async def start(self) -> None:
        """Start to listen; port 0 chooses a free one. Raises `OSError` when the port cannot be used."""
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        log.info("serving metrics", url=self.url)

    @property
    def url(self) -> str:
        """The URL of the metrics."""
        return _url(self._host, self._port)

    async def stop(self) -> None:
        """Stop the server, if it was started."""
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
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)) as session,
            session.get(_url(host, port), allow_redirects=False) as answer,
        ):
            return answer.headers.get("Server") == _SERVER
    except (aiohttp.ClientError, OSError, ValueError):
        return False


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
