"""Listening to operators and to the other workers: what they say in the ledger, the engine is told."""

import asyncio
from collections.abc import Callable, Collection

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.events import Controls, ControlsUpdated, Event
from numbergroup.ledger.port import ControlSnapshot, LedgerUnavailable
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available

_EVERY_S = 1.0
_ANSWER_S = 5.0

log = get_logger("controls")


class ControlPoller:
    """One for a worker; `begin` it before anything is done. `accounts`: those that it has."""

    def __init__(
        self,
        ports: Ports,
        accounts: Collection[str],
        dispatch: Callable[[Event], object],
        jitter: Callable[[], float],
        every_s: float = _EVERY_S,
    ) -> None:
        self._control_store = ports.control_store
        self._clock = ports.clock
        self._cap = ports.dead_letter_cap
        self._accounts = accounts
        self._dispatch = dispatch
        self._jitter = jitter
        self._every_s = every_s
        self._last = ControlSnapshot(Controls(), {})
        self._away = False
        self.has_started = False

    async def start(self) -> None:
        """Hear what is in force, however long that takes."""
        orders = await retry_until_available("asking what is paused", self._control_store.read)
        # Of what was resumed before it began, nothing was held up here.
        self._last = ControlSnapshot(Controls(), orders.resumed)
        self.has_started = True
        self._apply(orders)

    async def run(self) -> None:
        """Listen until cancelled. While the ledger is away, what it said last stays in force."""
        while True:
            await asyncio.sleep(self._every_s)
            await self._poll()

    async def _poll(self) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                orders = await self._control_store.read()
        except (LedgerUnavailable, TimeoutError) as error:
            if not self._away:
                log.error(
                    "the ledger is unavailable: what operators have said last stays in force",
                    error=str(error) or type(error).__name__,
                )
            self._away = True
            return
        if self._away:
            log.info("the ledger is available again: operators are heard")
        self._away = False
        self._apply(orders)

    def _apply(self, orders: ControlSnapshot) -> None:
        last, self._last = self._last, orders
        resumed = [one for one, at in orders.resumed.items() if at != last.resumed.get(one)]
        self._report_changes(last.controls, orders.controls, resumed)
        self._cap.update(orders.controls.dead_letters)
        self._dispatch(ControlsUpdated(orders.controls, self._clock.now(), self._jitter(), resumed))

    def _report_changes(self, before: Controls, after: Controls, resumed: Collection[str | GroupRef]) -> None:
        was, paused = _paused(before), _paused(after)
        for target in filter(self._has, paused.keys() - was.keys()):
            log.warning(
                "paused by an operator: no call begins", **_named(target), reason=paused[target] or None
            )
        for target in filter(self._has, {*was, *resumed} - paused.keys()):
            log.info("resumed by an operator", **_named(target))

    def _has(self, target: str | GroupRef) -> bool:
        return (target if isinstance(target, str) else target.account) in self._accounts


def _paused(controls: Controls) -> dict[str | GroupRef, str]:
    paused: dict[str | GroupRef, str] = {}
    paused |= {account: reason for account, reason in controls.paused_accounts.items()}  # noqa: C416 (types)
    paused |= {ref: reason for ref, reason in controls.paused_groups.items()}  # noqa: C416
    return paused


def _named(target: str | GroupRef) -> dict[str, str]:
    if isinstance(target, str):
        return {"account": target}
    return {"account": target.account, "group": target.name}
