"""Ozonetel's tokens: one lasts 60 minutes, at most 10 are made an hour, and a new one kills those before it
(page "Generate Token"). Pure: the time is an argument.
"""

import json
from base64 import urlsafe_b64encode
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Any

_HOUR_S = 3600.0


@dataclass(slots=True)
class _UserTokens:
    """Of one user: the newest token and when it was made, and when those of the last hour were."""

    issued_s: deque[float] = field(default_factory=deque)
    token: str | None = None
    since_s: float = 0.0
    latest_s: float = float("-inf")
    total: int = 0
    refused: int = 0

    def advance_clock(self, now_s: float) -> float:
        """The time, which never steps back: a clock that is set back frees nothing and revives nothing."""
        self.latest_s = max(self.latest_s, now_s)
        while self.issued_s and self.issued_s[0] <= self.latest_s - _HOUR_S:
            self.issued_s.popleft()
        return self.latest_s


class TokenIssuer:
    """Makes tokens for each user, and knows which are good. Times are in Unix seconds.

    Whether `an_hour` is meant by the clock's hour or of the last 60 minutes is not documented: the last 60
    minutes is the stricter of the two [I].
    """

    def __init__(self, lasts_s: float = 3600.0, an_hour: int = 10) -> None:
        self._lasts_s = lasts_s
        self._an_hour = an_hour
        self._users: dict[str, _UserTokens] = {}
        self._numbers = count(1)

    def issue(self, user: str, now_s: float) -> str | None:
        """A new token, after which the user's earlier ones are dead; `None`, and nothing is changed: the
        hour's tokens are used up."""
        tokens = self._users.setdefault(user, _UserTokens())
        now_s = tokens.advance_clock(now_s)
        if len(tokens.issued_s) >= self._an_hour:
            tokens.refused += 1
            return None
        tokens.issued_s.append(now_s)
        tokens.total += 1
        tokens.token, tokens.since_s = _create_token(user, now_s, self._lasts_s, next(self._numbers)), now_s
        return tokens.token

    def is_accepted(self, user: str, token: str, now_s: float) -> bool:
        """Whether it is the user's newest, and not too old."""
        tokens = self._users.get(user)
        return (
            tokens is not None
            and tokens.token == token
            and tokens.advance_clock(now_s) < tokens.since_s + self._lasts_s
        )

    def revoke(self, user: str) -> None:
        """Let the user's token be dead before its time."""
        if tokens := self._users.get(user):
            tokens.token = None

    def count_issued(self, user: str) -> int:
        """How many were made for the user."""
        return self._users[user].total if user in self._users else 0

    def count_refused(self, user: str) -> int:
        """How many more were asked for than the hour allowed."""
        return self._users[user].refused if user in self._users else 0


def _create_token(user: str, now_s: float, lasts_s: float, number: int) -> str:
    """A JWT by its looks, and different from all others; nobody checks its signature."""
    claims = {"sub": user, "iat": int(now_s), "exp": int(now_s + lasts_s), "jti": number}
    return f"{_encode_part({'alg': 'HS256', 'typ': 'JWT'})}.{_encode_part(claims)}.{_encode_part({'sandbox': number})}"


def _encode_part(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()
