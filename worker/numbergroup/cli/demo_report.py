"""The report of the demo."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from numbergroup.cli.output import pluralize

_STATUSES = ("applied", "superseded", "partial", "rejected", "expired", "failed")


@dataclass(slots=True, frozen=True)
class Report:
    """The figures of the report. `latencies`: sorted, in seconds. `left`: messages still in the broker."""

    commands: int
    groups: int
    wrong_groups: int
    calls: int
    applied_calls: int
    statuses: dict[str, int]
    unanswered: int
    repeats: int
    left: int
    latencies: Sequence[float]
    seconds: float

    @property
    def is_correct(self) -> bool:
        return not (self.wrong_groups or self.unanswered or self.repeats or self.left)


def print_report(console: Console, report: Report) -> int:
    """Print the report. Return the exit code: 0 if everything is correct."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    saved = report.commands - report.calls
    table.add_row(
        "commands in",
        f"{report.commands:,}",
        f"over {pluralize(report.groups, 'group')}, answered in {report.seconds:.1f} s",
    )
    table.add_row(
        "calls made", f"{report.calls:,}", f"{report.applied_calls:,} of them applied by the vendor"
    )
    if saved > 0:
        table.add_row("calls saved", f"{saved:,}", f"{saved / report.commands:.0%} fewer than one a command")
    table.add_section()
    for status in _STATUSES:
        if count := report.statuses.get(status):
            table.add_row(f"results: {status}", f"{count:,}", "")
    table.add_section()
    for name, share in (("p50", 0.50), ("p90", 0.90), ("p99", 0.99)):
        table.add_row(f"latency {name}", f"{_percentile(report.latencies, share) * 1000:,.0f} ms", "")
    table.add_section()
    table.add_row(
        *_check_row("one answer each", not (report.unanswered or report.repeats), _describe_answers(report))
    )
    table.add_row(
        *_check_row("nothing left", not report.left, f"{pluralize(report.left, 'message')} in the broker")
    )
    groups = f"{report.groups - report.wrong_groups} of {report.groups} as if applied one by one"
    table.add_row(*_check_row("same final groups", not report.wrong_groups, groups))
    console.print(table)
    return 0 if report.is_correct else 1


def _check_row(name: str, passed: bool, detail: str) -> tuple[str, Text, str]:
    return name, Text("yes", "green") if passed else Text("NO", "bold red"), detail


def _describe_answers(report: Report) -> str:
    return f"{report.unanswered} commands without, {report.repeats} with several"


def _percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0
