"""The lease of one partition, as its owner holds it."""

import asyncio
import contextlib

from numbergroup.ledger.history import History, HistoryChanged, bound_to
from numbergroup.ledger.port import Ledger, LedgerUnavailable
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock

_RENEWALS_PER_TTL = 8

log = get_logger("lease")


class LeaseLost(Exception):
    """The partition has another owner, or may have one: nothing may be sent or settled for it."""


class Lease:
    """Held from `acquire` on. How long it lasts is measured from before a renewal was sent.

    It holds for the ledger's `history` under which it was acquired: a server that has lost its last writes
    may know it still, but not what was done under it.
    """

    def __init__(self, ledger: Ledger, partition: int, owner: str, ttl_s: float, clock: Clock) -> None:
        self._ledger = ledger
        self._partition = partition
        self._owner = owner
        self._ttl_s = ttl_s
        self._clock = clock
        self._changed = asyncio.Event()
        self._expires = 0.0
        self._asked = 0.0
        self._was_held = True
        self._closed = False
        self.epoch = 0
        self.history: History | None = None

    async def acquire(self, above: int = 0) -> bool:
        """Become the owner, under an epoch `above` that one; False while another worker is.

        Raises `LedgerUnavailable`.
        """
        asked = self._clock.monotonic()
        history = self._ledger.history
        try:
            with bound_to(history):
                epoch = await self._ledger.acquire_lease(self._partition, self._owner, self._ttl_s, above)
        except HistoryChanged as error:
            raise LedgerUnavailable(str(error)) from error
        if epoch is None:
            return False
        self.history = history
        self.epoch, self._expires, self._asked = epoch, asked + self._ttl_s, asked
        log.info("owning the partition", partition=self._partition, owner=self._owner, epoch=epoch)
        return True

    async def renew_forever(self) -> None:
        """Renew until cancelled; raises `LeaseLost` when there is nothing left to renew."""
        while True:
            await asyncio.sleep(self._ttl_s / _RENEWALS_PER_TTL)
            self._was_held = self.was_held_throughout
            self._asked = asked = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._ttl_s / 2):
                    kept = await self._ledger.renew_lease(
                        self._partition, self._owner, self.epoch, self._ttl_s
                    )
            except (LedgerUnavailable, TimeoutError) as error:
                log.warning("lease not renewed", partition=self._partition, error=repr(error))
                continue
            if not kept:
                self.stop_sending()
                raise LeaseLost(f"partition {self._partition}, epoch {self.epoch}")
            self._expires = asked + self._ttl_s
            self._wake()

    @property
    def was_held_throughout(self) -> bool:
        """Whether no other worker can have been the owner since. One can, if this worker stood still until
        the lease had run out."""
        now = self._clock.monotonic()
        was_absent = now >= self._expires and now - self._asked > self._ttl_s / 2
        return self._was_held and not was_absent

    async def outlives(self, seconds: float) -> bool:
        """See `numbergroup.vendors.client.Guard`."""
        while not self._closed and self._expires - self._clock.monotonic() < seconds:
            await self._changed.wait()
        return not self._closed and self.history in (None, self._ledger.history)

    def stop_sending(self) -> None:
        """Let no further request out, while what was sent is still waited for and settled."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        """Let all who wait look again; who comes later waits for the next change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def release(self) -> None:
        """Let the next owner in at once, if the ledger can be told."""
        self.stop_sending()
        with contextlib.suppress(LedgerUnavailable):
            await self._ledger.release_lease(self._partition, self._owner, self.epoch)
