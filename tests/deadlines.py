"""How long a test waits for what must come: so long that only a fault takes longer, on a busy machine too.

A test states what a quiet machine needs. Nothing is measured: a deadline only ends a test that hangs.
"""

import asyncio

ROOM = 5
"""A machine that runs something else beside the tests is slower than a quiet one by less than this factor."""


def room(quiet_s: float) -> float:
    """Seconds to wait for what takes `quiet_s` seconds on a quiet machine."""
    return ROOM * quiet_s


def deadline(quiet_s: float) -> asyncio.Timeout:
    """`asyncio.timeout` for what takes `quiet_s` seconds on a quiet machine; raises `TimeoutError`."""
    return asyncio.timeout(room(quiet_s))
