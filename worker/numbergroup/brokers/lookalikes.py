"""Finds streams, lists and queues whose names are probably misspelled names of command queues.

No worker reads them, so commands that are published there wait for ever. Finding them changes nothing.
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

_MIN_RATIO = 0.85
_MAX_PAGES = 100
_PAGE_SIZE = 1_000
_MAX_FOUND = 100
_MISSPELLED_QUEUES = (
    "numbergroup:commands",
    "numbergroup:{0}:commands",
    "numbergroup-commands",
    "numbergroup_commands",
    "numbergroupcommands",
    "numbergroup.command",
    "numbergroup.comands",
    "numbergroup.commads",
    "numbergroup.commnads",
    "numbergroups.commands",
    "numbergruop.commands",
    "number-group.commands",
    "numbergroup.commands.v1",
)
_NO_LETTERS = re.compile("[^a-z]+")
_LENGTH = {"stream": "xlen", "list": "llen"}


@dataclass(slots=True, frozen=True)
class Lookalike:
    """A queue with a similar name. `kind` is `stream`, `list` or `queue`; `count` is the number of messages.

    `intended_name` is the name that was probably meant.
    """

    kind: str
    name: str
    count: int
    intended_name: str

    def __str__(self) -> str:
        holds = "entries" if self.kind == "stream" else "messages"
        waits = f"{self.kind} {self.name}, which holds {self.count:,} {holds}"
        return f"no worker reads the {waits}: was {self.intended_name} meant?"


def is_alike(name: str) -> bool:
    """Whether the name is similar to that of a command stream, list or queue."""
    letters = _NO_LETTERS.sub("", name.lower())
    return SequenceMatcher(None, letters, "numbergroupcommands", autojunk=False).ratio() >= _MIN_RATIO


async def find_on_redis(client: Redis, partitions: int) -> list[Lookalike]:
    """Return the lookalikes on Redis, sorted by name; on a server with very many keys perhaps not all.

    Returns none if the server forbids the search.
    """
    ours = {*map(names.command_stream, range(partitions)), *LISTS}
    try:
        # The server filters by type: most keys are records of settled commands.
        similar = [(kind, name) for kind in _LENGTH for name in await _scan(client, kind, ours)]
        pipe = client.pipeline(transaction=False)
        for kind, name in similar:
            getattr(pipe, _LENGTH[kind])(name)
        counts = await pipe.execute() if similar else []
    except RedisError:
        return []
    return sorted(
        (
            Lookalike(
                kind,
                _text(name),
                count=count,
                intended_name=_intended_name(_text(name), kind == "list", partitions),
            )
            for (kind, name), count in zip(similar, counts, strict=True)
        ),
        key=lambda lookalike: lookalike.name,
    )


async def _scan(client: Redis, kind: str, ours: Collection[str]) -> set[bytes]:
    """Return at most `_MAX_FOUND` names of keys of this type that are similar to ours."""
    similar: set[bytes] = set()
    cursor = 0
    for _ in range(_MAX_PAGES):
        answer: Any = await client.scan(cursor, count=_PAGE_SIZE, _type=kind)
        cursor, page = answer
        similar.update(name for name in page if is_alike(_text(name)) and _text(name) not in ours)
        if not cursor or len(similar) >= _MAX_FOUND:
            break
    return set(sorted(similar)[:_MAX_FOUND])


def _intended_name(name: str, is_list: bool, partitions: int) -> str:
    if is_list and "{" not in name:
        return names.COMMANDS
    digits = re.search("[0-9]+", name)
    number = int(digits[0][:6]) if digits else 0
    if number < partitions or partitions == 1:
        return names.command_stream(min(number, partitions - 1))
    return f"one of {names.command_stream(0)} to {names.command_stream(partitions - 1)}"


def queue_names_to_check(partitions: int) -> Iterator[tuple[str, str]]:
    """Yield misspelled queue names to look for on RabbitMQ, each with the intended name.

    There are few, because RabbitMQ logs an error for each query for a missing queue.
    """
    for misspelled in _MISSPELLED_QUEUES:
        yield misspelled, names.command_queue(0, partitions)


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
