"""What the engine can say of itself, for operators: a picture of one moment, of values only."""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from numbergroup.engine.account.account import Account
from numbergroup.engine.commands import Fault, GroupRef
from numbergroup.engine.group.state import GroupState, Phase
from numbergroup.engine.partition.state import PartitionState

_MOST_GROUPS = 100


@dataclass(slots=True, frozen=True)
class AccountView:
    """How an account stands. `paused_by`: `operator`, `fault` or `throttle`, `until` when (Unix seconds, as
    all times here; an operator's pause has no end). `failing`: of the calls that ended lately, how many
    failed, 0 to 1. `outcomes`: calls that ended, by class. `throttled_until`: until when the vendor asked for
    no calls, whatever else holds the account up."""

    in_flight: int
    permits_wanted: int
    ready_groups: int
    breaker: str
    breaker_until: float | None
    breaker_failures: int
    failing: float
    paused_by: str | None
    paused_until: float | None
    reason: str | None
    outcomes: Mapping[str, int]
    isolation_calls: int
    throttled_until: float | None = None


@dataclass(slots=True, frozen=True)
class GroupView:
    """A group that waits for something of its own: `trouble` is why it failed last, `since` when it began to,
    `until` when it is tried again, if that is known."""

    ref: GroupRef
    waiting: int
    failures: int
    since: float | None
    until: float | None
    trouble: Fault | None
    reason: str | None = None


@dataclass(slots=True, frozen=True)
class PartitionView:
    """`parked` and `held` (paused by an operator): those whose commands have waited longest, 100 at most, of
    so many in all. `quarantined_groups`: whose commands are put away. `oldest_at`: when the command arrived
    that has waited longest."""

    in_hand: int
    groups: int
    oldest_at: float | None
    parked: Sequence[GroupView]
    parked_groups: int
    held: Sequence[GroupView]
    held_groups: int
    quarantined_groups: int = 0


@dataclass(slots=True, frozen=True)
class Snapshot:
    accounts: Mapping[str, AccountView]
    partitions: Mapping[int, PartitionView]


def view_account(account: Account, now: float) -> AccountView:
    by, until, reason = _pause(account, now)
    notice = account.breaker.notice
    return AccountView(
        account.in_flight,
        account.permits_wanted + account.probes_wanted,
        account.ready_count,
        account.breaker.state.value,
        notice.until if notice else None,
        account.breaker.failures,
        round(account.breaker.failure_share(now), 3),
        by,
        until,
        reason,
        dict(account.outcomes),
        account.bisect_budget.spent,
        account.throttled_until if now < account.throttled_until else None,
    )


def view_partition(partition: PartitionState, paused: Mapping[GroupRef, str]) -> PartitionView:
    groups, oldest_at = 0, math.inf
    parked: list[GroupState] = []
    held: list[GroupState] = []
    # There may be tens of thousands, and everything else waits for this.
    for one in partition.groups.values():
        if not one.pending:
            continue
        groups += 1
        arrived_at = one.pending[0].arrived_at
        if arrived_at < oldest_at:
            oldest_at = arrived_at
        if one.failures and one.phase is Phase.PARKED:
            parked.append(one)
        if paused and one.ref in paused:
            held.append(one)
    return PartitionView(
        partition.owed_answers,
        groups,
        oldest_at if groups else None,
        _views(parked, paused),
        len(parked),
        _views(held, paused),
        len(held),
        len(partition.quarantined),
    )


def _views(groups: Iterable[GroupState], paused: Mapping[GroupRef, str]) -> list[GroupView]:
    oldest = heapq.nsmallest(_MOST_GROUPS, groups, key=lambda group: group.oldest_arrival)
    return [
        GroupView(
            one.ref,
            len(one.pending),
            one.failures,
            one.first_failed_at if one.failures else None,
            one.wake_at if one.phase is Phase.PARKED else None,
            one.last_fault,
            paused.get(one.ref),
        )
        for one in oldest
    ]


def _pause(account: Account, now: float) -> tuple[str | None, float | None, str | None]:
    if account.pause_reason is not None:
        return "operator", None, account.pause_reason
    if account.fault is not None:
        return "fault", account.fault_until, f"{account.fault.code}: {account.fault.message}"
    if now < account.throttled_until:
        return "throttle", account.throttled_until, None
    return None, None, None
