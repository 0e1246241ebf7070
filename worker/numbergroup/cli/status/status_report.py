"""How everything stands: what all workers say, put together with what the ledger says. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from numbergroup.engine.commands import Fault, GroupRef
from numbergroup.engine.partition.quarantine import ADVICE
from numbergroup.engine.snapshot import AccountView, GroupView, PartitionView
from numbergroup.ledger.overview import LetterKind, LiveWorker, Overview
from numbergroup.ledger.port import Pause
from numbergroup.observability.logging import scrub_text
from numbergroup.runtime.dead_letter_cap import is_near_cap

_BREAKERS = ("closed", "ramping", "open")
"""The worst comes last."""
_PAUSES = (None, "throttle", "fault", "operator")


@dataclass(slots=True, frozen=True)
class PartitionStatus:
    """`backlog` is None where the broker does not say; what is in hand counts. `oldest_at`: since when the
    command has waited that waits longest (Unix seconds, as all times here)."""

    number: int
    owner: str | None
    backlog: int | None
    in_hand: int
    groups: int
    oldest_at: float | None


@dataclass(slots=True)
class AccountStatus:
    """Of all workers together. `paused_by`: `operator`, `fault`, `throttle` or None. `calls`: those that
    ended, by outcome, since the workers began."""

    name: str
    paused_by: str | None = None
    reason: str | None = None
    who: str | None = None
    since: float | None = None
    until: float | None = None
    breaker: str = "closed"
    breaker_until: float | None = None
    breaker_failures: int = 0
    failing: float = 0.0
    in_flight: int = 0
    permits_wanted: int = 0
    ready_groups: int = 0
    isolation_calls: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    throttled_until: float | None = None


@dataclass(slots=True, frozen=True)
class GroupStatus:
    """A group that does not go on: `paused` by an operator, `quarantined` until one resumes it, or `parked`
    until it is tried again. `has_dead_letters`: what was quarantined can be brought back."""

    ref: GroupRef
    state: str
    waiting: int
    failures: int = 0
    since: float | None = None
    until: float | None = None
    trouble: Fault | None = None
    reason: str | None = None
    who: str | None = None
    has_dead_letters: bool = False


@dataclass(slots=True, frozen=True)
class StatusReport:
    """`unnamed`: how many more groups there are in each state. `cap`: with so many dead letters a worker
    takes nothing more in, the smallest of all workers'; where none reports it (`cap_is_reported`), that of
    the settings. `alarm`: `many` dead letters, or `full`. `strays`: how many messages wait in each queue of
    another number of partitions."""

    now: float
    workers: Sequence[LiveWorker]
    partitions: Sequence[PartitionStatus]
    accounts: Sequence[AccountStatus]
    groups: Sequence[GroupStatus]
    unnamed: Mapping[str, int]
    letters: int
    cap: int
    alarm: str | None
    kinds: Sequence[LetterKind]
    problems: Sequence[str]
    strays: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    """Of the settings and the server: what a worker warns of at its start."""
    cap_is_reported: bool = False


def build_status_report(
    overview: Overview, backlog: Mapping[int, int] | None, cap: int, *, in_hand_counts: bool
) -> StatusReport:
    """Put it together. `cap`: of dead letters, where no worker says its own. `in_hand_counts`: whether what
    workers have in hand is in the broker's `backlog`."""
    caps = [one.report.letters_cap for one in overview.workers if one.report and one.report.letters_cap]
    cap = min(caps, default=cap)
    views = _views(overview.workers)
    partitions = [
        _partition(number, owner, views.get(number), overview, backlog, in_hand_counts=in_hand_counts)
        for number, owner in enumerate(overview.owners)
    ]
    groups = _groups(views.values(), overview.pauses) + [
        _quarantined(ref, why, has_dead_letters=ref in overview.with_dead_letters)
        for ref, why in sorted(overview.quarantined.items())
    ]
    parked = sum(view.parked_groups for view in views.values())
    named = sum(one.state == "parked" for one in groups)
    alarm = "many" if is_near_cap(overview.letters, cap) else None
    return StatusReport(
        overview.now,
        overview.workers,
        partitions,
        _accounts(overview),
        groups,
        {"parked": parked - named} if parked > named else {},
        overview.letters,
        cap,
        "full" if overview.letters >= cap else alarm,
        overview.kinds,
        overview.problems,
        cap_is_reported=bool(caps),
    )


