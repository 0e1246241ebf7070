"""Issues Ozonetel's tokens, and checks them. Pure: the time is an argument.

A token is valid for 60 minutes. A user gets at most 10 in an hour. A new token revokes the earlier ones (page
"Generate Token").
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
    """One user's newest token, its time of issue, and the times of issue within the last hour (Unix s)."""

    recent_issues_s: deque[float] = field(default_factory=deque)
    token: str | None = None
    newest_issued_s: float = 0.0
    latest_s: float = float("-inf")
    issued_count: int = 0
    refused_count: int = 0

    def advance_clock(self, now_s: float) -> float:
        """Returns the latest time seen, so that a clock that is set back extends no limit and no token."""
        self.latest_s = max(self.latest_s, now_s)
        while self.recent_issues_s and self.recent_issues_s[0] <= self.latest_s - _HOUR_S:
            self.recent_issues_s.popleft()
        return self.latest_s


class TokenIssuer:
    """Issues tokens to users, and checks them. Times are in Unix seconds.

    `lasts_s`: lifetime of a token in seconds. `an_hour`: maximum of tokens for a user within the last 60
    minutes. The vendor does not document whether it counts by the clock's hour; this is the stricter way [I].
    """

    def __init__(self, lasts_s: float = 3600.0, an_hour: int = 10) -> None:
        self._lasts_s = lasts_s
        self._an_hour = an_hour
        self._users: dict[str, _UserTokens] = {}
        self._numbers = count(1)

    def issue(self, user: str, now_s: float) -> str | None:
        """Returns a new token, and revokes the user's earlier ones.

        Returns None, and changes nothing, if the user has all tokens of the hour.
        """
        tokens = self._users.setdefault(user, _UserTokens())
        now_s = tokens.advance_clock(now_s)
        if len(tokens.recent_issues_s) >= self._an_hour:
            tokens.refused_count += 1
            return None
        tokens.recent_issues_s.append(now_s)
        tokens.issued_count += 1
        tokens.token = _create_token(user, now_s, self._lasts_s, next(self._numbers))
        tokens.newest_issued_s = now_s
        return tokens.token

    def is_accepted(self, user: str, token: str, now_s: float) -> bool:
        """Whether the token is the user's newest, and not expired."""
        tokens = self._users.get(user)
        return (
            tokens is not None
            and tokens.token == token
            and tokens.advance_clock(now_s) < tokens.newest_issued_s + self._lasts_s
        )

    def revoke(self, user: str) -> None:
        """Revokes the user's token before it expires."""
        if tokens := self._users.get(user):
            tokens.token = None

    def count_issued(self, user: str) -> int:
        """Returns how many tokens were issued to the user."""
        return self._users[user].issued_count if user in self._users else 0

    def count_refused(self, user: str) -> int:
        """Returns how many requests of the user exceeded the limit per hour."""
        return self._users[user].refused_count if user in self._users else 0


def _create_token(user: str, now_s: float, lasts_s: float, number: int) -> str:
    """Returns a unique token in the format of a JWT, without a valid signature."""
    claims = {"sub": user, "iat": int(now_s), "exp": int(now_s + lasts_s), "jti": number}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims, {"sandbox": number})
    return ".".join(_encode_part(part) for part in parts)


def _encode_part(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()
