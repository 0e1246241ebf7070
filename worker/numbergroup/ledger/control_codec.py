"""How pauses and breakers are written in the ledger: JSON objects, for people to read and to write, too.

Reading raises nothing, whatever is there: what cannot be read is noted as junk.
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

Found = Mapping[bytes, bytes]

_LONGEST_OPEN_S = 86_400.0
_MOST = 2**53
_UNREADABLE = Pause("its entry cannot be read", "", 0.0)


class UnreadableEntry(NamedTuple):
    """What is not what it should be, and what it is taken for."""

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
    """The answers by key, with None for those that tell of a key of another kind: they cost nobody the
    others. Raises what else was answered in place of a value."""
    for key, answer in answers.items():
        if isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE"):
            junk.add(UnreadableEntry(key, "", "nothing"))
            answers[key] = None
        elif isinstance(answer, Exception):
            raise answer
    return answers


def decode_pauses(found: Found, junk: set[UnreadableEntry]) -> dict[str | GroupRef, Pause]:
    """What is paused. It is so also where nothing can be read but that."""
    paused: dict[str | GroupRef, Pause] = {}
    for field, data in found.items():
        target = keys.target(field)
        if target is None:
            junk.add(UnreadableEntry(keys.PAUSES, repr(field), "nothing"))
        else:
            paused[target] = _pause(field, data, junk)
    return paused


def decode_resumes(found: Found, junk: set[UnreadableEntry]) -> dict[str | GroupRef, int]:
    """When each was resumed, in milliseconds."""
    resumed: dict[str | GroupRef, int] = {}
    for field, data in found.items():
        target = keys.target(field)
        if target is None or not data.isdigit():
            junk.add(UnreadableEntry(keys.RESUMES, repr(field), "nothing"))
        else:
            resumed[target] = int(data[:20])
    return resumed


def decode_breakers(found: Found, now: float, junk: set[UnreadableEntry]) -> dict[str, BreakerNotice]:
    """Which breakers are open; `now` in Unix seconds."""
    notices: dict[str, BreakerNotice] = {}
    for field, data in found.items():
        account, notice = keys.target(field), _breaker(data, now)
        if isinstance(account, str) and notice is not None:
            notices[account] = notice
        else:
            junk.add(UnreadableEntry(keys.BREAKERS, repr(field), "closed"))
    return notices


def encode_breaker(notice: BreakerNotice) -> bytes:
    return orjson.dumps(notice)


def decode_count(key: str, data: bytes, junk: set[UnreadableEntry], field: str = "") -> int:
    """A number of things; 0 for what is none."""
    try:
        count = int(data[:20])
    except ValueError:
        count = -1
    if not 0 <= count <= _MOST:
        junk.add(UnreadableEntry(key, field, "0"))
        return 0
    return count


def _pause(field: bytes, data: bytes, junk: set[UnreadableEntry]) -> Pause:
    try:
        said = _PAUSE.validate_json(data, strict=True)
    except ValidationError:
        junk.add(UnreadableEntry(keys.PAUSES, repr(field), "a pause"))
        return _UNREADABLE
    return Pause(said.reason, said.who, said.since / 1000)


def _breaker(data: bytes, now: float) -> BreakerNotice | None:
    try:
        said = _BREAKER.validate_json(data, strict=True)
    except ValidationError:
        return None
    # Nobody can mean that an account is not to be tried for days.
    return BreakerNotice(said.until, said.failures) if said.until <= now + _LONGEST_OPEN_S else None
