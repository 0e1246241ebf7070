"""What the runtime asks of a broker: one log for each partition, read from the start, settled in units."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.settlement import Settlement


class BrokerUnavailable(Exception):
    """The broker did not answer, or refused for a reason that may pass."""


class StaleEpoch(Exception):
    """Another worker owns the partition since, or the log is another one: nothing was changed."""


class Log(Protocol):
    """One partition's commands, as its owner of one epoch sees them: unsettled ones, in order."""

    async def read(self, credit: int) -> Sequence[Entry]:
        """The next messages, `credit` at most; waits a little when there are none.

        Raises `BrokerUnavailable`.
        """

    @property
    def may_have_more(self) -> bool:
        """Whether the last read was full, so that there may be more at once."""

    @property
    def unit_size(self) -> int:
        """How many answers are worth settling at once, where more wait: while it settles, the broker may be
        busy with nothing else, or the worker may wait for it."""

    async def import_messages(self) -> None:
        """Bring in some of what producers publish elsewhere; waits a little when there is none.

        Where there can be none it waits until it is cancelled. Raises `StaleEpoch`, or
        `BrokerUnavailable`, after which nothing is lost, doubled or out of order.
        """

    async def check_position(self) -> None:
        """Raise `StaleEpoch` if messages wait that `read` has passed by: it is not the log that was read, and
        has to be read from its beginning. May raise `BrokerUnavailable`.
        """

    async def settle(self, unit: Settlement, serial: int) -> None:
        """Make the unit durable: all of it or nothing, once however often it is called.

        `serial` grows from unit to unit. Raises `StaleEpoch`, or `BrokerUnavailable`, after which
        the same call may be made again.
        """

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        """What the ledger lacks of a unit that was to be settled under `serial`, if it has lost all that was
        written after `kept` (see `Ledger.read_last_unit`). `published`: settling it was over."""

    async def restore(self, unit: Settlement, serial: int) -> None:
        """Write what a ledger has lost again: a `lost_part`. Raises what `settle` raises."""

    async def close(self) -> None:
        """Read no more, and give back what is not settled: the partition's next owner reads it."""


class Broker(Protocol):
    """Every partition's log. `open` it first, `close` it last."""

    @property
    def is_partitioned_by_handle(self) -> bool:
        """Whether a command must be in the partition of its group's handle, as the wire has it."""

    async def open(self) -> None:
        """Declare what has to be declared, and begin. Raises `BrokerUnavailable`, and is tried again then."""

    async def close(self) -> None:
        """Return when nothing of it is left."""

    def open_log(self, partition: int, epoch: int) -> Log:
        """The partition's log, from its beginning."""

    async def count_waiting(self, partitions: int) -> Mapping[int, int]:
        """How many messages wait in each partition, when there are so many partitions.

        Those in a worker's hands count, until they are settled. Raises `BrokerUnavailable`.
        """
