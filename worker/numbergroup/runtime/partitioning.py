"""The number of partitions: one for all workers, and changed only when nothing waits in any of them."""

from collections.abc import Mapping
from functools import partial

from numbergroup.brokers.port import Broker
from numbergroup.ledger.port import Ledger
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.settings import MOST_PARTITIONS, SettingsError

_SETTING = "NUMBERGROUP_PARTITIONS"
_NAMED = 10

log = get_logger("partitions")


async def agree_on_partitions(ledger: Ledger, broker: Broker, wanted: int) -> None:
    """Return when the number in force is the one that is wanted; raises `SettingsError` if it cannot be.

    A group's next command may be in another partition then: all of them must be empty, and unowned.
    """
    in_force = await retry_until_available("asking for the number of partitions", ledger.read_partition_count)
    while in_force != wanted:
        waiting = await retry_until_available(
            "counting what waits", partial(_waiting, broker, in_force, wanted)
        )
        if waiting:
            raise SettingsError(_backlog(waiting, in_force, wanted))
        in_the_way = await retry_until_available(
            "changing the number of partitions", partial(ledger.repartition, in_force, wanted)
        )
        if in_the_way == 0:
            log.info("the number of partitions is in force", partitions=wanted, before=in_force)
            return
        if in_the_way:
            raise SettingsError(
                f"{_SETTING} is {wanted}, but workers are at work with {_SETTING}={in_force or 1}: stop them "
                "all, then start with the new number"
            )
        in_force = await retry_until_available(
            "asking for the number of partitions", ledger.read_partition_count
        )


async def refuse_if_backlog(ledger: Ledger, broker: Broker, wanted: int) -> None:
    """Raises `SettingsError` when what waits forbids the number that is wanted; changes nothing."""
    in_force = await ledger.read_partition_count()
    if in_force != wanted and (waiting := await _waiting(broker, in_force, wanted)):
        raise SettingsError(_backlog(waiting, in_force, wanted))


async def _waiting(broker: Broker, in_force: int | None, wanted: int) -> Mapping[int, int]:
    """What must be worked off before; what waits where it will be found need not be."""
    if in_force is None:
        found = await broker.count_waiting(MOST_PARTITIONS)
        return {number: count for number, count in found.items() if count and number >= wanted}
    found = {**await broker.count_waiting(wanted), **await broker.count_waiting(in_force)}
    return {number: count for number, count in found.items() if count}


def _backlog(waiting: Mapping[int, int], in_force: int | None, wanted: int) -> str:
    some = [f"{number} ({waiting[number]})" for number in sorted(waiting)[:_NAMED]]
    if len(waiting) > _NAMED:
        some.append(f"{len(waiting) - _NAMED} more")
    where = f"commands wait in partition {', '.join(some)}"
    if in_force is None:
        return f"{_SETTING} is {wanted}, but {where}: set it to the number that their producers have"
    return (
        f"{_SETTING} is {wanted}, but the one in force is {in_force}, and {where}: let workers "
        f"with {_SETTING}={in_force} work them off and stop them, then start with the new number"
    )
