"""Estimates the vendor's clock from its answers: a signature has to bear the vendor's time."""

from collections.abc import Callable

_DATE_PRECISION_S = 1.0
"""A `Date` has whole seconds."""
_REPORTED_CHANGE_S = 2.0


class VendorClock:
    """The clock of one account's vendor. `wall_s` is the machine's clock, in Unix seconds. The vendor accepts
    a request for `window_s` after the time of its signature."""

    def __init__(self, wall_s: Callable[[], float], window_s: float) -> None:
        self._wall_s = wall_s
        self._window_s = window_s
        self._reported_s = 0.0
        self.ahead_s = 0.0
        self.validity_s = window_s
        """For how long after it was signed the vendor may accept a request, in seconds."""

    def get_signing_ms(self) -> int:
        """Return the time to sign with (Unix milliseconds)."""
        return round((self._wall_s() + self.ahead_s) * 1000)

    def correct(self, vendor_s: float | None) -> bool:
        """Sign with the time of an answer that refused ours (Unix seconds); `None`: with the machine's time.

        Returns whether the change is worth a log line.
        """
        self.ahead_s = 0.0 if vendor_s is None else vendor_s - self._wall_s()
        if abs(self.ahead_s - self._reported_s) <= _REPORTED_CHANGE_S:
            return False
        self._reported_s = self.ahead_s
        return True

    def record_vendor_time(self, vendor_s: float | None) -> None:
        """Learn from the time of an answer (Unix seconds) for how long signatures are accepted.

        A signature whose time lies ahead of the vendor's is accepted for longer.
        """
        signed_s = self._wall_s() + self.ahead_s
        ahead_s = 0.0 if vendor_s is None else signed_s - vendor_s - _DATE_PRECISION_S
        self.validity_s = self._window_s + min(max(ahead_s, 0.0), self._window_s)
