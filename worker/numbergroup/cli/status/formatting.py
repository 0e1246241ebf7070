"""Formats the status as lines for people."""

from collections.abc import Iterable, Iterator, Sequence

from numbergroup.cli.output import pluralize
from numbergroup.cli.status.status_report import AccountStatus, GroupStatus, PartitionStatus, StatusReport
from numbergroup.text.escaping import escaped

_SHOWN = 20
_MAX_TEXT = 100

Row = tuple[str, ...]


def format_status(report: StatusReport) -> Iterator[str]:
    """Yield the lines of the report. They contain no control characters, whatever the texts contain."""
    now = report.now
    if report.workers:
        yield from _format_table("workers", _worker_rows(report))
    else:
        yield "no worker is running: what follows is what the ledger knows"
    yield from _format_table("partitions", _partition_rows(report))
    for queue, count in report.strays.items():
        if count:
            yield f"  {escaped(queue)}  backlog {count:,}, published for another number of partitions"
    accounts = [_account_rows(account, now) for account in report.accounts]
    yield from _format_table("accounts", [row for rows in accounts for row in rows])
    groups = [_group_row(group, now) for group in report.groups[:_SHOWN]]
    yield from _format_table("groups", groups)
    if more := len(report.groups) - len(groups) + sum(report.unlisted_groups.values()):
        yield f"  and {more:,} more"
    yield from _describe_dead_letters(report)
    yield from (f"problem: {escaped(problem)}" for problem in report.problems)
    yield from (f"warning: {escaped(warning)}" for warning in report.warnings)


def _worker_rows(report: StatusReport) -> Iterator[Row]:
    for worker in report.workers:
        owned = [str(partition.number) for partition in report.partitions if partition.owner == worker.owner]
        more = "…" if len(owned) > _SHOWN else ""
        role = f"partitions {','.join(owned[:_SHOWN])}{more}" if owned else "standby"
        note = "" if worker.report else "has not reported"
        yield (escaped(worker.owner), f"for {_format_span(report.now - worker.since)}", role, note)


def _partition_rows(report: StatusReport) -> list[Row]:
    """Return all partitions; if there are many, those with commands or without an owner, and a total."""
    partitions = report.partitions
    if len(partitions) > _SHOWN:
        partitions = [
            partition
            for partition in partitions
            if partition.backlog != 0 or partition.in_hand or partition.owner is None
        ]
    rows = [_partition_row(partition, report.now) for partition in partitions[: 2 * _SHOWN]]
    rest = len(report.partitions) - len(rows)
    return [*rows, (f"and {rest:,} more",)] if rest else rows


def _partition_row(partition: PartitionStatus, now: float) -> Row:
    owner = f"owner {escaped(partition.owner)}" if partition.owner else "no owner"
    backlog = "backlog unknown" if partition.backlog is None else f"backlog {partition.backlog:,}"
    in_hand = (
        f"in hand {partition.in_hand:,} of {pluralize(partition.groups, 'group')}"
        if partition.in_hand
        else ""
    )
    oldest = "" if partition.oldest_at is None else f"oldest {_format_span(now - partition.oldest_at)}"
    return (str(partition.number), owner, backlog, in_hand, oldest)


def _account_rows(account: AccountStatus, now: float) -> Iterator[Row]:
    pause, breaker = _describe_pause(account, now), _describe_breaker(account, now)
    yield (escaped(account.name), pause or breaker or "calls go out")
    if pause and breaker:
        yield ("", breaker)
    calls = ", ".join(f"{count:,} {name}" for name, count in sorted(account.calls.items())) or "none"
    isolation = (
        f", {account.isolation_calls:,} to isolate refused commands" if account.isolation_calls else ""
    )
    waiting = f"in flight {account.in_flight:,}, groups ready {account.ready_groups:,}"
    yield ("", f"{waiting}, permits wanted {account.permits_wanted:,}; calls: {calls}{isolation}")