def _views(workers: Iterable[LiveWorker]) -> dict[int, PartitionView]:
    """What the owner says of each partition; for a moment, an earlier one may say something, too."""
    views: dict[int, tuple[float, PartitionView]] = {}
    for worker in workers:
        if worker.report is None:
            continue
        for number, view in worker.report.snapshot.partitions.items():
            if number not in views or worker.report.at > views[number][0]:
                views[number] = worker.report.at, view
    return {number: view for number, (_, view) in views.items()}


def _partition(
    number: int,
    owner: str | None,
    view: PartitionView | None,
    overview: Overview,
    backlog: Mapping[int, int] | None,
    *,
    in_hand_counts: bool,
) -> PartitionStatus:
    in_hand = view.in_hand if view else 0
    waiting = None if backlog is None else backlog.get(number, 0) + (0 if in_hand_counts else in_hand)
    arrivals = [overview.oldest_at.get(number), view.oldest_at if view else None]
    oldest_at = min((at for at in arrivals if at is not None), default=None)
    return PartitionStatus(number, owner, waiting, in_hand, view.groups if view else 0, oldest_at)


def _accounts(overview: Overview) -> list[AccountStatus]:
    accounts: dict[str, AccountStatus] = {}
    for worker in overview.workers:
        for name, view in worker.report.snapshot.accounts.items() if worker.report else ():
            _add(accounts.setdefault(name, AccountStatus(name)), view)
    for name, notice in overview.breakers.items():
        account = accounts.setdefault(name, AccountStatus(name))
        if notice.until > overview.now and account.breaker != "open":
            account.breaker = "open"
            account.breaker_until, account.breaker_failures = notice.until, notice.failures
    for account in accounts.values():
        if account.paused_by == "operator":
            # Of that the ledger has the last word: a worker's is two seconds old.
            account.paused_by = account.reason = account.until = None
    for target, pause in overview.pauses.items():
        if isinstance(target, str):
            account = accounts.setdefault(target, AccountStatus(target))
            account.paused_by, account.until = "operator", None
            account.reason, account.who, account.since = pause.reason, pause.operator, pause.since
    return [accounts[name] for name in sorted(accounts)]


def _add(account: AccountStatus, view: AccountView) -> None:
    if _PAUSES.index(view.paused_by) > _PAUSES.index(account.paused_by):
        account.paused_by, account.until = view.paused_by, view.paused_until
        account.reason = None if view.reason is None else scrub_text(view.reason)
    if _BREAKERS.index(view.breaker) > _BREAKERS.index(account.breaker):
        account.breaker, account.breaker_until = view.breaker, view.breaker_until
        account.breaker_failures = view.breaker_failures
    account.failing = max(account.failing, view.failure_share)
    account.in_flight += view.in_flight
    account.permits_wanted += view.permits_wanted
    account.ready_groups += view.ready_groups
    account.isolation_calls += view.isolation_calls
    account.calls.update(view.outcomes)
    if view.throttled_until is not None:
        account.throttled_until = max(account.throttled_until or 0.0, view.throttled_until)


def _groups(views: Iterable[PartitionView], pauses: Mapping[str | GroupRef, Pause]) -> list[GroupStatus]:
    """Paused ones first, then those that are parked, whichever has waited longest first."""
    parked: dict[GroupRef, GroupView] = {}
    held: dict[GroupRef, GroupView] = {}
    for view in views:
        parked |= {one.ref: one for one in view.parked}
        held |= {one.ref: one for one in view.paused}
    paused = [
        GroupStatus(
            target,
            "paused",
            held[target].waiting if target in held else 0,
            since=pause.since,
            reason=pause.reason,
            who=pause.operator,
        )
        for target, pause in sorted(pauses.items(), key=lambda one: one[1].since)
        if isinstance(target, GroupRef)
    ]
    return paused + [
        _parked(one)
        for one in sorted(parked.values(), key=lambda one: one.failing_since or 0.0)
        if one.ref not in pauses
    ]


def _quarantined(ref: GroupRef, why: Fault, *, has_dead_letters: bool) -> GroupStatus:
    # What helps depends on what is left in the dead letters.
    message = scrub_text(why.message.removesuffix(f": {ADVICE}"))
    trouble = replace(why, message=message)
    return GroupStatus(ref, "quarantined", 0, trouble=trouble, has_dead_letters=has_dead_letters)


def _parked(one: GroupView) -> GroupStatus:
    # A vendor's message may name the numbers that it is about.
    trouble = one.last_fault and replace(one.last_fault, message=scrub_text(one.last_fault.message))
    return GroupStatus(one.ref, "parked", one.waiting, one.failures, one.failing_since, one.retry_at, trouble)
