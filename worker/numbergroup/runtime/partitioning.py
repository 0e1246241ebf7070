"""Makes all workers use the same number of partitions, and changes it only while all partitions are empty."""

from collections.abc import Mapping
from functools import partial

from numbergroup.brokers.port import Broker
from numbergroup.ledger.port import Ledger
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.settings import MAX_PARTITIONS, SettingsError

_SETTING = "NUMBERGROUP_PARTITIONS"
_MAX_LISTED = 10

log = get_logger("partitioning")


async def agree_on_partitions(ledger: Ledger, broker: Broker, wanted: int) -> None:
    """Return when the number in force is `wanted`, which is changed if need be.

    With another number a group's next command goes to another partition. So all partitions must be empty and
    without an owner when it changes. Raises `SettingsError` if they are not.
    """
    in_force = await retry_until_available("reading the number of partitions", ledger.read_partition_count)
    while in_force != wanted:
        waiting = await retry_until_available(
            "counting the commands that wait", partial(_count_blocking, broker, in_force, wanted)
        )
        if waiting:
            raise SettingsError(_describe_backlog(waiting, in_force, wanted))
        worker_count = await retry_until_available(
            "changing the number of partitions", partial(ledger.repartition, in_force, wanted)
        )
        if worker_count == 0:
            log.info("the number of partitions is in force", partitions=wanted, before=in_force)
            return
        if worker_count:
            raise SettingsError(
                f"{_SETTING} is {wanted}, but workers are at work with {_SETTING}={in_force or 1}: stop them "
                "all, then start with the new number"
            )
        in_force = await retry_until_available(
            "reading the number of partitions", ledger.read_partition_count
        )


async def refuse_if_backlog(ledger: Ledger, broker: Broker, wanted: int) -> None:
    """Raise `SettingsError` when waiting commands forbid the `wanted` number. Changes nothing."""
    in_force = await ledger.read_partition_count()
    if in_force != wanted and (waiting := await _count_blocking(broker, in_force, wanted)):
        raise SettingsError(_describe_backlog(waiting, in_force, wanted))


async def _count_blocking(broker: Broker, in_force: int | None, wanted: int) -> Mapping[int, int]:
    """Return, for each partition, how many waiting commands forbid the change to `wanted`.

    Before a number is in force, only commands in partitions that would not exist forbid it.
    """
    if in_force is None:
        counts = await broker.count_waiting(MAX_PARTITIONS)
        return {number: count for number, count in counts.items() if count and number >= wanted}
    counts = {**await broker.count_waiting(wanted), **await broker.count_waiting(in_force)}
    return {number: count for number, count in counts.items() if count}


def _describe_backlog(waiting: Mapping[int, int], in_force: int | None, wanted: int) -> str:
    listed = [f"{number} ({waiting[number]})" for number in sorted(waiting)[:_MAX_LISTED]]
    if len(waiting) > _MAX_LISTED:
        listed.append(f"{len(waiting) - _MAX_LISTED} more")
    where = f"commands wait in partition {', '.join(listed)}"
    if in_force is None:
        return f"{_SETTING} is {wanted}, but {where}: set it to the number that the producers use"
    return (
        f"{_SETTING} is {wanted}, but the one in force is {in_force}, and {where}: let workers "
        f"with {_SETTING}={in_force} finish them, stop these workers, then start with the new number"
    )
