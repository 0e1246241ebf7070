"""The stage with its commands in several partitions, which workers share."""

from collections import Counter
from collections.abc import Iterable, Sequence

from e2e_commands import Event
from e2e_processes import eventually
from e2e_rabbit import RabbitStage
from e2e_stage import Stage, Worker

from numbergroup_contracts import publish
from numbergroup_contracts.names import command_queue, command_stream


class Partitioned:
    """`limit`: how many calls a second, over all workers."""

    def __init__(self, stage: Stage, partitions: int, limit: int) -> None:
        self._stage = stage
        self._partitions = partitions
        self._limit = limit
        self.settings = {"PARTITIONS": str(partitions), "LEASE_TTL_S": "2"}
        self.vendor, self.redis = stage.vendor, stage.redis

    def worker(self, **account: str) -> Worker:
        return self._stage.worker(self.settings, **({"CALLS_PER_SECOND": str(self._limit)} | account))

    def publish(self, events: Sequence[Event]) -> None:
        """Each to its group's partition, in order."""
        for event in events:
            self._stage.numbers.update(event["data"]["phones"])
        url = self._stage.settings["BROKER_URL"]
        assert publish(events, url, partitions=self._partitions) == len(events)

    def backlog(self) -> int:
        if isinstance(self._stage, RabbitStage):
            queues = [command_queue(number, self._partitions) for number in range(self._partitions)]
            return sum(self._stage.rabbit.messages(self._stage.vhost, queue) for queue in queues)
        return sum(self.redis.client.xlen(command_stream(number)) for number in range(self._partitions))

    def shares(self) -> list[int]:
        """How many partitions each owner has, most first."""
        names = [f"numbergroup:{{{number}}}:lease" for number in range(self._partitions)]
        owners = Counter(owner for owner in self.redis.client.mget(names) if owner)
        return sorted(owners.values(), reverse=True)

    def shared(self, shares: Iterable[int], within_s: float = 10.0) -> None:
        wanted = list(shares)
        eventually(lambda: self.shares() == wanted, f"partitions shared as {wanted}", within_s)
