"""Encodes and decodes pauses, resumes and breakers: JSON objects that operators can read and write, too.

Decoding never raises for a bad value: unreadable entries are added to the set `junk`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from redis.exceptions import ResponseError

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger import keys
from numbergroup.ledger.port import Pause

Fields = Mapping[bytes, bytes]

_LONGEST_OPEN_S = 86_400.0
_MAX_COUNT = 2**53
_UNREADABLE = Pause("its entry cannot be read", "", 0.0)


class UnreadableEntry(NamedTuple):
    """An entry that cannot be read, and what it is taken for instead."""

    key: str
    field: str
    taken_for: str


class _Pause(BaseModel):
    since: Annotated[int, Field(ge=0, le=253_402_300_799_999)]
    who: str
    reason: str


class _Breaker(BaseModel):
    until: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    failures: Annotated[int, Field(ge=0, le=2**31)]


_PAUSE = TypeAdapter(_Pause)
_BREAKER = TypeAdapter(_Breaker)


def drop_mistyped(answers: dict[str, Any], junk: set[UnreadableEntry]) -> dict[str, Any]:
    """Replace by `None` the answers for keys of a wrong type, and add these keys to `junk`.

    Raises any other error among the answers.
    """
    for key, answer in answers.items():
        if isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE"):
            junk.add(UnreadableEntry(key, "", "nothing"))
            answers[key] = None
        elif isinstance(answer, Exception):
            raise answer
    return answers


def decode_pauses(entries: Fields, junk: set[UnreadableEntry]) -> dict[str | GroupRef, Pause]:
    """Return the pauses by account or group; an unreadable pause counts as one without a reason."""
    paused: dict[str | GroupRef, Pause] = {}
    for field, data in entries.items():
        target = keys.parse_target(field)
        if target is None:
            junk.add(UnreadableEntry(keys.PAUSES, repr(field), "nothing"))
        else:
            paused[target] = _decode_pause(field, data, junk)
    return paused


def decode_resumes(entries: Fields, junk: set[UnreadableEntry]) -> dict[str | GroupRef, int]:
    """Return when each account or group was last resumed, in the server's milliseconds."""
    resumed: dict[str | GroupRef, int] = {}
    for field, data in entries.items():
        target = keys.parse_target(field)
        if target is None or not data.isdigit():
            junk.add(UnreadableEntry(keys.RESUMES, repr(field), "nothing"))
        else:
            resumed[target] = int(data[:20])
    return resumed


def decode_breakers(entries: Fields, now: float, junk: set[UnreadableEntry]) -> dict[str, BreakerNotice]:
    """Return the open breakers, by account. `now` is in Unix seconds."""
    notices: dict[str, BreakerNotice] = {}
    for field, data in entries.items():
        account, notice = keys.parse_target(field), _decode_breaker(data, now)
        if isinstance(account, str) and notice is not None:
            notices[account] = notice
        else:
            junk.add(UnreadableEntry(keys.BREAKERS, repr(field), "closed"))
    return notices


def encode_breaker(notice: BreakerNotice) -> bytes:
    return orjson.dumps(notice)


def decode_count(key: str, data: bytes, junk: set[UnreadableEntry], field: str = "") -> int:
    """Return the count in `data`; 0 for anything else, which is added to `junk`."""
    try:
        count = int(data[:20])
    except ValueError:
        count = -1
    if not 0 <= count <= _MAX_COUNT:
        junk.add(UnreadableEntry(key, field, "0"))
        return 0
    return count


def _decode_pause(field: bytes, data: bytes, junk: set[UnreadableEntry]) -> Pause:
    try:
        pause = _PAUSE.validate_json(data, strict=True)
    except ValidationError:
        junk.add(UnreadableEntry(keys.PAUSES, repr(field), "a pause"))
        return _UNREADABLE
    return Pause(pause.reason, pause.who, pause.since / 1000)


def _decode_breaker(data: bytes, now: float) -> BreakerNotice | None:
    try:
        breaker = _BREAKER.validate_json(data, strict=True)
    except ValidationError:
        return None
    # A breaker cannot be open for days: a longer time is a mistake.
    return BreakerNotice(breaker.until, breaker.failures) if breaker.until <= now + _LONGEST_OPEN_S else None
