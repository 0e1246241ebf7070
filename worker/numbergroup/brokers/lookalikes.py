"""Finds streams, lists and queues beside ours, under a name that was probably meant to be ours.

What is published there waits unseen, for no worker reads it. Looking changes nothing.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from numbergroup.brokers.redis.kombu_lists import LISTS
from numbergroup_contracts import names

_ALIKE = 0.85
_ROUNDS = 100
_COUNT = 1_000
_MOST = 100
# Every name that is alike has most of these letters; the server leaves out the rest.
_PATTERN = "*[cC]*[oO]*[mM]*[aA]*[nN]*[dD]*"
_LETTERS = re.compile("[^a-z]+")
_LENGTH = {b"stream": "xlen", b"list": "llen"}


@dataclass(slots=True, frozen=True)
class Lookalike:
    """`kind`: `stream`, `list` or `queue`. `count`: how much waits in it. `meant`: the name of ours."""

    kind: str
    name: str
    count: int
    intended_name: str

    def __str__(self) -> str:
        holds = "entries" if self.kind == "stream" else "messages"
        waits = f"{self.kind} {self.name}, which holds {self.count:,} {holds}"
        return f"no worker reads the {waits}: was {self.intended_name} meant?"


def is_alike(name: str) -> bool:
    """Whether the name is that of a command stream, list or queue, but for a mistake."""
    letters = _LETTERS.sub("", name.lower())
    return SequenceMatcher(None, letters, "numbergroupcommands", autojunk=False).ratio() >= _ALIKE


async def find_on_redis(client: Redis, partitions: int) -> list[Lookalike]:
    """Those on Redis, by their names; on a server with very many keys maybe not all.

    A server that does not let us look has none.
    """
    try:
        found = [name async for name in _scanned(client)]
        pipe = client.pipeline(transaction=False)
        for name in found:
            pipe.type(name)
        kinds = dict(zip(found, await pipe.execute(), strict=True)) if found else {}
        strange = {name: kind for name, kind in kinds.items() if _is_strange(name, kind, partitions)}
        for name, kind in strange.items():
            getattr(pipe, _LENGTH[kind])(name)
        counts = await pipe.execute() if strange else []
    except RedisError:
        return []
    return sorted(
        (
            Lookalike(kind.decode(), _text(name), count, _meant(_text(name), kind == b"list", partitions))
            for (name, kind), count in zip(strange.items(), counts, strict=True)
        ),
        key=lambda one: one.name,
    )


async def _scanned(client: Redis) -> AsyncIterator[bytes]:
    cursor, found = 0, 0
    for _ in range(_ROUNDS):
        answer: Any = await client.scan(cursor, match=_PATTERN, count=_COUNT)
        cursor, page = answer
        for name in page:
            if is_alike(_text(name)) and found < _MOST:
                found += 1
                yield name
        if not cursor:
            return


def _is_strange(name: bytes, kind: bytes, partitions: int) -> bool:
    if kind not in _LENGTH:
        return False
    ours = {names.command_stream(number) for number in range(partitions)} if kind == b"stream" else LISTS
    return _text(name) not in ours


def _meant(name: str, is_list: bool, partitions: int) -> str:
    if is_list and "{" not in name:
        return names.COMMANDS
    digits = re.search("[0-9]+", name)
    number = int(digits[0][:6]) if digits else 0
    if number < partitions or partitions == 1:
        return names.command_stream(min(number, partitions - 1))
    return f"one of {names.command_stream(0)} to {names.command_stream(partitions - 1)}"


def queue_names_to_check(partitions: int) -> Iterator[tuple[str, str]]:
    """Names of queues that RabbitMQ can be asked about one by one, and what was meant by each.

    Few: RabbitMQ logs each question about a queue that is not there.
    """
    for wrong in ("numbergroup:commands", "numbergroup:{0}:commands", "numbergroup.command"):
        yield wrong, names.command_queue(0, partitions)


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
