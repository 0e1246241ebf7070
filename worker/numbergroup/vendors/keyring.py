"""The credentials of one account, and for an hour the previous ones. Pure: the time is an argument.

An operator rotates a key in two places, and not in the same second. Until the vendor has switched, it accepts
the previous pair, afterwards the new one; some vendors accept both for a while.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from numbergroup.vendors.port import Credentials

_PREVIOUS_LASTS_S = 3600.0


class Version(StrEnum):
    """Which of two pairs of credentials the vendor accepts."""

    NEW = "new"
    PREVIOUS = "previous"


@dataclass(slots=True)
class Keyring:
    """Holds the credentials of `account`. Times are Unix seconds on a clock that never steps back.

    The pair that the vendor accepted last is used first. The previous pair is forgotten an hour after the
    change, or an hour after the vendor accepted it last.
    """

    account: str
    newest: Credentials
    _previous: Credentials | None = field(init=False, default=None)
    _forget_at: float = field(init=False, default=0.0)
    _accepted: Version | None = field(init=False, default=None)
    _last_accepted: Credentials | None = field(init=False, default=None)

    def get_current(self, now: float) -> Credentials:
        """Return the credentials to sign with."""
        previous = self._get_previous(now)
        return previous if previous is not None and self._accepted is Version.PREVIOUS else self.newest

    def get_alternative(self, tried: Credentials, now: float) -> Credentials | None:
        """Return other credentials to sign with when the vendor refused `tried`, or `None`."""
        previous = self._get_previous(now)
        if tried == self.newest:
            return previous
        return self.newest if tried == previous else self.get_current(now)

    def record_accepted(self, credentials: Credentials, now: float) -> Version | None:
        """Record that the vendor accepted these. Returns their version if it changed, else `None`."""
        self._last_accepted = credentials
        if self._previous is None:
            return None
        if credentials == self._previous:
            accepted, self._forget_at = Version.PREVIOUS, now + _PREVIOUS_LASTS_S
        elif credentials == self.newest:
            accepted = Version.NEW
        else:
            return None
        is_news = accepted is not self._accepted
        self._accepted = accepted
        return accepted if is_news else None

    def replace(self, credentials: Credentials, now: float) -> bool:
        """Use these from the next signature on. Returns False when they are in use."""
        if credentials == self.newest:
            return False
        # When a second change corrects the first, the pair that works may be neither of them.
        self._previous = (
            self._last_accepted if self._last_accepted not in (None, credentials) else self.newest
        )
        self.newest = credentials
        self._accepted, self._forget_at = None, now + _PREVIOUS_LASTS_S
        return True

    def _get_previous(self, now: float) -> Credentials | None:
        if self._previous is not None and now >= self._forget_at:
            if self._last_accepted == self._previous:
                self._last_accepted = None
            self._previous = self._accepted = None
        return self._previous
