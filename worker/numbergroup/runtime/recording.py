"""What the ledger is told of a call before each of its requests, so that a successor knows what may come."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from numbergroup.engine.commands import CHANGING, Applied, CallKind, CreateIntent
from numbergroup.engine.doubt import Doubt
from numbergroup.engine.effects import StartCall
from numbergroup.engine.group.creation import intent_of_call
from numbergroup.ledger.history import HistoryChanged, bound_to
from numbergroup.ledger.port import Ledger, LedgerUnavailable, UpcomingCall
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.lease import Lease
from numbergroup.vendors.attempt import CallResult

_FLUSH_S = 5.0

log = get_logger("recording")


class CallRecord:
    """Of one call, under the lease with which it was decided.

    `flushed` returns when every settlement so far is durable.
    """

    def __init__(
        self,
        effect: StartCall,
        lease: Lease,
        ledger: Ledger,
        clock: Clock,
        flushed: Callable[[], Awaitable[None]],
    ) -> None:
        self._effect = effect
        self._lease = lease
        self._ledger = ledger
        self._clock = clock
        self._flushed = flushed
        self._intent: CreateIntent | None = None

    async def write(self, until: float) -> bool:
        """Record that a request may take effect until then (Unix seconds); False: it must not be sent."""
        kind = self._effect.call.kind
        try:
            with bound_to(self._lease.history):
                if kind is CallKind.CREATE:
                    ours = await self._write_intent(until)
                else:
                    ours = kind not in CHANGING or await self._write_call(until)
        except HistoryChanged:
            ours = False
        except (LedgerUnavailable, TimeoutError) as error:
            account = self._effect.ref.account
            log.error("a call is not recorded, and so not made", account=account, error=repr(error))
            return False
        failpoints.hit("intent recorded" if self._intent else "call recorded")
        if not ours:
            # Another worker has the partition, or the ledger has forgotten whose it is.
            self._lease.stop_sending()
        return ours

    async def _write_intent(self, until: float) -> bool:
        self._intent = intent_of_call(self._effect.call, until)
        # A settlement that ends an earlier intent of the group must not be written after this one.
        async with asyncio.timeout(_FLUSH_S):
            await self._flushed()
        return await self._ledger.record_intent(self._sender(), self._intent)

    async def _write_call(self, until: float) -> bool:
        doubts = [*self._effect.doubts, Doubt(self._effect.call, until)]
        return await self._ledger.record_call(self._sender(), doubts, self._clock.now())

    def _sender(self) -> UpcomingCall:
        effect = self._effect
        place = (effect.partition, self._lease.epoch, effect.ref, effect.call_id)
        return UpcomingCall(*place, effect.expirable_keys, effect.created_group)

    async def close(self, ended: CallResult) -> None:
        """Withdraw the intent of a create that was answered, and made nothing: whoever comes next need not
        look for its group, nor wait."""
        if self._intent and ended.doubt_until is None and not isinstance(ended.outcome, Applied):
            with contextlib.suppress(LedgerUnavailable, HistoryChanged), bound_to(self._lease.history):
                await self._ledger.delete_intent(self._effect.ref, self._intent)
