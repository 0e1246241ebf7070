"""The state of an account's token, which all workers share, and the rules for issuing tokens.

Some vendors issue few tokens an hour, and each new token invalidates the previous one. So one worker at a
time requests a token, under a claim. The claim is stored before the request is sent, and counts as a token,
whatever becomes of the request. The module is pure: `now` is in Unix seconds on the ledger's clock. The state
is stored by compare-and-swap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

_HOUR_S = 3600.0

LONGEST_CLAIM_S = 600.0
"""A claim with more time left was made before the clock was set back, and does not count."""
_LAST_DELAY_S = 1440.0
_MIN_DELAY_S = 10.0


@dataclass(slots=True, frozen=True)
class SharedToken:
    """A vendor's token. `of`: digest of its credentials. `since`: a time shortly before it was issued."""

    value: str = field(repr=False)
    of: str
    since: float


@dataclass(slots=True, frozen=True)
class Claim:
    """One worker's right to request a token. Its request reaches the vendor before `until`, or never."""

    id: str
    until: float


@dataclass(slots=True, frozen=True)
class TokenState:
    """The state of one account's token.

    `made`: by claim, a time shortly after a token was issued, or may have been.
    """

    token: SharedToken | None = None
    claim: Claim | None = None
    made: Mapping[str, float] = field(default_factory=dict)

    def busy_until(self, now: float) -> float | None:
        """Return until when a worker may be requesting a token; `None` if none is."""
        if self.claim is None or not now < self.claim.until <= now + LONGEST_CLAIM_S:
            return None
        return self.claim.until

    def made_lately(self, now: float) -> int:
        """Return how many tokens may have been issued within the last hour."""
        return len(self._within_hour(now))

    def next_at(self, now: float, an_hour: int) -> float:
        """Return when the next token may be requested; at most `now` if it may be requested now.

        No hour has more than `an_hour` tokens. The last token of an hour is delayed by 24 minutes, the one
        before it by half of that, and so on. So a fault that uses up tokens does not block the account much
        longer than the fault itself lasts. Delays of less than 10 seconds are dropped.
        """
        issued, earliest = sorted(self._within_hour(now).values()), now
        for count in range(len(issued), 0, -1):
            oldest_ends = issued[-count] + _HOUR_S
            if count < an_hour:
                allowed_at = max(earliest, issued[-1] + _wait_s(count, an_hour))
                if allowed_at < oldest_ends:
                    return allowed_at
            earliest = oldest_ends
        return earliest

    def claimed(self, claim: Claim, now: float) -> "TokenState":
        """Return the state with this claim, which counts as a token issued at the claim's end."""
        return replace(self, claim=claim, made={**self._within_hour(now), claim.id: claim.until})

    def written(self, claim: str, token: SharedToken, now: float) -> "TokenState | None":
        """Return the state with the token that was issued under the claim.

        Returns `None` if another claim replaced it: that claim's token may be newer.
        """
        if self.claim is None or self.claim.id != claim:
            return None
        return TokenState(token, None, {**self.made, claim: now})

    def given_up(self, claim: str, now: float, *, made: bool) -> "TokenState | None":
        """Return the state without the claim; `made` tells whether a token may have been issued under it.

        Returns `None` if another claim replaced it.
        """
        if self.claim is None or self.claim.id != claim:
            return None
        others = {id_: issued_at for id_, issued_at in self.made.items() if id_ != claim}
        return replace(self, claim=None, made={**others, claim: now} if made else others)

    def _within_hour(self, now: float) -> dict[str, float]:
        """Return the tokens of the last hour. A time beyond every claim is from before the clock was set
        back."""
        return {
            id_: issued_at
            for id_, issued_at in self.made.items()
            if now - _HOUR_S < issued_at <= now + LONGEST_CLAIM_S
        }


def _wait_s(issued: int, an_hour: int) -> float:
    """Return the delay in seconds after the last token, when `issued` tokens were issued within the hour."""
    wait_s = _LAST_DELAY_S * 2.0 ** (issued + 1 - an_hour)
    return wait_s if wait_s >= _MIN_DELAY_S else 0.0
