"""Snapshots of the engine's state, for status reports and metrics. They hold plain values only."""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from numbergroup.engine.account.account import Account
from numbergroup.engine.commands import GroupRef
from numbergroup.engine.group.lifecycle import Parked
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.verdicts import Fault

_MOST_GROUPS = 100


@dataclass(slots=True, frozen=True)
class AccountView:
    """The state of an account. Times are Unix seconds.

    - `paused_by`: `operator`, `fault` or `throttle`. `paused_until`: `None` for an operator's pause.
    - `failure_share`: the share of recently ended calls that failed, 0 to 1.
    - `outcomes`: the number of ended calls by class of outcome.
    - `isolation_calls`: calls that were spent on finding refused commands.
    - `throttled_until`: until when the vendor asked for no calls, even if the account also waits for another
      reason.
    """

    in_flight: int
    permits_wanted: int
    ready_groups: int
    breaker: str
    breaker_until: float | None
    breaker_failures: int
    failure_share: float
    paused_by: str | None
    paused_until: float | None
    reason: str | None
    outcomes: Mapping[str, int]
    isolation_calls: int
    throttled_until: float | None = None


@dataclass(slots=True, frozen=True)
class GroupView:
    """A group that is parked after failures or paused by an operator. Times are Unix seconds.

    `waiting`: how many commands wait. `failures`, `failing_since`, `last_fault`: of its latest failures.
    `retry_at`: when it is retried, if that is known. `reason`: the operator's reason for the pause.
    """

    ref: GroupRef
    waiting: int
    failures: int
    failing_since: float | None
    retry_at: float | None
    last_fault: Fault | None
    reason: str | None = None


@dataclass(slots=True, frozen=True)
class PartitionView:
    """The state of a partition.

    - `in_hand`: how many commands wait.
    - `oldest_at`: the arrival of the command that has waited longest, in Unix seconds.
    - `parked`, `paused`: the groups whose commands have waited longest, at most 100 each.
    - `groups`, `parked_groups`, `paused_groups`, `quarantined_groups`: how many groups there are of each.
    """

    in_hand: int
    groups: int
    oldest_at: float | None
    parked: Sequence[GroupView]
    parked_groups: int
    paused: Sequence[GroupView]
    paused_groups: int
    quarantined_groups: int = 0


@dataclass(slots=True, frozen=True)
class Snapshot:
    """The state of the engine, by account and by partition."""

    accounts: Mapping[str, AccountView]
    partitions: Mapping[int, PartitionView]


def view_account(account: Account, now: float) -> AccountView:
    """Return the state of the account."""
    paused_by, paused_until, reason = _pause(account, now)
    notice = account.breaker.notice
    return AccountView(
        in_flight=account.in_flight,
        permits_wanted=account.permits_wanted + account.probes_wanted,
        ready_groups=len(account.queue),
        breaker=account.breaker.state.value,
        breaker_until=notice.until if notice else None,
        breaker_failures=account.breaker.failures,
        failure_share=round(account.breaker.failure_share(now), 3),
        paused_by=paused_by,
        paused_until=paused_until,
        reason=reason,
        outcomes=dict(account.outcomes),
        isolation_calls=account.bisect_budget.spent,
        throttled_until=account.throttled_until if now < account.throttled_until else None,
    )


def view_partition(partition: PartitionState, pauses: Mapping[GroupRef, str]) -> PartitionView:
    """Return the state of the partition. `pauses`: the operators' reasons by paused group."""
    group_count, oldest_at = 0, math.inf
    parked: list[GroupState] = []
    paused: list[GroupState] = []
    # A single pass: there may be tens of thousands of groups, and no event is handled meanwhile.
    for group in partition.groups.values():
        if not group.pending:
            continue
        group_count += 1
        arrived_at = group.pending[0].arrived_at
        if arrived_at < oldest_at:
            oldest_at = arrived_at
        if group.failures and isinstance(group.state, Parked):
            parked.append(group)
        if pauses and group.ref in pauses:
            paused.append(group)
    return PartitionView(
        in_hand=partition.owed_answers,
        groups=group_count,
        oldest_at=oldest_at if group_count else None,
        parked=_views(parked, pauses),
        parked_groups=len(parked),
        paused=_views(paused, pauses),
        paused_groups=len(paused),
        quarantined_groups=len(partition.quarantined),
    )


def _views(groups: Iterable[GroupState], pauses: Mapping[GroupRef, str]) -> list[GroupView]:
    oldest = heapq.nsmallest(_MOST_GROUPS, groups, key=lambda group: group.oldest_arrival)
    return [
        GroupView(
            ref=group.ref,
            waiting=len(group.pending),
            failures=group.failures,
            failing_since=group.first_failed_at if group.failures else None,
            retry_at=group.state.until if isinstance(group.state, Parked) else None,
            last_fault=group.last_fault,
            reason=pauses.get(group.ref),
        )
        for group in oldest
    ]


def _pause(account: Account, now: float) -> tuple[str | None, float | None, str | None]:
    """Return what pauses the account, until when, and why."""
    if account.pause_reason is not None:
        return "operator", None, account.pause_reason
    if account.fault is not None:
        return "fault", account.fault_until, f"{account.fault.code}: {account.fault.message}"
    if now < account.throttled_until:
        return "throttle", account.throttled_until, None
    return None, None, None
