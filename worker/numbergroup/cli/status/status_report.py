"""Builds the status from the workers' reports and the ledger. Pure: without I/O."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.partition.quarantine import ADVICE
from numbergroup.engine.snapshot import AccountView, GroupView, PartitionView
from numbergroup.engine.verdicts import Fault
from numbergroup.ledger.overview import LetterKind, LiveWorker, Overview
from numbergroup.ledger.port import Pause
from numbergroup.observability.logging import scrub_text
from numbergroup.runtime.dead_letter_cap import is_near_cap

_BREAKERS = ("closed", "ramping", "open")
_PAUSES = (None, "throttle", "fault", "operator")
"""The worst comes last, in both."""


@dataclass(slots=True, frozen=True)
class PartitionStatus:
    """The status of a partition. All times in this module are Unix seconds.

    `backlog` is `None` if the broker does not answer; it includes `in_hand`, the commands in the owner's
    memory. `oldest_at`: when the oldest command arrived.
    """

    number: int
    owner: str | None
    backlog: int | None
    in_hand: int
    groups: int
    oldest_at: float | None


@dataclass(slots=True)
class AccountStatus:
    """The status of an account, over all workers.

    `paused_by`: `operator`, `fault`, `throttle` or `None`. `calls`: finished calls by outcome, since the
    workers started.
    """

    name: str
    paused_by: str | None = None
    reason: str | None = None
    operator: str | None = None
    since: float | None = None
    until: float | None = None
    breaker: str = "closed"
    breaker_until: float | None = None
    breaker_failures: int = 0
    failure_share: float = 0.0
    in_flight: int = 0
    permits_wanted: int = 0
    ready_groups: int = 0
    isolation_calls: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    throttled_until: float | None = None


@dataclass(slots=True, frozen=True)
class GroupStatus:
    """A group that makes no calls now.

    `state`: `paused` by an operator, `quarantined` until an operator resumes it, or `parked` until the next
    try. `has_dead_letters`: the dead letters of a quarantined group can be replayed.
    """

    ref: GroupRef
    state: str
    waiting: int
    failures: int = 0
    since: float | None = None
    until: float | None = None
    fault: Fault | None = None
    reason: str | None = None
    operator: str | None = None
    has_dead_letters: bool = False


@dataclass(slots=True, frozen=True)
class StatusReport:
    """The status of everything.

    - `unlisted_groups`: the number of groups in each state that are not in `groups`.
    - `dead_letters`: their number. `letter_kinds`: their fingerprints.
    - `cap`: the number of dead letters at which a worker accepts no more commands. It is the smallest cap of
      all workers; if no worker reports one (`cap_is_reported`), that of the settings.
    - `alarm`: `many` dead letters (near the cap), `full` or `None`.
    - `strays`: the number of messages in each queue of another number of partitions.
    - `warnings`: about the settings and the server, as a worker logs them at its start.
    """

    now: float
    workers: Sequence[LiveWorker]
    partitions: Sequence[PartitionStatus]
    accounts: Sequence[AccountStatus]
    groups: Sequence[GroupStatus]
    unlisted_groups: Mapping[str, int]
    dead_letters: int
    cap: int
    alarm: str | None
    letter_kinds: Sequence[LetterKind]
    problems: Sequence[str]
    strays: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    cap_is_reported: bool = False


def build_status_report(
    overview: Overview, backlog: Mapping[int, int] | None, cap: int, *, backlog_includes_in_hand: bool
) -> StatusReport:
    """Build the report.

    `cap`: the cap of dead letters if no worker reports one. `backlog_includes_in_hand`: whether the broker's
    `backlog` includes the commands in workers' memory.
    """
    caps = [
        worker.report.letters_cap
        for worker in overview.workers
        if worker.report and worker.report.letters_cap
    ]
    cap = min(caps, default=cap)
    views = _latest_views(overview.workers)
    partitions = []
    for number, owner in enumerate(overview.owners):
        waiting = None if backlog is None else backlog.get(number, 0)
        if waiting is not None and not backlog_includes_in_hand and number in views:
            waiting += views[number].in_hand
        partitions.append(_partition_status(number, owner, views.get(number), waiting, overview))
    groups = _paused_and_parked(views.values(), overview.pauses) + [
        _quarantined_status(ref, fault, has_dead_letters=ref in overview.with_dead_letters)
        for ref, fault in sorted(overview.quarantined.items())
    ]
    parked = sum(view.parked_groups for view in views.values())
    listed = sum(group.state == "parked" for group in groups)
    alarm = "many" if is_near_cap(overview.letters, cap) else None
    return StatusReport(
        now=overview.now,
        workers=overview.workers,
        partitions=partitions,
        accounts=_account_statuses(overview),
        groups=groups,
        unlisted_groups={"parked": parked - listed} if parked > listed else {},
        dead_letters=overview.letters,
        cap=cap,
        alarm="full" if overview.letters >= cap else alarm,
        letter_kinds=overview.kinds,
        problems=overview.problems,
        cap_is_reported=bool(caps),
    )


def _latest_views(workers: Iterable[LiveWorker]) -> dict[int, PartitionView]:
    """Return the latest report on each partition. For a moment its earlier owner may report it, too."""
    views: dict[int, tuple[float, PartitionView]] = {}
    for worker in workers:
        if worker.report is None:
            continue
        for number, view in worker.report.snapshot.partitions.items():
            if number not in views or worker.report.at > views[number][0]:
                views[number] = worker.report.at, view
    return {number: view for number, (_, view) in views.items()}


def _partition_status(
    number: int, owner: str | None, view: PartitionView | None, backlog: int | None, overview: Overview
) -> PartitionStatus:
    arrivals = [overview.oldest_at.get(number), view.oldest_at if view else None]
    oldest_at = min((arrival for arrival in arrivals if arrival is not None), default=None)
    in_hand, groups = (view.in_hand, view.groups) if view else (0, 0)
    return PartitionStatus(number, owner, backlog, in_hand, groups, oldest_at)


def _account_statuses(overview: Overview) -> list[AccountStatus]:
    accounts: dict[str, AccountStatus] = {}
    for worker in overview.workers:
        for name, view in worker.report.snapshot.accounts.items() if worker.report else ():
            _add_view(accounts.setdefault(name, AccountStatus(name)), view)
    for name, notice in overview.breakers.items():
        account = accounts.setdefault(name, AccountStatus(name))
        if notice.until > overview.now and account.breaker != "open":
            account.breaker = "open"
            account.breaker_until, account.breaker_failures = notice.until, notice.failures
    for account in accounts.values():
        if account.paused_by == "operator":
            # The ledger decides about that, because a worker's report may be two seconds old.
            account.paused_by = account.reason = account.until = None
    for target, pause in overview.pauses.items():
        if isinstance(target, str):
            account = accounts.setdefault(target, AccountStatus(target))
            account.paused_by, account.until = "operator", None
            account.reason, account.operator, account.since = pause.reason, pause.operator, pause.since
    return [accounts[name] for name in sorted(accounts)]


def _add_view(account: AccountStatus, view: AccountView) -> None:
    if _PAUSES.index(view.paused_by) > _PAUSES.index(account.paused_by):
        account.paused_by, account.until = view.paused_by, view.paused_until
        account.reason = None if view.reason is None else scrub_text(view.reason)
    if _BREAKERS.index(view.breaker) > _BREAKERS.index(account.breaker):
        account.breaker, account.breaker_until = view.breaker, view.breaker_until
        account.breaker_failures = view.breaker_failures
    account.failure_share = max(account.failure_share, view.failure_share)
    account.in_flight += view.in_flight
    account.permits_wanted += view.permits_wanted
    account.ready_groups += view.ready_groups
    account.isolation_calls += view.isolation_calls
    account.calls.update(view.outcomes)
    if view.throttled_until is not None:
        account.throttled_until = max(account.throttled_until or 0.0, view.throttled_until)


def _paused_and_parked(
    views: Iterable[PartitionView], pauses: Mapping[str | GroupRef, Pause]
) -> list[GroupStatus]:
    """Return paused groups, then parked ones; of each kind, those that wait longest first."""
    parked: dict[GroupRef, GroupView] = {}
    paused: dict[GroupRef, GroupView] = {}
    for view in views:
        parked |= {group.ref: group for group in view.parked}
        paused |= {group.ref: group for group in view.paused}
    return [
        GroupStatus(
            target,
            "paused",
            paused[target].waiting if target in paused else 0,
            since=pause.since,
            reason=pause.reason,
            operator=pause.operator,
        )
        for target, pause in sorted(pauses.items(), key=lambda item: item[1].since)
        if isinstance(target, GroupRef)
    ] + [
        _parked_status(group)
        for group in sorted(parked.values(), key=lambda group: group.failing_since or 0.0)
        if group.ref not in pauses
    ]


def _quarantined_status(ref: GroupRef, fault: Fault, *, has_dead_letters: bool) -> GroupStatus:
    # The advice depends on what is left in the dead letters, so it is added later.
    message = scrub_text(fault.message.removesuffix(f": {ADVICE}"))
    fault = replace(fault, message=message)
    return GroupStatus(ref, "quarantined", 0, fault=fault, has_dead_letters=has_dead_letters)


def _parked_status(group: GroupView) -> GroupStatus:
    # A vendor's message may contain phone numbers.
    fault = group.last_fault and replace(group.last_fault, message=scrub_text(group.last_fault.message))
    return GroupStatus(
        group.ref,
        "parked",
        group.waiting,
        failures=group.failures,
        since=group.failing_since,
        until=group.retry_at,
        fault=fault,
    )
