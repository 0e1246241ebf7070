"""Everything that is measured, or some of it.

    python -m bench [--quick] [--only throughput latency redis-streams …] [--repeats 3] [--out FOLDER]

Prints tables to stdout, and how far it is to stderr. A whole run also writes results.json, results.md and
plots to `bench/results`; any other does so where `--out` says.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console, RenderableType

from bench import growth, latency, machine, merging, report, throughput
from bench.comparison import Figures, Target, compared, targets
from bench.contender import Contender, Place
from bench.contenders import CONTENDERS
from bench.growth import Growth
from bench.latency import Latency
from bench.merging import Merging
from bench.processes import end_well, has_rabbitmq

RESULTS = Path(__file__).with_name("results")
_PARTS = ("throughput", "latency", "growth", "merging")
_QUICK_SCALE = 0.2
_WIDTH = 165
_BUSY = 0.5
_MILLION = 1_000_000
_NOWHERE = Place("redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//", "http://127.0.0.1:1/")

Say = Callable[[str], None]


@dataclass
class Everything:
    """What was measured; None is a part that was not asked for."""

    machine: dict[str, Any]
    quick: bool
    throughput: Figures | None = None
    latency: Latency | None = None
    growth: Growth | None = None
    merging: Merging | None = None

    def targets(self) -> list[Target]:
        lone = self.latency.lone["redis"].added_ms.p99 if self.latency else None
        backlogs = self.growth.along("backlog") if self.growth else []
        mb = next((point.peak_mb for point in backlogs if point.size == _MILLION), None)
        calls = self.merging.worst_ratio if self.merging else None
        return targets(self.throughput or {}, lone, mb, calls)

    def tables(self) -> Iterator[RenderableType]:
        if self.throughput:
            yield from report.side_by_side(self.throughput)
        for heading, lines in self.sections():
            yield f"[bold]{heading}[/bold]\n" + "\n".join(lines)
        yield report.reached(self.targets())

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """The parts that tell their tables as text, with their headings."""
        if self.latency:
            yield "Latency", latency.lines(self.latency)
        if self.growth:
            yield f"Growth (an API that takes {growth.VENDOR_MS:g} ms)", growth.lines(self.growth)
        if self.merging:
            yield "Merging", merging.lines(self.merging)


def main() -> None:
    options = _options()
    end_well()
    # Wide tables stay whole, wherever they are printed.
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    found = Everything(machine.described(), options.quick)
    console.print(machine.in_a_line(found.machine))
    if found.machine["load"] > _BUSY:
        console.print("Other programs are running: they take from what is measured here.", style="yellow")
    _measure(options, found, say)
    for table in found.tables():
        console.print()
        console.print(table)
    console.print(f"\nin {(time.monotonic() - began) / 60:.1f} minutes")
    out = options.out or (None if options.only or options.quick else RESULTS)
    if out is not None:
        _write(out, found)
        console.print(f"written to {os.path.relpath(out)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n")[0])
    names = [*_PARTS, *(contender.key for contender in CONTENDERS)]
    parser.add_argument(
        "--quick", action="store_true", help="once, and with a fifth of the commands or fewer"
    )
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", default=[], help=", ".join(names))
    parser.add_argument("--repeats", type=int, help="of the side-by-side runs: 3, or 1 with --quick")
    parser.add_argument("--out", type=Path, help="where to write figures and plots")
    options = parser.parse_args()
    options.repeats = options.repeats or (1 if options.quick else 3)
    return options


def _measure(options: argparse.Namespace, found: Everything, say: Say) -> None:
    some = [one for one in CONTENDERS if one.key in options.only]
    wanted = [part for part in _PARTS if not options.only or part in options.only]
    if some or "throughput" in wanted:
        found.throughput = _throughput(some or CONTENDERS, options, say)
    if "latency" in wanted:
        found.latency = latency.measure(say, quick=options.quick)
    if "growth" in wanted:
        found.growth = growth.measure(say, quick=options.quick)
    if "merging" in wanted:
        found.merging = merging.measure(say, quick=options.quick)


def _throughput(contenders: Sequence[Contender], options: argparse.Namespace, say: Say) -> Figures:
    failed: dict[str, str] = {}
    able = []
    for contender in contenders:
        if contender.broker == "rabbitmq" and not has_rabbitmq():
            failed[contender.key] = "rabbitmq-server is not on this machine"
        elif shutil.which(contender.command(_NOWHERE)[0]) is None:
            failed[contender.key] = "it is not installed: `make bench` does that"
        else:
            able.append(contender)
    scale = _QUICK_SCALE if options.quick else 1.0
    runs, unfinished = throughput.measure(able, options.repeats, scale, say)
    settings = {
        "groups": throughput.GROUPS,
        "vendor_ms": throughput.VENDOR_MS,
        "repeats": options.repeats,
        "order_seed": throughput.ORDER_SEED,
    }
    return {**settings, **compared(contenders, runs, failed | unfinished)}


def _write(out: Path, found: Everything) -> None:
    # Not before it is needed: matplotlib is in an extra of its own.
    from bench import plots

    out.mkdir(parents=True, exist_ok=True)
    on = machine.in_a_line(found.machine)
    (out / "results.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    (out / "results.md").write_text(report.markdown(on, found.throughput, found.sections(), found.targets()))
    if found.throughput:
        plots.side_by_side(found.throughput, out / "throughput.png")
    if found.latency:
        plots.delayed(found.latency, out / "latency.png")
    if found.growth:
        plots.growing(found.growth, out / "growth.png")
    if found.merging:
        plots.merged(found.merging, out / "merging.png")


if __name__ == "__main__":
    main()
