"""Commands that were published to the wrong partition.

Carried out there, they would come between those of their group in any order, and beside another owner's.
They are refused and not remembered: published to the right partition, the same command is carried out.
"""

from collections.abc import Callable
from functools import lru_cache

from numbergroup.engine.commands import Command, HandleKind, Refusal
from numbergroup.engine.decoding.lenient_decode import elements
from numbergroup_contracts.names import partition_of

PartitionOf = Callable[[Command], int]
"""Where a command belongs."""


def partition_by_handle(partitions: int) -> PartitionOf:
    """By its group's handle, as the wire has it; a command without one belongs wherever it is."""

    def belongs(command: Command) -> int:
        if command.group.kind is HandleKind.OWN:
            return command.origins[0].entry.partition
        return partition_of(command.group.name, partitions)

    return belongs


def refuse_misrouted(command: Command, belongs: int, partitions: int) -> Refusal:
    """The refusal of a command that belongs in another partition."""
    origin, group = command.origins[0], command.group
    entry = origin.entry
    body = _events(entry.body)[origin.index] if entry.is_array else entry.body
    place = f"partition {entry.partition}" if entry.stray is None else f"the queue {entry.stray}"
    message = (
        f"published to {place}, but its group belongs in partition {belongs} of {partitions}: give the "
        "producer the number that NUMBERGROUP_PARTITIONS is, and publish it there"
    )
    return Refusal(
        origin, message, body, command.key, command.type, group.account, kind="misrouted", group=group
    )


@lru_cache(maxsize=1)
def _events(body: bytes) -> list[bytes]:
    """The events of an array as they arrived; its refusals are made one after the other."""
    return elements(body)[0]
