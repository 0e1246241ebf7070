"""The credentials of one account, and for a time those before them. Pure: the time is an argument.

Whoever rotates a key changes it in two places, and not in the same second: until the vendor has switched it
takes the former pair, afterwards the new one, and some vendors take both for a while.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from numbergroup.vendors.port import Credentials

_REMEMBERED_S = 3600.0


class Which(StrEnum):
    """Of two pairs, the one that the vendor takes."""

    NEW = "new"
    FORMER = "former"


@dataclass(slots=True)
class Keyring:
    """`account` is whose they are. Times are Unix seconds on a clock that never steps back.

    The pair that the vendor took last is used first. The former one is forgotten an hour after the change,
    or after the vendor took it last.
    """

    account: str
    newest: Credentials
    _former: Credentials | None = field(init=False, default=None)
    _forget_at: float = field(init=False, default=0.0)
    _taken: Which | None = field(init=False, default=None)
    _good: Credentials | None = field(init=False, default=None)

    def current(self, now: float) -> Credentials:
        """What to sign with."""
        former = self._remembered(now)
        return former if former is not None and self._taken is Which.FORMER else self.newest

    def other(self, tried: Credentials, now: float) -> Credentials | None:
        """What else to sign with, when the vendor did not take `tried`."""
        former = self._remembered(now)
        if tried == self.newest:
            return former
        return self.newest if tried == former else self.current(now)

    def took(self, credentials: Credentials, now: float) -> Which | None:
        """The vendor took these. Which they are, if that is news."""
        self._good = credentials
        if self._former is None:
            return None
        if credentials == self._former:
            taken, self._forget_at = Which.FORMER, now + _REMEMBERED_S
        elif credentials == self.newest:
            taken = Which.NEW
        else:
            return None
        news = taken is not self._taken
        self._taken = taken
        return taken if news else None

    def replace(self, credentials: Credentials, now: float) -> bool:
        """Use these from the next signature on; False: they are in use."""
        if credentials == self.newest:
            return False
        # After two changes in a row, the second of which mends the first, the pair that worked is neither.
        self._former = self._good if self._good not in (None, credentials) else self.newest
        self.newest = credentials
        self._taken, self._forget_at = None, now + _REMEMBERED_S
        return True

    def _remembered(self, now: float) -> Credentials | None:
        if self._former is not None and now >= self._forget_at:
            if self._good == self._former:
                self._good = None
            self._former = self._taken = None
        return self._former
