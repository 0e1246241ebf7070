"""Records a call in the ledger before each request, so that the next owner knows what may take effect."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from numbergroup.engine.calls import CHANGING, Applied, CallKind
from numbergroup.engine.doubt import CreateIntent, Doubt
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
    """The ledger's record of one call, written under the lease with which the call was decided.

    `wait_until_flushed` returns when every settlement that was added before is durable.
    """

    def __init__(
        self,
        effect: StartCall,
        lease: Lease,
        ledger: Ledger,
        clock: Clock,
        *,
        wait_until_flushed: Callable[[], Awaitable[None]],
    ) -> None:
        self._effect = effect
        self._lease = lease
        self._ledger = ledger
        self._clock = clock
        self._wait_until_flushed = wait_until_flushed
        self._intent: CreateIntent | None = None

    async def write(self, until: float) -> bool:
        """Record that a request may take effect until `until` (Unix seconds).

        Returns False when it is not recorded: the request must not be sent then.
        """
        kind = self._effect.call.kind
        try:
            with bound_to(self._lease.history):
                if kind is CallKind.CREATE:
                    is_recorded = await self._write_intent(until)
                else:
                    is_recorded = kind not in CHANGING or await self._write_call(until)
        except HistoryChanged:
            is_recorded = False
        except (LedgerUnavailable, TimeoutError) as error:
            account = self._effect.ref.account
            log.error("a call is not made: it cannot be recorded", account=account, error=repr(error))
            return False
        failpoints.hit("intent recorded" if self._intent else "call recorded")
        if not is_recorded:
            # Another worker owns the partition, or the ledger has lost our lease.
            self._lease.stop_sending()
        return is_recorded

    async def _write_intent(self, until: float) -> bool:
        self._intent = intent_of_call(self._effect.call, until)
        # A settlement of an earlier create deletes the group's intent: it must be written before this intent.
        async with asyncio.timeout(_FLUSH_S):
            await self._wait_until_flushed()
        return await self._ledger.record_intent(self._upcoming_call(), self._intent)

    async def _write_call(self, until: float) -> bool:
        doubts = [*self._effect.doubts, Doubt(self._effect.call, until)]
        return await self._ledger.record_call(self._upcoming_call(), doubts, self._clock.now())

    def _upcoming_call(self) -> UpcomingCall:
        effect = self._effect
        return UpcomingCall(
            effect.partition,
            self._lease.epoch,
            effect.ref,
            effect.call_id,
            effect.expirable_keys,
            effect.created_group,
        )

    async def close(self, result: CallResult) -> None:
        """Delete the intent of a create that certainly created no group.

        The next attempt then need not look for the group, nor wait.
        """
        if self._intent and result.doubt_until is None and not isinstance(result.outcome, Applied):
            with contextlib.suppress(LedgerUnavailable, HistoryChanged), bound_to(self._lease.history):
                await self._ledger.delete_intent(self._effect.ref, self._intent)
