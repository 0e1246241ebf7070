"""Stock kombu, as producers and consumers of results use it on either broker."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e_processes import eventually
from e2e_rabbit import RabbitStage
from e2e_stage import Stage
from kombu import Connection, Consumer, Message, Producer, Queue

from numbergroup_contracts.results import RESULT_ADAPTER, ResultEvent


class Inbox:
    """A consumer of replies, and what it has received: by the command's id."""

    def __init__(self) -> None:
        self.of: defaultdict[str, list[ResultEvent]] = defaultdict(list)
        self.correlation: dict[str, str | None] = {}
        self.in_arrays: set[str] = set()

    def on_message(self, body: Any, message: Message) -> None:
        found = RESULT_ADAPTER.validate_python(body)
        for result in found if isinstance(found, list) else [found]:
            name = result.data.command.id
            self.of[name].append(result)
            self.correlation[name] = message.properties.get("correlation_id")
            if isinstance(found, list):
                self.in_arrays.add(name)
        message.ack()

    @property
    def count(self) -> int:
        return sum(map(len, self.of.values()))

    def status(self, name: str) -> str:
        (result,) = self.of[name]
        return result.data.status.value


@contextmanager
def publishing(stage: Stage) -> Iterator[Producer]:
    """As the documentation has it: what RabbitMQ has not confirmed may be lost."""
    confirmed = {"confirm_publish": True} if isinstance(stage, RabbitStage) else {}
    with Connection(stage.settings["BROKER_URL"], transport_options=confirmed) as connection:
        yield Producer(connection)


def receive(stage: Stage, inbox: Inbox, count: int, queue: str) -> None:
    """Take what comes to the queue until the inbox has so many results: no fewer, and no more."""
    with (
        Connection(stage.settings["BROKER_URL"]) as connection,
        Consumer(connection, [Queue(queue)], callbacks=[inbox.on_message], accept=["json"]),
    ):

        def enough() -> bool:
            with contextlib.suppress(TimeoutError):
                while inbox.count < count:
                    connection.drain_events(timeout=1)
            return inbox.count >= count

        eventually(enough, f"{count} results in {queue}")
    assert inbox.count == count
