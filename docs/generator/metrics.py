"""Metrics, from what a worker shows to Prometheus."""

from collections.abc import Sequence
from typing import get_args

from docs.generator.markup import code, table
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from numbergroup.engine.calls import Outcome
from numbergroup.engine.snapshot import AccountView, PartitionView, Snapshot
from numbergroup.observability.metrics import WorkerMetrics, render

_OPEN = ("account", "partition")
"""Labels whose values are the installation's own."""


def table_of() -> str:
    """Each metric with its labels."""
    rows = [
        (code(_name(one.name, one.type)), one.type, "; ".join(_labels(one.samples)), one.documentation)
        for one in text_string_to_metric_families(render(_look).decode())
    ]
    return table(("metric", "type", "labels", "meaning"), rows)


def _name(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" else name


def _labels(samples: Sequence[Sample]) -> list[str]:
    names = dict.fromkeys(name for sample in samples for name in sample.labels)
    return [
        code(name)
        if name in _OPEN
        else f"{code(name)}: "
        + ", ".join(code(one) for one in dict.fromkeys(s.labels[name] for s in samples))
        for name in names
    ]


def _look() -> WorkerMetrics:
    outcomes = {one.__name__.lower(): 1 for one in get_args(Outcome)}
    account = AccountView(
        in_flight=0,
        permits_wanted=0,
        ready_groups=0,
        breaker="closed",
        breaker_until=None,
        breaker_failures=0,
        failure_share=0.0,
        paused_by=None,
        paused_until=None,
        reason=None,
        outcomes=outcomes,
        isolation_calls=0,
    )
    partition = PartitionView(
        in_hand=0, groups=0, oldest_at=None, parked=(), parked_groups=0, paused=(), paused_groups=0
    )
    return WorkerMetrics(0.0, Snapshot({"default": account}, {0: partition}), 0, 0, 0)
