"""Refuses commands that were published to the wrong partition.

Carried out there, they would mix in any order with their group's commands, which another worker may own. A
refused command is not remembered: published again to the right partition, it is carried out.
"""

from collections.abc import Callable
from functools import lru_cache

from numbergroup.engine.commands import Command, HandleKind
from numbergroup.engine.decoding.json_scanner import split_array
from numbergroup.engine.verdicts import Refusal
from numbergroup_contracts.names import partition_of

PartitionOf = Callable[[Command], int]
"""Returns the partition of a command's group."""


def partition_by_handle(partitions: int) -> PartitionOf:
    """Return a function that finds a command's partition by its group's handle.

    A command without a handle belongs in the partition that it was published to.
    """

    def find_partition(command: Command) -> int:
        if command.group.kind is HandleKind.OWN:
            return command.origins[0].entry.partition
        return partition_of(command.group.name, partitions)

    return find_partition


def refuse_misrouted(command: Command, right_partition: int, partitions: int) -> Refusal:
    """Return the refusal of a command that belongs in `right_partition`, one of `partitions`."""
    origin, group = command.origins[0], command.group
    entry = origin.entry
    body = _events(entry.body)[origin.index] if entry.is_array else entry.body
    place = f"partition {entry.partition}" if entry.stray_queue is None else f"the queue {entry.stray_queue}"
    message = (
        f"published to {place}, but its group belongs in partition {right_partition} of {partitions}: give "
        "the producer the number that NUMBERGROUP_PARTITIONS is, and publish it there"
    )
    return Refusal(
        origin, message, body, command.key, command.type, group.account, kind="misrouted", group=group
    )


@lru_cache(maxsize=1)
def _events(body: bytes) -> list[bytes]:
    """Return the events of an array as they were received. Cached, as each refusal of an array needs one."""
    return split_array(body)[0]
