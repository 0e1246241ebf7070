"""What all workers know of an account's token. Pure: the time is an argument, in Unix seconds on their common
clock.

A vendor whose calls bear a token lets few be made within an hour, and each kills those before it. So one
worker at a time makes one, under a claim, which is written down before the vendor is asked: whatever became
of the request, it counts. The state changes by compare-and-swap: what is decided here holds when written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

_HOUR_S = 3600.0

LONGEST_CLAIM_S = 600.0
"""A claim that lasts longer is left over from before the clock was set back."""
_LAST_WAITS_S = 1440.0
_LEAST_WAIT_S = 10.0


@dataclass(slots=True, frozen=True)
class SharedToken:
    """`of` tells the credentials that it was made with, `since` a moment before it was."""

    value: str = field(repr=False)
    of: str
    since: float


@dataclass(slots=True, frozen=True)
class Claim:
    """Somebody's right to make a token; whatever they sent has come to the vendor before `until`, or never
    does."""

    id: str
    until: float


@dataclass(slots=True, frozen=True)
class TokenState:
    """`made`: by claim, a moment after a token was made, or may have been."""

    token: SharedToken | None = None
    claim: Claim | None = None
    made: Mapping[str, float] = field(default_factory=dict)

    def busy_until(self, now: float) -> float | None:
        """Until when somebody may be making one; `None` if nobody is."""
        if self.claim is None or not now < self.claim.until <= now + LONGEST_CLAIM_S:
            return None
        return self.claim.until

    def made_lately(self, now: float) -> int:
        """How many may have been made within the last hour."""
        return len(self._lately(now))

    def next_at(self, now: float, an_hour: int) -> float:
        """From when another one may be made; not after `now`, if it may be now.

        Never more than `an_hour` within any hour. The last of them waits for 24 minutes, the one before for
        half of that, and so on, so that what uses them up finds the next one not much longer after its end
        than it lasted; short waits are none.
        """
        made, at = sorted(self._lately(now).values()), now
        for left in range(len(made), 0, -1):
            gone = made[-left] + _HOUR_S
            if left < an_hour and max(at, made[-1] + _wait_s(left, an_hour)) < gone:
                return max(at, made[-1] + _wait_s(left, an_hour))
            at = gone
        return at

    def claimed(self, claim: Claim, now: float) -> "TokenState":
        """With this claim; it counts as if a token were made at its end."""
        return replace(self, claim=claim, made={**self._lately(now), claim.id: claim.until})

    def written(self, claim: str, token: SharedToken, now: float) -> "TokenState | None":
        """With the token that was made under the claim; `None`: somebody has claimed it since, and theirs may
        be the newer one."""
        if self.claim is None or self.claim.id != claim:
            return None
        return TokenState(token, None, {**self.made, claim: now})

    def given_up(self, claim: str, now: float, *, made: bool) -> "TokenState | None":
        """Without the claim, and without what counts for it unless something may have been `made`; `None`:
        somebody has claimed it since."""
        if self.claim is None or self.claim.id != claim:
            return None
        others = {one: at for one, at in self.made.items() if one != claim}
        return replace(self, claim=None, made={**others, claim: now} if made else others)

    def _lately(self, now: float) -> dict[str, float]:
        """What counts. A time that no claim can end at is from before the clock was set back."""
        return {one: at for one, at in self.made.items() if now - _HOUR_S < at <= now + LONGEST_CLAIM_S}


def _wait_s(made: int, an_hour: int) -> float:
    """How long after the last one another may be made, when so many were within the hour."""
    wait_s = _LAST_WAITS_S * 2.0 ** (made + 1 - an_hour)
    return wait_s if wait_s >= _LEAST_WAIT_S else 0.0
