"""Which groups have letters, and what was decided since of those whose commands are tried again.

It is asked for with everything else that is looked up.
"""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from numbergroup.engine.commands import ALL_NUMBERS, Command, GroupRef, HandleKind
from numbergroup.engine.replays import LATEST, LaterWrites
from numbergroup.ledger import keys
from numbergroup.ledger.codec import decode_since
from numbergroup.observability.logging import get_logger

log = get_logger("ledger")


def ask(pipe: Any, commands: Sequence[Command], again: Sequence[Command]) -> Sequence[GroupRef]:
    """Put the questions into the pipeline; the groups that it asks for. `again`: the commands among them that
    are tried again."""
    groups = [ref for ref in dict.fromkeys(c.group for c in commands) if ref.kind is not HandleKind.OWN]
    if groups:
        pipe.hmget(keys.LETTERED, [keys.field(ref) for ref in groups])
    for ref, numbers in _wanted(again).items():
        key = keys.since(keys.field(ref))
        if numbers is None:
            pipe.hgetall(key)
        else:
            pipe.hmget(key, [keys.EVERYTHING, *numbers])
    return groups


def sound(answers: list[Any], again: Sequence[Command]) -> list[Any]:
    """All answers of a look-up, of which the second and those after it are to `ask`. Raises what was answered
    in place of a value, but for what was decided of one group: that must not hold up all others."""
    spared = range(2, 2 + len(_wanted(again)))
    for place, answer in enumerate(answers):
        if isinstance(answer, Exception) and not (place in spared and isinstance(answer, ResponseError)):
            raise answer
    return answers


def take(
    answers: list[Any], groups: Sequence[GroupRef], again: Sequence[Command]
) -> tuple[frozenset[GroupRef], dict[GroupRef, LaterWrites]]:
    """Take the answers to what was asked from the head of all answers."""
    if not groups:
        return frozenset(), {}
    counts = answers.pop(0)
    lettered = frozenset(ref for ref, count in zip(groups, counts, strict=True) if count is not None)
    since: dict[GroupRef, LaterWrites] = {}
    for ref, numbers in _wanted(again).items():
        found = answers.pop(0)
        if isinstance(found, ResponseError):
            # As if all of it had been decided: nothing newer is undone.
            log.error("what was decided of a group cannot be read", account=ref.account, error=str(found))
            since[ref] = LaterWrites(LATEST)
            continue
        if numbers is not None:
            names = (name.encode(errors="replace") for name in [keys.EVERYTHING, *numbers])
            found = dict(zip(names, found, strict=True))
        since[ref] = decode_since(keys.since(keys.field(ref)), found)
    return lettered, since


def _wanted(again: Sequence[Command]) -> dict[GroupRef, list[str] | None]:
    """By group, the numbers whose fate is asked for; `None`: of all."""
    wanted: dict[GroupRef, list[str] | None] = {}
    for command in again:
        ref = command.group
        if ref.kind is HandleKind.OWN:
            continue
        numbers = wanted.setdefault(ref, [])
        if command.kind in ALL_NUMBERS or numbers is None:
            wanted[ref] = None
        else:
            numbers += command.decides
    return wanted
