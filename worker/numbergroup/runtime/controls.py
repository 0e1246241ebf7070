"""Polls the ledger for pauses, resumes and breaker notices, and passes them to the engine."""

import asyncio
from collections.abc import Callable, Collection

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.events import Controls, ControlsUpdated, Event
from numbergroup.ledger.port import ControlSnapshot, LedgerUnavailable
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available

_POLL_S = 1.0
_READ_TIMEOUT_S = 5.0

log = get_logger("controls")


class ControlPoller:
    """Keeps the engine's controls up to date. A worker has one poller.

    `start` must return before any call is made. `accounts` are the accounts of this worker; changes of other
    accounts are not logged. `dispatch` passes an event to the engine.
    """

    def __init__(
        self,
        ports: Ports,
        accounts: Collection[str],
        dispatch: Callable[[Event], object],
        jitter: Callable[[], float],
        every_s: float = _POLL_S,
    ) -> None:
        self._control_store = ports.control_store
        self._clock = ports.clock
        self._cap = ports.dead_letter_cap
        self._accounts = accounts
        self._dispatch = dispatch
        self._jitter = jitter
        self._every_s = every_s
        self._last_snapshot = ControlSnapshot(Controls(), {})
        self._is_ledger_down = False
        self.has_started = False

    async def start(self) -> None:
        """Apply the controls in force. Retries until the ledger answers."""
        snapshot = await retry_until_available("reading what is paused", self._control_store.read)
        # Resumes from before the start are not reported: this worker was not paused by them.
        self._last_snapshot = ControlSnapshot(Controls(), snapshot.resumed)
        self.has_started = True
        self._apply(snapshot)

    async def run(self) -> None:
        """Poll until cancelled. While the ledger is unavailable, the last controls stay in force."""
        while True:
            await asyncio.sleep(self._every_s)
            await self._poll()

    async def _poll(self) -> None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                snapshot = await self._control_store.read()
        except (LedgerUnavailable, TimeoutError) as error:
            if not self._is_ledger_down:
                log.error(
                    "the ledger is unavailable: the last pauses and resumes stay in force",
                    error=str(error) or type(error).__name__,
                )
            self._is_ledger_down = True
            return
        if self._is_ledger_down:
            log.info("the ledger is available again: new pauses and resumes take effect")
        self._is_ledger_down = False
        self._apply(snapshot)

    def _apply(self, snapshot: ControlSnapshot) -> None:
        last, self._last_snapshot = self._last_snapshot, snapshot
        resumed = [
            target
            for target, resumed_at in snapshot.resumed.items()
            if resumed_at != last.resumed.get(target)
        ]
        self._report_changes(last.controls, snapshot.controls, resumed)
        self._cap.update(snapshot.controls.dead_letters)
        self._dispatch(ControlsUpdated(snapshot.controls, self._clock.now(), self._jitter(), resumed))

    def _report_changes(self, before: Controls, after: Controls, resumed: Collection[str | GroupRef]) -> None:
        paused_before, paused_now = _pause_reasons(before), _pause_reasons(after)
        for target in filter(self._is_own, paused_now.keys() - paused_before.keys()):
            log.warning(
                "paused by an operator: no call begins",
                **_log_fields(target),
                reason=paused_now[target] or None,
            )
        for target in filter(self._is_own, {*paused_before, *resumed} - paused_now.keys()):
            log.info("resumed by an operator", **_log_fields(target))

    def _is_own(self, target: str | GroupRef) -> bool:
        return (target if isinstance(target, str) else target.account) in self._accounts


def _pause_reasons(controls: Controls) -> dict[str | GroupRef, str]:
    paused: dict[str | GroupRef, str] = {}
    paused |= {account: reason for account, reason in controls.paused_accounts.items()}  # noqa: C416 (types)
    paused |= {ref: reason for ref, reason in controls.paused_groups.items()}  # noqa: C416
    return paused


def _log_fields(target: str | GroupRef) -> dict[str, str]:
    if isinstance(target, str):
        return {"account": target}
    return {"account": target.account, "group": target.name}
