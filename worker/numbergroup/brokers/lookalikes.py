"""Finds streams, lists and queues beside ours, under a name that was probably meant to be ours.

What is published there waits unseen, for no worker reads it. Looking changes nothing.
"""

import re
from collections.abc import Collection, Iterator
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
_QUEUES = (
    *("numbergroup:commands", "numbergroup:{0}:commands"),
    *("numbergroup-commands", "numbergroup_commands", "numbergroupcommands"),
    *("numbergroup.command", "numbergroup.comands", "numbergroup.commads", "numbergroup.commnads"),
    *("numbergroups.commands", "numbergruop.commands", "number-group.commands", "numbergroup.commands.v1"),
)
_LETTERS = re.compile("[^a-z]+")
_LENGTH = {"stream": "xlen", "list": "llen"}


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
    ours = {*map(names.command_stream, range(partitions)), *LISTS}
    try:
        # The server leaves out all that is neither: by far the most keys are records of what is settled.
        found = [(kind, name) for kind in _LENGTH for name in await _scanned(client, kind, ours)]
        pipe = client.pipeline(transaction=False)
        for kind, name in found:
            getattr(pipe, _LENGTH[kind])(name)
        counts = await pipe.execute() if found else []
    except RedisError:
        return []
    return sorted(
        (
            Lookalike(kind, _text(name), count, _meant(_text(name), kind == "list", partitions))
            for (kind, name), count in zip(found, counts, strict=True)
        ),
        key=lambda one: one.name,
    )


async def _scanned(client: Redis, kind: str, ours: Collection[str]) -> set[bytes]:
    """Names of that kind that are nearly ours: at most `_MOST`."""
    found: set[bytes] = set()
    cursor = 0
    for _ in range(_ROUNDS):
        answer: Any = await client.scan(cursor, count=_COUNT, _type=kind)
        cursor, page = answer
        found.update(name for name in page if is_alike(_text(name)) and _text(name) not in ours)
        if not cursor or len(found) >= _MOST:
            break
    return set(sorted(found)[:_MOST])


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

    Few: RabbitMQ logs an error for each question about a queue that is not there.
    """
    for wrong in _QUEUES:
        yield wrong, names.command_queue(0, partitions)


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
