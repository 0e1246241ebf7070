"""Sharing the partitions with the other workers: take what is due, hand over what is not.

Nothing here has to be right for commands to be safe: leases and their epochs are the fence.
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
_TAKEN_AT_ONCE = 64

log = get_logger("sharing")

Own = Callable[[PartitionRunner], asyncio.Task[None]]
"""Starts owning a partition whose lease was acquired."""


class Rebalancer:
    """Keeps the worker in the register, and its partitions as many as it is due."""

    def __init__(self, ports: Ports, partitions: Sequence[PartitionRunner], own: Own) -> None:
        self._ports = ports
        self._ledger = ports.ledger
        self._partitions = partitions
        self._own = own
        self._leaving = False
        self._look_again = asyncio.Event()
        self._over = asyncio.Event()
        self._since = 0
        self._was_away = False
        self._patient_until = 0.0
        self._standing_by = False

    async def run(self) -> None:
        """Take and hand over, until `leave`. Raises `PartitionCountChanged`."""
        ttl_s = self._ports.lease_ttl_s
        poll_s = min(_POLL_S, ttl_s / _TURNS_PER_TTL)
        while not self._leaving:
            self._look_again.clear()
            wait_s = poll_s
            try:
                async with asyncio.timeout(ttl_s / 2):
                    await self._turn()
            except (LedgerUnavailable, TimeoutError) as error:
                log.error("the ledger is unavailable: nothing is taken or handed over", error=repr(error))
                self._was_away, wait_s = True, min(_OUTAGE_POLL_S, ttl_s / _TURNS_PER_TTL)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._look_again.wait()
        self._over.set()

    async def leave(self) -> None:
        """Take nothing more, and let the others know, if the ledger can be told."""
        self._leaving = True
        self._look_again.set()
        with suppress(LedgerUnavailable, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._over.wait()
                await self._ledger.unregister(self._ports.owner)

    async def _turn(self) -> None:
        standing = await self._register()
        share = fair_share(standing.rank, standing.workers, len(self._partitions))
        mine = [partition for partition in self._partitions if partition.is_owned]
        if len(mine) > share:
            log.info("handing over: more workers share the partitions", owns=len(mine), due=share)
            for partition in sorted(mine, key=lambda one: one.pending_count)[: len(mine) - share]:
                partition.hand_over()
        elif len(mine) < share and self._ports.clock.monotonic() >= self._patient_until:
            await self._take(min(share - len(mine), _TAKEN_AT_ONCE), standing)
        self._tell(standing, share)

    async def _register(self) -> Seniority:
        """Whoever could not renew because the ledger was away keeps its seniority."""
        ports = self._ports
        standing = await self._ledger.register(
            ports.owner, len(self._partitions), ports.lease_ttl_s, self._since if self._was_away else 0
        )
        if self._was_away:
            # The others were away too: what seems to be free is theirs, until they had time to come back.
            self._was_away = False
            self._patient_until = ports.clock.monotonic() + ports.lease_ttl_s / 2
        self._since = standing.registered_at_ms
        return standing

    async def _take(self, count: int, standing: Seniority) -> None:
        owner = self._ports.owner
        owners = await self._ledger.read_owners(len(self._partitions))
        # A lease of our own that nobody works under: the answer to its acquisition got lost.
        free = [one for one in self._partitions if one.is_idle and owners[one.number] in (None, owner)]
        # Workers that start together begin at different places, and are seldom in each other's way.
        first = len(free) * standing.rank // standing.workers
        for partition in free[first:] + free[:first]:
            if not count or self._leaving:
                break
            if await partition.acquire():
                count -= 1
                self._own(partition).add_done_callback(self._gone)
        if not count:
            # There may be more to take, once the lives of worker and leases were renewed.
            self._look_again.set()

    def _gone(self, _task: asyncio.Task[None]) -> None:
        self._look_again.set()

    def _tell(self, standing: Seniority, share: int) -> None:
        standing_by = not share and all(partition.is_idle for partition in self._partitions)
        if standing_by and not self._standing_by:
            log.info(
                "standing by: other workers own the partitions",
                owner=self._ports.owner,
                workers=standing.workers,
                due=share,
            )
        self._standing_by = standing_by
