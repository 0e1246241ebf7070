"""Writes the worker's report to the ledger every two seconds, for `numbergroup status`."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from numbergroup.engine.snapshot import PartitionView, Snapshot
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.ledger.reports import Report, Reports
from numbergroup.observability.logging import get_logger

_REPORT_INTERVAL_S = 2.0
_WRITE_TIMEOUT_S = 5.0
_REMOVE_TIMEOUT_S = 0.5
_MAX_GROUPS = 100

log = get_logger("reporting")


def shorten(snapshot: Snapshot, limit: int = _MAX_GROUPS) -> Snapshot:
    """Return the snapshot with at most `limit` groups of each kind, to bound the size of a report.

    Each partition keeps at least one of each kind, so many partitions may exceed the limit.
    """
    each = max(1, limit // max(1, len(snapshot.partitions)))
    partitions: Mapping[int, PartitionView] = {
        number: replace(view, parked=view.parked[:each], paused=view.paused[:each])
        for number, view in snapshot.partitions.items()
    }
    return replace(snapshot, partitions=partitions)


class Reporter:
    """Writes one worker's reports. `make_report` returns its report at this moment."""

    def __init__(
        self, reports: Reports, make_report: Callable[[], Report], interval_s: float = _REPORT_INTERVAL_S
    ) -> None:
        self._reports = reports
        self._make_report = make_report
        self._interval_s = interval_s

    async def run(self) -> None:
        """Write reports until cancelled. Other parts log an error when the ledger is unavailable."""
        while True:
            report = self._make_report()
            try:
                async with asyncio.timeout(_WRITE_TIMEOUT_S):
                    await self._reports.write(replace(report, snapshot=shorten(report.snapshot)))
            except (LedgerUnavailable, TimeoutError) as error:
                log.debug("the worker's report is not written", error=repr(error))
            await asyncio.sleep(self._interval_s)

    async def remove_report(self) -> None:
        """Delete the worker's report, if the ledger is available."""
        with suppress(LedgerUnavailable, TimeoutError):
            async with asyncio.timeout(_REMOVE_TIMEOUT_S):
                await self._reports.drop(self._make_report().owner)
