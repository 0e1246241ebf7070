"""Figures as tables."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table

from bench.comparison import OURS, RAW, Figures, Target, ratio

_HEADS = (
    "commands",
    "commands/s",
    "lowest–highest",
    "of raw¹",
    "API calls per 1,000",
    "CPU s per 10,000",
    "broker's",
    "peak MB",
)
_NOTE = (
    "¹ Of what its broker does with one command per message and no work at all. Time runs from when the "
    "worker, which is up and frozen until all commands wait, is let go, until all are answered. CPU and "
    "memory: of all the worker's processes; memory that several of them share is counted for each."
)

Row = Sequence[str]


def side_by_side(figures: Figures) -> Iterator[RenderableType]:
    """The contenders, the fastest first; how each peer compares; how each is configured."""
    found = figures["contenders"]
    table = _table(title(figures), _HEADS)
    for key in _fastest_first(figures):
        table.add_row(*_row(found[key]), style="bold" if key in OURS else None)
    yield table
    yield _NOTE
    if figures["peers"]:
        heads, rows = _against_peers(figures)
        table = _table("How many times as fast as each peer", heads)
        for row in rows:
            table.add_row(*row)
        yield table
    for key, reason in figures["failed"].items():
        yield f"{key}: {reason}"
    yield "\n".join(f"• {line}" for line in _advice(figures))


def title(figures: Figures) -> str:
    """What all contenders were given."""
    return (
        f"Everything waiting: 2 numbers each, over {figures['groups']} groups, uniform; an API that takes "
        f"{figures['vendor_ms']:g} ms; one worker; medians of {figures['repeats']}"
    )


def reached(targets: Sequence[Target]) -> Table:
    """Each target with what was measured."""
    table = _table("To be reached, one worker", ("measured", "at least", "aim", ""))
    for one in targets:
        table.add_row(*_target(one))
    return table


def markdown(
    machine: str,
    figures: Figures | None,
    sections: Iterable[tuple[str, Sequence[str]]],
    targets: Sequence[Target],
) -> str:
    """All tables, for a page; `machine` is a line of what they were made on, `sections` are headings with
    lines of text."""
    parts = [machine + "."]
    if figures:
        found = figures["contenders"]
        heads, rows = _against_peers(figures)
        parts += [
            title(figures) + ":",
            _markdown(_HEADS, [_row(found[key]) for key in _fastest_first(figures)]),
            _NOTE,
            "How many times as fast as each peer:",
            _markdown(heads, rows),
            "\n".join(f"- {line}" for line in _advice(figures)),
        ]
    for heading, lines in sections:
        parts += [heading + ":", "\n".join(("```text", *lines, "```"))]
    parts += [
        "To be reached, one worker:",
        _markdown(("measured", "at least", "aim", ""), [_target(one) for one in targets]),
    ]
    return "\n\n".join(parts) + "\n"


def _advice(figures: Figures) -> list[str]:
    """How they are configured; what is said of several is said once."""
    found = figures["contenders"]
    names: dict[str, list[str]] = {}
    for key in _fastest_first(figures):
        names.setdefault(found[key]["advice"], []).append(found[key]["name"])
    return [f"{'; '.join(those)}: {text}" for text, those in names.items()]


def _fastest_first(figures: Figures) -> list[str]:
    found = figures["contenders"]
    return sorted(found, key=lambda key: -found[key]["per_second"])


def _row(one: dict[str, Any]) -> Row:
    raw = one["key"] in RAW.values()
    return (
        one["name"],
        f"{one['commands']:,}",
        f"{one['per_second']:,.0f}",
        f"{one['per_second_least']:,.0f}–{one['per_second_most']:,.0f}",
        "" if one["share_of_raw"] is None else f"{one['share_of_raw']:.3f}",
        "" if raw else f"{one['calls'] / one['commands'] * 1000:,.1f}",
        f"{one['cpu_s_per_10k']:.2f}",
        f"{one['broker_cpu_s_per_10k']:.2f}",
        f"{one['peak_mb']:.0f}",
    )


def _against_peers(figures: Figures) -> tuple[Row, list[Row]]:
    found = figures["contenders"]
    ours = [key for key in OURS if key in found]
    rows: list[Row] = []
    for peer in _fastest_first(figures):
        if peer in figures["peers"]:
            ratios = [ratio(figures, key, peer) for key in ours]
            rows.append((found[peer]["name"], *("" if it is None else f"{it:,.1f} ×" for it in ratios)))
    return [found[key]["name"].removeprefix("numbergroup, ") for key in ours], rows


def _target(one: Target) -> Row:
    measured = "–" if one.measured is None else f"{one.measured:,.3g}{one.unit}"
    limits = (f"{'≤ ' if one.at_most else ''}{it:g}{one.unit}" for it in (one.floor, one.aim))
    return (one.name, measured, *limits, one.verdict)


def _table(name: str, heads: Row) -> Table:
    table = Table(title=name, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _markdown(heads: Row, rows: Sequence[Row]) -> str:
    lines = [("", *heads), ("---", *("---:" for _ in heads)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