def _describe_pause(account: AccountStatus, now: float) -> str:
    reason, retry = _reason_suffix(account.reason), _retry_suffix(account.until, now)
    match account.paused_by:
        case "operator":
            return f"paused{_origin_suffix(account.operator, account.since, now)}{reason}"
        case "fault":
            return f"the vendor refuses the account{retry}{reason}"
        case "throttle":
            return f"throttled by the vendor{retry}"
    return ""


def _describe_breaker(account: AccountStatus, now: float) -> str:
    if account.breaker == "closed":
        return ""
    if account.breaker == "ramping":
        return "breaker ramping: the vendor answers again, calls come back one by one"
    until = account.breaker_until or now
    when = f"in {_format_span(until - now)}" if until > now else "now"
    times = f", opened {account.breaker_failures} times in a row" if account.breaker_failures > 1 else ""
    return f"breaker open: most calls fail, a probe goes out {when}{times}"


def _group_row(group: GroupStatus, now: float) -> Row:
    if group.state == "paused":
        why = f"paused{_origin_suffix(group.operator, group.since, now)}{_reason_suffix(group.reason)}"
    else:
        since = f" for {_format_span(now - group.since)}" if group.since else ""
        why = f"{group.state}{since}{_retry_suffix(group.until, now)}"
        if group.fault and group.state == "quarantined":
            why += f": {escaped(group.fault.message)}: {_describe_advice(group)}"
        elif group.fault:
            why += _reason_suffix(f"{group.fault.kind} {group.fault.code or ''}: {group.fault.message}")
    handle = f"{group.ref.kind}:{group.ref.name}"
    waiting = pluralize(group.waiting, "command")
    if group.state == "quarantined":
        waiting = "in dead letters" if group.has_dead_letters else "nothing in dead letters"
    return (escaped(handle), escaped(group.ref.account), waiting, why)


def _describe_advice(group: GroupStatus) -> str:
    resume = "numbergroup resume group resumes it"
    replay = "numbergroup dead-letters replay sends its dead letters again"
    return f"{resume}, {replay}" if group.has_dead_letters else resume


def _describe_dead_letters(report: StatusReport) -> Iterator[str]:
    alarms = {
        "full": ": too many, WORKERS ACCEPT NO COMMANDS until there are fewer",
        "many": ": many; at the cap workers accept no more commands",
    }
    alarm = alarms.get(report.alarm or "", "")
    origin = "" if report.cap_is_reported else " by the settings here"
    yield f"dead letters {report.dead_letters:,}, at most {report.cap:,}{origin}{alarm}"
    yield from _align_columns(
        (
            escaped(kind.fingerprint),
            f"{kind.count:,}",
            escaped(f"{kind.kind} {kind.code or ''}"),
            escaped(kind.message)[:_MAX_TEXT],
        )
        for kind in report.letter_kinds[:_SHOWN]
    )
    if len(report.letter_kinds) > _SHOWN:
        yield f"  and {len(report.letter_kinds) - _SHOWN:,} more fingerprints"


def _format_table(title: str, rows: Iterable[Row]) -> Iterator[str]:
    lines = list(_align_columns(rows))
    if lines:
        yield title
        yield from lines


def _align_columns(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the rows with aligned columns, two spaces between them. The last column is not padded."""
    table: Sequence[Row] = list(rows)
    widths: dict[int, int] = {}
    for row in table:
        for column, text in enumerate(row[:-1]):
            widths[column] = max(widths.get(column, 0), len(text))
    for row in table:
        texts = [text.ljust(widths[column]) for column, text in enumerate(row[:-1])]
        yield ("  " + "  ".join([*texts, row[-1]])).rstrip()


def _origin_suffix(operator: str | None, since: float | None, now: float) -> str:
    ago = f" {_format_span(now - since)} ago" if since else ""
    return f" by {escaped(operator) if operator else 'an operator'}{ago}"


def _reason_suffix(reason: str | None) -> str:
    return f": {escaped(reason)[:_MAX_TEXT]}" if reason else ""


def _retry_suffix(until: float | None, now: float) -> str:
    return f", tried again in {_format_span(until - now)}" if until and until > now else ""


def _format_span(seconds: float) -> str:
    """Return `12 s`, `3 min`, `5 h`, `2 days`: as exact as an operator needs."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
