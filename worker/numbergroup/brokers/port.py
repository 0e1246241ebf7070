"""The interfaces of a broker, which the runtime uses.

A broker has one log of commands for each partition. A log is read from its beginning and settled in units.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.errors import OwnershipLost, ServerError


class BrokerUnavailable(ServerError):
    """The broker does not answer, or refuses for a reason that may pass."""


class StaleEpoch(OwnershipLost):
    """The partition has another owner, or its log was replaced. Nothing was changed."""


class Log(Protocol):
    """One partition's unsettled commands, in order, for its owner of one epoch."""

    async def read(self, credit: int) -> Sequence[Entry]:
        """Return the next messages, at most `credit`; wait a little if there are none.

        Raises `BrokerUnavailable`.
        """

    @property
    def may_have_more(self) -> bool:
        """Whether the last read was full, so that the next one probably finds messages at once."""

    @property
    def unit_size(self) -> int:
        """How many answers to settle at once while more of them wait.

        Larger units keep the worker waiting, or keep the broker from serving other clients.
        """

    async def import_messages(self) -> None:
        """Move some messages that were published elsewhere into the log; wait a little if there are none.

        Waits until it is cancelled if messages cannot be published elsewhere. Raises `StaleEpoch` or
        `BrokerUnavailable`; then no message is lost, doubled or out of order.
        """

    async def check_position(self) -> None:
        """Raise `StaleEpoch` if `read` skipped messages, so that the log must be read from its start.

        That happens when the log was replaced. May raise `BrokerUnavailable`.
        """

    async def settle(self, unit: Settlement, serial: int) -> None:
        """Store the unit completely or not at all; a repeated call stores it once.

        `serial` grows from unit to unit. Raises `StaleEpoch`, or `BrokerUnavailable`, after which the same
        call may be repeated.
        """

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        """Return what the ledger lacks of a unit if it lost all units with a serial above `kept`.

        `serial` is the unit's own; `kept` is from `Ledger.read_last_unit`. `published`: `settle` returned for
        this unit. `None`: the ledger lacks nothing.
        """

    async def restore(self, unit: Settlement, serial: int) -> None:
        """Write again what the ledger has lost, as `find_lost_part` returned it. Raises like `settle`."""

    async def close(self) -> None:
        """Stop reading, and return unsettled messages to the broker for the partition's next owner."""


class Broker(Protocol):
    """The logs of all partitions. Call `open` first and `close` last."""

    @property
    def is_partitioned_by_handle(self) -> bool:
        """Whether each command must be in the partition of its group's handle."""

    async def open(self) -> None:
        """Connect, and declare queues where the broker needs it.

        Raises `BrokerUnavailable`; then it may be called again.
        """

    async def close(self) -> None:
        """Close all connections and end all threads before it returns."""

    def open_log(self, partition: int, epoch: int) -> Log:
        """Return the partition's log, positioned at its beginning, for the owner of this epoch."""

    async def count_waiting(self, partitions: int) -> Mapping[int, int]:
        """Return how many unsettled messages each of the `partitions` has, including those in workers' hands.

        Raises `BrokerUnavailable`.
        """
