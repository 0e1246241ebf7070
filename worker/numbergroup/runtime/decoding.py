"""Decodes messages in short runs.

Decoding blocks the event loop, and with it the renewal of leases. So each run is bounded in time, bytes and
commands.
"""

from collections import deque

from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake, attach_replay
from numbergroup.engine.verdicts import Refusal
from numbergroup.runtime.clock import Clock

_MAX_RUN_S = 0.02
_MAX_RUN_BYTES = 4 * 1024 * 1024
_CLOCK_CHECK_BYTES = 8 * 1024
_OVERHEAD_BYTES = 100
"""What a message costs besides its body."""


def decode(entries: deque[Entry], credit: int, intake: Intake, clock: Clock) -> list[Command | Refusal]:
    """Decode messages from the head of `entries`, and remove them there.

    Returns their commands and refusals: about `credit` of them at most, since a message is not split.
    """
    items: list[Command | Refusal] = []
    size, deadline = 0, clock.monotonic() + _MAX_RUN_S
    next_clock_check = _CLOCK_CHECK_BYTES
    while entries and len(items) < credit and size < _MAX_RUN_BYTES:
        # Reading the clock for each small message would cost more than it saves.
        if size >= next_clock_check:
            if clock.monotonic() >= deadline:
                break
            next_clock_check = size + _CLOCK_CHECK_BYTES
        entry = entries.popleft()
        if entry.awaits_redelivery:
            continue
        size += len(entry.body) + _OVERHEAD_BYTES
        decoded = intake.read(entry)
        if entry.replay is not None:
            attach_replay(decoded, entry.replay)
        items += decoded
    return items
