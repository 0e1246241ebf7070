"""A server that forgets its last writes: after a power cut, or when a replica that lagged takes over.

What was published is there again: producers publish anew, at once and in order, what was not on disk. On
AMQP the broker forgets nothing, and the ledger alone is rolled back.
"""

from collections import deque
from copy import deepcopy
from typing import Any

from simulation.broker import SimulatedBroker
from simulation.ledger import SimulatedLedger
from simulation.plans import LOSSES
from simulation.world import World

_STATES = 30
_READS = frozenset(
    {"lookup", "load calls", "look", "owners", "read", "recall", "read side", "permit", "last unit"}
)
_STATE = (
    *("records", "bindings", "intents", "sequences", "calls", "attempted", "partial", "book", "quarantined"),
    *("_recorded", "leases", "epochs", "crashes", "last_owner", "units", "servers", "losses"),
)
_OBSERVED = ("letters", "failures", "order", "first")
"""What the checks go by: on AMQP, what was acknowledged is not done again."""


class Rollback:
    """Remembers the server's last states, in worlds where it loses writes."""

    def __init__(self, world: World, ledger: SimulatedLedger, broker: SimulatedBroker) -> None:
        self._world = world
        self._ledger = ledger
        self._broker = broker
        self._states: deque[dict[str, Any]] = deque(maxlen=_STATES)
        self._names = _STATE if not world.plan.transactional else (*_STATE, *_OBSERVED)
        if any(fault.kind in LOSSES for fault in world.plan.faults):
            world.before_effect = self.remember
            world.on_loss_of_writes = self.forget

    def remember(self, what: str) -> None:
        """Keep the state before a write."""
        if what not in _READS:
            self._states.append(self._state())

    def _state(self) -> dict[str, Any]:
        state = {name: deepcopy(getattr(self._ledger, name)) for name in self._names}
        if self._world.plan.transactional:
            state["left"] = [list(left) for left in self._broker.left]
            state["published"] = [len(published) for published in self._broker.published]
            state["replies"] = len(self._broker.replies)
        return state

    def forget(self, writes: int) -> None:
        """Be as before the last so many writes."""
        # A ledger that has lost even that there ever was an owner cannot be told from a new one.
        known = {number for number, epoch in self._ledger.epochs.items() if epoch}
        fit = [
            place
            for place, state in enumerate(self._states)
            if all(state["epochs"].get(number) for number in known)
        ]
        if not fit:
            return
        place = max(fit[0], len(self._states) - writes)
        state = self._states[place]
        while len(self._states) > place:
            self._states.pop()
        for name in self._names:
            setattr(self._ledger, name, state[name])
        if self._world.plan.transactional:
            self._restore_broker(state)

    def _restore_broker(self, state: dict[str, Any]) -> None:
        broker = self._broker
        del broker.replies[state["replies"] :]
        for number, published in enumerate(broker.published):
            again = range(state["published"][number], len(published))
            broker.left[number] = {serial: published[serial] for serial in (*state["left"][number], *again)}
            broker.tell(number)
