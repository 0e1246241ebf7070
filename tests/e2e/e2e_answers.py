"""What came back: results and dead letters, every one of them held to the contract."""

import json
from collections import defaultdict
from typing import Any

from e2e_stage import DEAD_LETTERS, REPLIES

from contracts.dead_letters import DeadLetter
from contracts.results import RESULT_ADAPTER, ResultEvent


class Answers:
    """All results so far, by the command's id, and whether they came in arrays."""

    def __init__(self, client: Any, queue: str = REPLIES) -> None:
        self._client = client
        self._queue = queue
        self._cursor = "0-0"
        self.of: defaultdict[str, list[ResultEvent]] = defaultdict(list)
        self.alone: set[str] = set()
        self.in_arrays: set[str] = set()

    @property
    def count(self) -> int:
        """How many results there are, repeats included; reads what is new."""
        while rows := self._client.xrange(self._queue, f"({self._cursor}", "+", count=1000):
            self._cursor = rows[-1][0].decode()
            for _, fields in rows:
                assert set(fields) == {b"event"}
                self._take(RESULT_ADAPTER.validate_json(fields[b"event"]))
        return sum(map(len, self.of.values()))

    def _take(self, body: ResultEvent | list[ResultEvent]) -> None:
        several = isinstance(body, list)
        for result in body if isinstance(body, list) else [body]:
            name = result.data.command.id
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
