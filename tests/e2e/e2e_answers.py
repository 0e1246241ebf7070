"""What came back: results and dead letters, every one of them held to the contract."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from numbergroup_contracts.dead_letters import DeadLetter
from numbergroup_contracts.results import RESULT_ADAPTER, ResultEvent

DEAD_LETTERS = "numbergroup:{0}:dead-letters"
REPLIES = "numbergroup:replies"


def _never() -> bool:
    return False


class Answers:
    """All results so far, by the command's id, and whether they came in arrays.

    `may_repeat`: whether something has crashed after which the broker may repeat a result.
    """

    def __init__(self, client: Any, queue: str = REPLIES, may_repeat: Callable[[], bool] = _never) -> None:
        self._client = client
        self.queue = queue
        self._may_repeat = may_repeat
        self._cursor = "0-0"
        self.of: defaultdict[str, list[ResultEvent]] = defaultdict(list)
        self.alone: set[str] = set()
        self.in_arrays: set[str] = set()

    @property
    def count(self) -> int:
        """How many results there are; reads what is new. What a crash has repeated counts once."""
        while bodies := self._fresh():
            for body in bodies:
                self._take(RESULT_ADAPTER.validate_json(body))
        return sum(map(len, self.of.values()))

    def _fresh(self) -> Sequence[bytes]:
        """The next messages, if there are any."""
        rows = self._client.xrange(self.queue, f"({self._cursor}", "+", count=1000)
        if rows:
            self._cursor = rows[-1][0].decode()
        assert all(set(fields) == {b"event"} for _, fields in rows)
        return [fields[b"event"] for _, fields in rows]

    def _take(self, body: ResultEvent | list[ResultEvent]) -> None:
        several = isinstance(body, list)
        for result in body if isinstance(body, list) else [body]:
            name = result.data.command.id
            if self._may_repeat() and result in self.of[name]:
                continue
            self.of[name].append(result)
            (self.in_arrays if several else self.alone).add(name)

    def one(self, name: str) -> ResultEvent:
        """The only result of the command."""
        (result,) = self.of[name]
        return result

    def statuses(self) -> dict[str, str]:
        """Each command's status by now; fails when a command has more than one result."""
        assert self.count == len(self.of)
        return {name: self.one(name).data.status.value for name in self.of}


def letters(client: Any) -> list[tuple[DeadLetter, bytes]]:
    """The dead letters in order, each with the bytes that are kept."""
    found = []
    for _, fields in client.xrange(DEAD_LETTERS):
        assert fields[b"id"].decode() == json.loads(fields[b"letter"])["id"]
        found.append((DeadLetter.model_validate_json(fields[b"letter"]), fields[b"body"]))
    return found
