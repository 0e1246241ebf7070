"""Holds and renews the lease of one partition."""

import asyncio
import contextlib

from numbergroup.errors import OwnershipLost
from numbergroup.ledger.history import History, HistoryChanged, bound_to
from numbergroup.ledger.port import Ledger, LedgerUnavailable
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock

_RENEWALS_PER_TTL = 8

log = get_logger("lease")


class LeaseLost(OwnershipLost):
    """Raised when the partition has, or may have, another owner: nothing may be sent or settled for it."""


class Lease:
    """This worker's right to send and settle for a partition, from `acquire` to `release`.

    The lease lasts `ttl_s` seconds, counted from the moment before the renewal was sent. It is valid only for
    the ledger's `history` under which it was acquired: a server that lost its last writes may still know the
    lease, but not what was done under it.
    """

    def __init__(self, ledger: Ledger, partition: int, owner: str, ttl_s: float, clock: Clock) -> None:
        self._ledger = ledger
        self._partition = partition
        self._owner = owner
        self._ttl_s = ttl_s
        self._clock = clock
        self._changed = asyncio.Event()
        self._expires_at = 0.0
        self._requested_at = 0.0
        self._was_held = True
        self._closed = False
        self.epoch = 0
        self.history: History | None = None

    async def acquire(self, above: int = 0) -> bool:
        """Become the owner, under an epoch higher than `above`.

        Returns False while another worker is the owner. Raises `LedgerUnavailable`.
        """
        requested_at = self._clock.monotonic()
        history = self._ledger.history
        try:
            with bound_to(history):
                epoch = await self._ledger.acquire_lease(self._partition, self._owner, self._ttl_s, above)
        except HistoryChanged as error:
            raise LedgerUnavailable(str(error)) from error
        if epoch is None:
            return False
        self.history = history
        self.epoch = epoch
        self._expires_at, self._requested_at = requested_at + self._ttl_s, requested_at
        log.info("owning the partition", partition=self._partition, owner=self._owner, epoch=epoch)
        return True

    async def renew_forever(self) -> None:
        """Renew the lease until cancelled. Raises `LeaseLost` when another worker may have taken it over."""
        while True:
            await asyncio.sleep(self._ttl_s / _RENEWALS_PER_TTL)
            self._was_held = self.was_held_throughout
            self._requested_at = requested_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._ttl_s / 2):
                    is_renewed = await self._ledger.renew_lease(
                        self._partition, self._owner, self.epoch, self._ttl_s
                    )
            except (LedgerUnavailable, TimeoutError) as error:
                log.warning("lease not renewed", partition=self._partition, error=repr(error))
                continue
            if not is_renewed:
                self.stop_sending()
                raise LeaseLost(f"partition {self._partition}, epoch {self.epoch}")
            self._expires_at = requested_at + self._ttl_s
            self._wake_waiters()

    @property
    def was_held_throughout(self) -> bool:
        """Whether no other worker can have owned the partition since `acquire`.

        Another worker can, if this one was suspended until its lease expired.
        """
        now = self._clock.monotonic()
        was_suspended = now >= self._expires_at and now - self._requested_at > self._ttl_s / 2
        return self._was_held and not was_suspended

    async def outlives(self, seconds: float) -> bool:
        """Wait until the lease lasts `seconds` more; see `numbergroup.vendors.attempt.Guard`.

        Returns False when nothing may be sent any more.
        """
        while not self._closed and self._expires_at - self._clock.monotonic() < seconds:
            await self._changed.wait()
        return not self._closed and self.history in (None, self._ledger.history)

    def stop_sending(self) -> None:
        """Forbid further requests. The answers to earlier ones are still awaited and settled."""
        self._closed = True
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        """Make all tasks in `outlives` check again. Later ones wait for the next change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def release(self) -> None:
        """Let another worker acquire the partition at once, instead of after the lease's time.

        Does nothing when the ledger is unavailable.
        """
        self.stop_sending()
        with contextlib.suppress(LedgerUnavailable):
            await self._ledger.release_lease(self._partition, self._owner, self.epoch)
