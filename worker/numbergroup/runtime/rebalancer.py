"""Balances partitions between workers: acquires free ones up to this worker's share, hands over the excess.

Only the balance depends on this module. Leases and their epochs keep commands safe.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from numbergroup.ledger.port import LedgerUnavailable, Seniority
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.fair_share import fair_share
from numbergroup.runtime.partition import PartitionRunner
from numbergroup.runtime.ports import Ports

_POLL_S = 0.25
_OUTAGE_POLL_S = 1.0
_TURNS_PER_TTL = 8
_LEAVE_S = 2.0
_MAX_ACQUIRED_AT_ONCE = 64

log = get_logger("rebalancer")

Own = Callable[[PartitionRunner], asyncio.Task[None]]
"""Starts the task that runs a partition whose lease was acquired."""


class Rebalancer:
    """Keeps the worker registered, and the number of its partitions at its fair share."""

    def __init__(self, ports: Ports, partitions: Sequence[PartitionRunner], own: Own) -> None:
        self._ports = ports
        self._ledger = ports.ledger
        self._partitions = partitions
        self._own = own
        self._is_leaving = False
        self._poll_now = asyncio.Event()
        self._has_ended = asyncio.Event()
        self._registered_at_ms = 0
        self._was_ledger_down = False
        self._acquire_after = 0.0
        self._is_standing_by = False

    async def run(self) -> None:
        """Acquire and hand over partitions until `leave`. Raises `PartitionCountChanged`."""
        ttl_s = self._ports.lease_ttl_s
        poll_s = min(_POLL_S, ttl_s / _TURNS_PER_TTL)
        while not self._is_leaving:
            self._poll_now.clear()
            wait_s = poll_s
            try:
                async with asyncio.timeout(ttl_s / 2):
                    await self._rebalance()
            except (LedgerUnavailable, TimeoutError) as error:
                log.error(
                    "the ledger is unavailable: no partition is acquired or handed over", error=repr(error)
                )
                self._was_ledger_down, wait_s = True, min(_OUTAGE_POLL_S, ttl_s / _TURNS_PER_TTL)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._poll_now.wait()
        self._has_ended.set()

    async def leave(self) -> None:
        """Acquire nothing more, and unregister the worker if the ledger is available."""
        self._is_leaving = True
        self._poll_now.set()
        with suppress(LedgerUnavailable, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._has_ended.wait()
                await self._ledger.unregister(self._ports.owner)

    async def _rebalance(self) -> None:
        seniority = await self._register()
        share = fair_share(seniority.rank, seniority.workers, len(self._partitions))
        owned = [partition for partition in self._partitions if partition.is_owned]
        if len(owned) > share:
            log.info("handing over: more workers share the partitions", owns=len(owned), due=share)
            by_pending = sorted(owned, key=lambda partition: partition.pending_count)
            for partition in by_pending[: len(owned) - share]:
                partition.hand_over()
        elif len(owned) < share and self._ports.clock.monotonic() >= self._acquire_after:
            await self._acquire_free(min(share - len(owned), _MAX_ACQUIRED_AT_ONCE), seniority)
        self._log_standby(seniority, share)

    async def _register(self) -> Seniority:
        """Renew the registration. A worker keeps its seniority through an outage of the ledger."""
        ports = self._ports
        former = self._registered_at_ms if self._was_ledger_down else 0
        seniority = await self._ledger.register(ports.owner, len(self._partitions), ports.lease_ttl_s, former)
        if self._was_ledger_down:
            # The other workers need time to renew their leases: partitions may only seem to be free.
            self._was_ledger_down = False
            self._acquire_after = ports.clock.monotonic() + ports.lease_ttl_s / 2
        self._registered_at_ms = seniority.registered_at_ms
        return seniority

    async def _acquire_free(self, count: int, seniority: Seniority) -> None:
        """Acquire up to `count` partitions that have no owner."""
        owner = self._ports.owner
        owners = await self._ledger.read_owners(len(self._partitions))
        # An idle partition may already be leased to us: the answer to the acquisition got lost.
        free = [
            partition
            for partition in self._partitions
            if partition.is_idle and owners[partition.number] in (None, owner)
        ]
        # Workers that start together begin at different partitions, so they rarely compete for one.
        first = len(free) * seniority.rank // seniority.workers
        for partition in free[first:] + free[:first]:
            if not count or self._is_leaving:
                break
            if await partition.acquire():
                count -= 1
                self._own(partition).add_done_callback(self._on_partition_ended)
        if not count:
            # There may be more to acquire, after the registration and the leases are renewed.
            self._poll_now.set()

    def _on_partition_ended(self, _task: asyncio.Task[None]) -> None:
        self._poll_now.set()

    def _log_standby(self, seniority: Seniority, share: int) -> None:
        is_standing_by = not share and all(partition.is_idle for partition in self._partitions)
        if is_standing_by and not self._is_standing_by:
            log.info(
                "standing by: other workers own the partitions",
                owner=self._ports.owner,
                workers=seniority.workers,
                due=share,
            )
        self._is_standing_by = is_standing_by
