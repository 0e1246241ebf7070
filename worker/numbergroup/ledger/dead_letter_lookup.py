"""Looks up which groups have dead letters, and what later commands decided for replayed commands.

The queries travel in the same pipeline as all other queries of a look-up.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from numbergroup.engine.commands import WHOLE_GROUP_KINDS, Command, GroupRef, HandleKind
from numbergroup.engine.replays import LATEST, LaterWrites
from numbergroup.ledger import keys
from numbergroup.observability.logging import get_logger

# At most as many digits as Lua counts exactly.
_DECIDED = re.compile(rb"([+-]?)([0-9]{1,15})")

log = get_logger("ledger")


def add_queries(pipe: Any, commands: Sequence[Command], replayed: Sequence[Command]) -> Sequence[GroupRef]:
    """Add the queries to the pipeline, and return the groups that they ask about.

    `replayed`: those of the commands that are replayed dead letters.
    """
    groups = [ref for ref in dict.fromkeys(c.group for c in commands) if ref.kind is not HandleKind.OWN]
    if groups:
        pipe.hmget(keys.DEAD_LETTER_GROUPS, [keys.group_field(ref) for ref in groups])
    for ref, numbers in _numbers_to_query(replayed).items():
        key = keys.since(keys.group_field(ref))
        if numbers is None:
            pipe.hgetall(key)
        else:
            pipe.hmget(key, [keys.ALL_NUMBERS, *numbers])
    return groups


def raise_errors(answers: list[Any], replayed: Sequence[Command]) -> list[Any]:
    """Return all answers of a look-up; raise the first error among them.

    Errors about the later writes of a single group are not raised, for they must not block all other groups.
    The second answer is the first to a query of `add_queries`.
    """
    of_single_groups = range(2, 2 + len(_numbers_to_query(replayed)))
    for index, answer in enumerate(answers):
        if isinstance(answer, Exception) and not (
            index in of_single_groups and isinstance(answer, ResponseError)
        ):
            raise answer
    return answers


def pop_answers(
    answers: list[Any], groups: Sequence[GroupRef], replayed: Sequence[Command]
) -> tuple[frozenset[GroupRef], dict[GroupRef, LaterWrites]]:
    """Remove the answers to `add_queries` from the front of `answers`, and return them decoded.

    Returns the groups that have dead letters, and the later writes by group.
    """
    if not groups:
        return frozenset(), {}
    counts = answers.pop(0)
    with_dead_letters = frozenset(ref for ref, count in zip(groups, counts, strict=True) if count is not None)
    since: dict[GroupRef, LaterWrites] = {}
    for ref, numbers in _numbers_to_query(replayed).items():
        answer = answers.pop(0)
        if isinstance(answer, ResponseError):
            # Counts as a later write of all numbers, so that a replay undoes nothing newer.
            log.error("what was decided of a group cannot be read", account=ref.account, error=str(answer))
            since[ref] = LaterWrites(LATEST)
            continue
        if numbers is not None:
            names = (name.encode(errors="replace") for name in [keys.ALL_NUMBERS, *numbers])
            answer = dict(zip(names, answer, strict=True))
        since[ref] = decode_later_writes(keys.since(keys.group_field(ref)), answer)
    return with_dead_letters, since


def _numbers_to_query(replayed: Sequence[Command]) -> dict[GroupRef, list[str] | None]:
    """Return, by group, the numbers to query; `None`: all numbers."""
    wanted: dict[GroupRef, list[str] | None] = {}
    for command in replayed:
        ref = command.group
        if ref.kind is HandleKind.OWN:
            continue
        numbers = wanted.setdefault(ref, [])
        if command.kind in WHOLE_GROUP_KINDS or numbers is None:
            wanted[ref] = None
        else:
            numbers += command.targets
    return wanted


def decode_later_writes(key: str, decisions: Mapping[bytes, bytes | None]) -> LaterWrites:
    """Return the later writes of a group. Unreadable entries are skipped."""
    since = LaterWrites()
    for field, data in decisions.items():
        if data is None:
            continue
        decision = _DECIDED.fullmatch(data)
        if decision is None:
            log.error("what was decided of a number cannot be read", key=key, bytes=len(data))
        elif field == keys.ALL_NUMBERS.encode():
            since.add(int(decision[2]), ())
        else:
            since.add(-1, [(field.decode(errors="replace"), decision[1] == b"+", int(decision[2]))])
    return since
