"""What happens in every case of a sweep, step by step, and the points that are reached on the way."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count

from chaos_launcher import HALF_WRITTEN, SCRIPT_SENT
from e2e_commands import Event, Script

from numbergroup_contracts.commands import LIST
from numbergroup_contracts.names import partition_of

PARTITIONS = 2
START, CREATES, UPDATES, REFUSED, LISTED = "start", "creates", "updates", "refused", "kombu list"
SHARING, SHARED, BUSY, STOPPING = "sharing", "shared", "busy", "stopping"

_Where = dict[str, tuple[str, str]]

_RUNTIME: _Where = {
    "partition acquired": (START, START),
    "messages in hand": (CREATES, BUSY),
    "commands looked up": (CREATES, BUSY),
    "intent recorded": (CREATES, CREATES),
    "call recorded": (UPDATES, BUSY),
    "about to send": (CREATES, BUSY),
    HALF_WRITTEN: (CREATES, BUSY),
    "answer begun": (CREATES, STOPPING),
    "call finished": (CREATES, STOPPING),
    "settling": (CREATES, STOPPING),
    SCRIPT_SENT: (CREATES, STOPPING),
    "settled": (CREATES, STOPPING),
    "settling dead letters": (REFUSED, REFUSED),
    "dead letters settled": (REFUSED, REFUSED),
    "releasing the lease": (SHARING, STOPPING),
    "lease released": (SHARING, STOPPING),
    "stopping": (STOPPING, STOPPING),
    "worker unregistered": (STOPPING, STOPPING),
}
_REDIS: _Where = {
    "moving from a list": (LISTED, LISTED),
    "moved from a list": (LISTED, LISTED),
}
_RABBITMQ: _Where = {
    "settled in the ledger": (CREATES, STOPPING),
    "results confirmed": (CREATES, STOPPING),
    "part of a message marked": (REFUSED, REFUSED),
    "acknowledging": (CREATES, STOPPING),
    "acknowledged": (CREATES, STOPPING),
}
POINTS = {"redis": _RUNTIME | _REDIS, "amqp": _RUNTIME | _RABBITMQ}
"""On each broker: the first and the last step in which the worker reaches the point."""


def _named(prefix: str, partition: int) -> str:
    """A name that the partition's groups may have."""
    return next(name for n in count() if partition_of(name := f"{prefix}{n}", PARTITIONS) == partition)


SLOW = [_named("slow", partition) for partition in range(PARTITIONS)]
TARDY = _named("tardy", 0)
LATENCY_MS = {TARDY: 100} | dict.fromkeys(SLOW, 1_000)
"""How long the vendor takes for the calls of some groups."""
REFUSED_NUMBER = "85299999999"


@dataclass(frozen=True)
class Step:
    """`arrays`: commands that travel in arrays; `lone`: one by one, after them; `listed`: from kombu."""

    name: str
    arrays: Sequence[Event] = ()
    lone: Sequence[Event] = ()
    listed: Sequence[Sequence[Event]] = ()

    @property
    def events(self) -> list[Event]:
        return [*self.arrays, *self.lone, *(event for message in self.listed for event in message)]


@dataclass
class Scenario:
    """The steps on one broker, and the groups that they make; `after` are commands for later."""

    broker: str
    script: Script = field(default_factory=Script)
    steps: list[Step] = field(init=False)
    after: Step = field(init=False)
    groups: dict[str, set[str]] = field(init=False)
    rejected: str = field(init=False)
    lists: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.steps = list(self._steps())
        self.groups = deepcopy(self.script.groups)
        self.after = Step("after", lone=self._updates(12, [*self._keys, *self._ids, *SLOW]))

    @property
    def groups_after(self) -> dict[str, set[str]]:
        """The groups when the commands of `after` were applied, too."""
        return self.script.groups

    def _steps(self) -> Iterator[Step]:
        partitions = range(PARTITIONS)
        self._keys = [_named("key", partition) for partition in partitions]
        self._ids = [_named(f"id{letter}-", partition) for letter in "abc" for partition in partitions]
        names = [*self._keys, *self._ids]
        yield Step(START)
        yield Step(CREATES, lone=[self.script.create(name) for name in self._keys])
        yield Step(UPDATES, arrays=self._updates(30, names), lone=[*self._updates(6, names), self._list()])
        yield Step(REFUSED, arrays=list(self._one_refused()))
        if self.broker == "redis":
            apart = [_named("listed", partition) for partition in partitions]
            message = self._updates(8, apart)
            yield Step(LISTED, listed=[message, *([event] for event in self._updates(2, apart))])
        yield Step(SHARING)
        yield Step(SHARED, arrays=self._updates(10, self._ids), lone=self._updates(4, names))
        yield Step(BUSY, lone=[self.script.update(name, "add", self.script.pool(name)[:3]) for name in SLOW])
        yield Step(STOPPING)

    def _updates(self, many: int, names: Sequence[str]) -> list[Event]:
        """For each of the groups at least one."""
        some = [self.script.update(name, "add", self.script.pool(name)[5:8]) for name in names]
        return some + self.script.some_updates(max(0, many - len(some)), names)

    def _list(self) -> Event:
        event = {"specversion": "1.0", "id": "list", "source": "e2e", "type": LIST, "data": {}}
        self.lists.add("list")
        return event

    def _one_refused(self) -> Iterator[Event]:
        """A message whose first command is settled before the vendor has refused another one of it."""
        quick = self._ids[0]
        yield self.script.update(quick, "add", self.script.pool(quick)[:3])
        yield self.script.update(TARDY, "add", self.script.pool(TARDY)[:2])
        refused = self.script.refused(TARDY, [REFUSED_NUMBER])
        self.rejected = refused["id"]
        yield refused
        yield self.script.update(TARDY, "delete", self.script.pool(TARDY)[1:2])
