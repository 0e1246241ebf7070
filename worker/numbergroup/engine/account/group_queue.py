"""The queue of an account's ready groups: decides which group is called next.

The next permit goes to the group whose oldest command has waited longest. A group whose batch needs several
calls is queued anew after each, so that it does not starve others. A group whose call stopped the account
(throttled, or a fault of the account) yields to all other ready groups, until a later call is answered
normally.
"""

import heapq
from dataclasses import dataclass, field

from numbergroup.engine.group.lifecycle import Batch, Ready
from numbergroup.engine.group.state import GroupState

_YIELDING = -1
"""The queue position of a group that yields to all others."""


@dataclass(slots=True)
class GroupQueue:
    """The groups of one account that wait for a permit."""

    served_at: float = 0.0
    """Start of the latest call of the account that was answered normally (Unix seconds)."""
    _ready: list[tuple[int, int, GroupState, Ready]] = field(default_factory=list)
    """A heap. Entries of groups that were settled, parked or forgotten since are stale."""
    _yielding: dict[GroupState, None] = field(default_factory=dict)
    """Groups whose call stopped the account, in that order; no later call was answered normally yet."""
    _push_serial: int = 0
    """Orders groups with equal positions in the heap."""
    _last_position: int = 0

    def __len__(self) -> int:
        """Return the number of queued groups, stale entries included."""
        return len(self._ready) + len(self._yielding)

    def add(self, group: GroupState, position: int | None = None, batch: Batch | None = None) -> None:
        """Queue the group for a permit, with its unfinished batch.

        Without a `position`, it is queued by its oldest command; behind all others if its last call stopped
        the account.
        """
        self._yielding.pop(group, None)
        if group.stopped_account_at is not None and self.served_at <= group.stopped_account_at:
            group.move_to(Ready(_YIELDING, batch))
            self._yielding[group] = None
            return
        if position is None:
            position = group.oldest_arrival if group.stopped_account_at is None else self._last_position
        self._last_position = max(position, self._last_position)
        self._push_serial += 1
        state = Ready(position, batch)
        group.move_to(state)
        heapq.heappush(self._ready, (position, self._push_serial, group, state))

    def peek(self) -> GroupState | None:
        """Return the group that uses the next permit; `None` if there is none."""
        while self._ready:
            _, _, group, state = self._ready[0]
            if group.state is state and group.pending:
                return group
            heapq.heappop(self._ready)
        while self._yielding:
            group = next(iter(self._yielding))
            if isinstance(group.state, Ready) and group.pending:
                return group
            del self._yielding[group]
        return None

    def pop(self) -> GroupState | None:
        """Remove and return the group that `peek` returns."""
        group = self.peek()
        if group is None:
            return None
        if group in self._yielding:
            del self._yielding[group]
        else:
            heapq.heappop(self._ready)
        return group

    def forget_partition(self, partition: int) -> None:
        """Remove the partition's groups, so that no permit is requested for them."""
        self._ready = [entry for entry in self._ready if entry[2].partition != partition]
        heapq.heapify(self._ready)
        for group in [group for group in self._yielding if group.partition == partition]:
            del self._yielding[group]

    def note_served(self, sent_at: float) -> None:
        """Queue the yielding groups behind all others: a call sent at `sent_at` was answered normally."""
        if sent_at <= self.served_at:
            return
        self.served_at = sent_at
        for group in [*self._yielding]:
            if isinstance(group.state, Ready):
                self.add(group, batch=group.state.batch)
