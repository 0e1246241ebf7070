"""The vendor's clock, as far as its answers tell: what is signed has to bear its time, and not ours."""

from collections.abc import Callable

_DATE_S = 1.0
"""A `Date` has whole seconds."""
_NOTABLE_S = 2.0


class VendorClock:
    """Of one account. `wall_s` is the machine's clock, in Unix seconds; what is signed by the vendor's is
    accepted for `window_s`."""

    def __init__(self, wall_s: Callable[[], float], window_s: float) -> None:
        self._wall_s = wall_s
        self._window_s = window_s
        self._told_s = 0.0
        self.ahead_s = 0.0
        self.lasts_s = window_s
        """For how long after it was signed the vendor may accept a request."""

    def signing_ms(self) -> int:
        """The time to sign with (Unix milliseconds)."""
        return round((self._wall_s() + self.ahead_s) * 1000)

    def correct(self, vendor_s: float | None) -> bool:
        """The vendor did not take our time, and told its own, or did not: go by that, or by the machine's.

        Whether that is a change to speak of.
        """
        self.ahead_s = 0.0 if vendor_s is None else vendor_s - self._wall_s()
        if abs(self.ahead_s - self._told_s) <= _NOTABLE_S:
            return False
        self._told_s = self.ahead_s
        return True

    def note(self, vendor_s: float | None) -> None:
        """What is signed with a time that lies ahead of the vendor's, and is accepted, lasts for longer."""
        signed_s = self._wall_s() + self.ahead_s
        ahead_s = 0.0 if vendor_s is None else signed_s - vendor_s - _DATE_S
        self.lasts_s = self._window_s + min(max(ahead_s, 0.0), self._window_s)
