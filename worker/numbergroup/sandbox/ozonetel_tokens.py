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
class _Desk:
    """Of one user: the newest token and when it was made, and when those of the last hour were."""

    made: deque[float] = field(default_factory=deque)
    token: str | None = None
    since: float = 0.0
    latest: float = float("-inf")
    total: int = 0
    refused: int = 0

    def at(self, now_s: float) -> float:
        """The time, which never steps back: a clock that is set back frees nothing and revives nothing."""
        self.latest = max(self.latest, now_s)
        while self.made and self.made[0] <= self.latest - _HOUR_S:
            self.made.popleft()
        return self.latest


class TokenOffice:
    """Makes tokens for each user, and knows which are good. Times are in Unix seconds.

    Whether `an_hour` is meant by the clock's hour or of the last 60 minutes is not documented: the last 60
    minutes is the stricter of the two [I].
    """

    def __init__(self, lasts_s: float = 3600.0, an_hour: int = 10) -> None:
        self._lasts_s = lasts_s
        self._an_hour = an_hour
        self._desks: dict[str, _Desk] = {}
        self._numbers = count(1)

    def make(self, user: str, now_s: float) -> str | None:
        """A new token, after which the user's earlier ones are dead; `None`, and nothing is changed: the
        hour's tokens are used up."""
        desk = self._desks.setdefault(user, _Desk())
        now = desk.at(now_s)
        if len(desk.made) >= self._an_hour:
            desk.refused += 1
            return None
        desk.made.append(now)
        desk.total += 1
        desk.token, desk.since = _token(user, now, self._lasts_s, next(self._numbers)), now
        return desk.token

    def accepts(self, user: str, token: str, now_s: float) -> bool:
        """Whether it is the user's newest, and not too old."""
        desk = self._desks.get(user)
        return desk is not None and desk.token == token and desk.at(now_s) < desk.since + self._lasts_s

    def kill(self, user: str) -> None:
        """Let the user's token be dead before its time."""
        if desk := self._desks.get(user):
            desk.token = None

    def made(self, user: str) -> int:
        """How many were made for the user."""
        return self._desks[user].total if user in self._desks else 0

    def refused(self, user: str) -> int:
        """How many more were asked for than the hour allowed."""
        return self._desks[user].refused if user in self._desks else 0


def _token(user: str, now: float, lasts_s: float, number: int) -> str:
    """A JWT by its looks, and different from all others; nobody checks its signature."""
    said = {"sub": user, "iat": int(now), "exp": int(now + lasts_s), "jti": number}
    return f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(said)}.{_part({'sandbox': number})}"


def _part(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()
