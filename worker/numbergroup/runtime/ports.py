"""The adapters and values that a worker is built with."""

from dataclasses import dataclass, field

from numbergroup.brokers.port import Broker
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.partition.poison_detection import CrashPolicy
from numbergroup.engine.settling.settlement import SettlementBuilder
from numbergroup.ledger.port import ControlStore, Ledger
from numbergroup.ledger.reports import Reports
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.dead_letter_cap import DeadLetterCap
from numbergroup.runtime.routing import PartitionOf


def most_in_memory(max_pending: int, accounts: int) -> int:
    """Return how many commands of a partition may be in memory at most.

    With several accounts, commands of an account that is down have additional room.
    """
    return max_pending if accounts == 1 else max_pending * (1 + accounts)


@dataclass(slots=True, frozen=True)
class Ports:
    """Holds what a worker is built with.

    `accounts` is the number of accounts. Without `partition_of`, the partition of a command is not checked.
    Without `reports`, the worker writes no reports for `numbergroup status`.
    """

    broker: Broker
    ledger: Ledger
    control_store: ControlStore
    intake: Intake
    builder: SettlementBuilder
    clock: Clock
    owner: str
    lease_ttl_s: float
    max_pending: int
    caution: CrashPolicy = field(default_factory=CrashPolicy)
    partitions: int = 1
    accounts: int = 1
    partition_of: PartitionOf | None = None
    dead_letter_cap: DeadLetterCap = field(default_factory=DeadLetterCap)
    reports: Reports | None = None
    version: str = ""
    call_lasts_s: float = 61.0
    """How many seconds after a worker's crash one of its calls may still take effect."""

    @property
    def most_in_memory(self) -> int:
        return most_in_memory(self.max_pending, self.accounts)
