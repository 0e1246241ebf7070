"""Decoding what was read: no more at a time than there is credit for, and than the event loop can spare.

It holds everything else up, the lease's renewal too: whatever the messages are, it pauses soon, and what is
in hand at once is bounded.
"""

from collections import deque

from numbergroup.engine.commands import Command, Entry, Refusal
from numbergroup.engine.decoding.intake import Intake, tried_again
from numbergroup.runtime.clock import Clock

_LASTS_S = 0.02
_MOST_BYTES = 4 * 1024 * 1024
_GLANCE_BYTES = 8 * 1024
_AROUND_BYTES = 100


def decode(held: deque[Entry], credit: int, intake: Intake, clock: Clock) -> list[Command | Refusal]:
    """What the next messages say; they are taken from `held`."""
    items: list[Command | Refusal] = []
    size, until = 0, clock.monotonic() + _LASTS_S
    glance = _GLANCE_BYTES
    while held and len(items) < credit and size < _MOST_BYTES:
        # Nobody misses the time that a few kilobytes take.
        if size >= glance:
            if clock.monotonic() >= until:
                break
            glance = size + _GLANCE_BYTES
        entry = held.popleft()
        if entry.void:
            continue
        size += len(entry.body) + _AROUND_BYTES
        found = intake.read(entry)
        items += found if entry.replay is None else tried_again(found, entry.replay)
    return items
