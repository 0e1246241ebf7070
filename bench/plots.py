"""Figures as pictures."""

from pathlib import Path

from matplotlib.figure import Figure

from bench import growth as growth_figures
from bench import latency as latency_figures
from bench import merging as merging_figures
from bench.comparison import OURS, RAW, Figures
from bench.growth import Growth
from bench.latency import Latency
from bench.merging import Merging

_OURS, _RAW, _PEERS = "#2a6fbb", "#b0b0b0", "#d98c3f"


def side_by_side(figures: Figures, path: Path) -> None:
    """Commands per second of every contender, as bars on a logarithmic scale."""
    found = figures["contenders"]
    ordered = sorted(found, key=lambda key: found[key]["per_second"])
    speeds = [found[key]["per_second"] for key in ordered]
    colours = [_OURS if key in OURS else _RAW if key in RAW.values() else _PEERS for key in ordered]
    ranges = [
        [found[key]["per_second"] - found[key]["per_second_least"] for key in ordered],
        [found[key]["per_second_most"] - found[key]["per_second"] for key in ordered],
    ]
    drawing = Figure(figsize=(9, 0.42 * len(ordered) + 1.4))
    axes = drawing.subplots()
    bars = axes.barh(range(len(ordered)), speeds, color=colours, xerr=ranges, ecolor="#555555")
    axes.set_yticks(range(len(ordered)), [found[key]["name"] for key in ordered])
    axes.set_xscale("log")
    axes.set_xlim(min(speeds) / 3, max(speeds) * 4)
    axes.bar_label(bars, [f"{speed:,.0f}" for speed in speeds], padding=4)
    axes.set_xlabel(
        f"commands/s, logarithmic (all waiting, {figures['groups']} groups, an API that takes "
        f"{figures['vendor_ms']:g} ms; medians of {figures['repeats']}, lowest to highest)"
    )
    axes.spines[["top", "right"]].set_visible(False)
    _save(drawing, path)


def delayed(latency: Latency, path: Path) -> None:
    """From published to result, by load, beside the vendor's own time."""
    drawing = Figure(figsize=(7, 4.5))
    latency_figures.draw(latency, drawing.subplots())
    _save(drawing, path)


def growing(growth: Growth, path: Path) -> None:
    """Speed and memory along everything that may grow."""
    drawing = Figure(figsize=(11, 5.5))
    growth_figures.draw(growth, drawing)
    _save(drawing, path)


def merged(merging: Merging, path: Path) -> None:
    """API calls, beside the fewest and one a command."""
    drawing = Figure(figsize=(9, 4))
    merging_figures.draw(merging, drawing.subplots())
    _save(drawing, path)


def _save(drawing: Figure, path: Path) -> None:
    drawing.savefig(path, dpi=130, bbox_inches="tight")
