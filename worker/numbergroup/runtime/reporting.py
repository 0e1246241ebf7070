"""Reporting: what the worker says of itself, every other second, for `numbergroup status`."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from numbergroup.engine.snapshot import PartitionView, Snapshot
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.ledger.reports import Report, Reports
from numbergroup.observability.logging import get_logger

_EVERY_S = 2.0
_PATIENCE_S = 5.0
_LAST_WORD_S = 0.5
_MOST_GROUPS = 100

log = get_logger("reporting")


def shorten(snapshot: Snapshot, most: int = _MOST_GROUPS) -> Snapshot:
    """The snapshot with no more than `most` groups of a kind named (one of each partition, at least): there
    may be a thousand partitions, and a report is written again and again."""
    each = max(1, most // max(1, len(snapshot.partitions)))
    partitions: Mapping[int, PartitionView] = {
        number: replace(view, parked=view.parked[:each], held=view.held[:each])
        for number, view in snapshot.partitions.items()
    }
    return replace(snapshot, partitions=partitions)


class Reporter:
    """One for a worker. `look` says how it stands now."""

    def __init__(self, reports: Reports, look: Callable[[], Report], every_s: float = _EVERY_S) -> None:
        self._reports = reports
        self._look = look
        self._every_s = every_s

    async def run(self) -> None:
        """Report until cancelled. A ledger that is away is complained of elsewhere."""
        while True:
            report = self._look()
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._reports.write(replace(report, snapshot=shorten(report.snapshot)))
            except (LedgerUnavailable, TimeoutError) as error:
                log.debug("no report is written", error=repr(error))
            await asyncio.sleep(self._every_s)

    async def remove_report(self) -> None:
        """Leave no report behind, if the ledger can be told."""
        with suppress(LedgerUnavailable, TimeoutError):
            async with asyncio.timeout(_LAST_WORD_S):
                await self._reports.drop(self._look().owner)
