"""How things stand, in words."""

from collections.abc import Iterable, Iterator, Sequence

from numbergroup.cli.screen import counted
from numbergroup.cli.status.status_report import AccountStatus, GroupStatus, PartitionStatus, StatusReport
from numbergroup.text.escaping import escaped

_SHOWN = 20
_TEXT = 100

Row = tuple[str, ...]


def format_status(standing: StatusReport) -> Iterator[str]:
    """Line by line. Nothing in it can move a terminal's cursor, whoever wrote it."""
    now = standing.now
    if standing.workers:
        yield from _table("workers", _worker_rows(standing))
    else:
        yield "no worker is running: what follows is what the ledger knows"
    yield from _table("partitions", _partition_rows(standing))
    for queue, count in standing.strays.items():
        if count:
            yield f"  {escaped(queue)}  backlog {count:,}, published for another number of partitions"
    accounts = [_account_rows(one, now) for one in standing.accounts]
    yield from _table("accounts", [row for rows in accounts for row in rows])
    groups = [_group_row(one, now) for one in standing.groups[:_SHOWN]]
    yield from _table("groups", groups)
    if more := len(standing.groups) - len(groups) + sum(standing.unnamed.values()):
        yield f"  and {more:,} more"
    yield from _letters(standing)
    yield from (f"problem: {escaped(one)}" for one in standing.problems)
    yield from (f"warning: {escaped(one)}" for one in standing.warnings)


def _worker_rows(standing: StatusReport) -> Iterator[Row]:
    for one in standing.workers:
        owned = [str(partition.number) for partition in standing.partitions if partition.owner == one.owner]
        more = "…" if len(owned) > _SHOWN else ""
        mine = f"partitions {','.join(owned[:_SHOWN])}{more}" if owned else "stands by"
        told = "" if one.report else "has not reported"
        yield (escaped(one.owner), f"for {_span(standing.now - one.since)}", mine, told)


def _partition_rows(standing: StatusReport) -> list[Row]:
    """All of them, or where there are many those with something to tell, and how many others there are."""
    partitions = standing.partitions
    if len(partitions) > _SHOWN:
        partitions = [one for one in partitions if one.backlog != 0 or one.in_hand or one.owner is None]
    rows = [_partition_row(one, standing.now) for one in partitions[: 2 * _SHOWN]]
    rest = len(standing.partitions) - len(rows)
    return [*rows, (f"and {rest:,} more",)] if rest else rows


def _partition_row(one: PartitionStatus, now: float) -> Row:
    owner = f"owner {escaped(one.owner)}" if one.owner else "no owner"
    backlog = "backlog unknown" if one.backlog is None else f"backlog {one.backlog:,}"
    in_hand = f"in hand {one.in_hand:,} of {counted(one.groups, 'group')}" if one.in_hand else ""
    oldest = "" if one.oldest_at is None else f"oldest {_span(now - one.oldest_at)}"
    return (str(one.number), owner, backlog, in_hand, oldest)


def _account_rows(one: AccountStatus, now: float) -> Iterator[Row]:
    pause, breaker = _pause(one, now), _breaker(one, now)
    yield (escaped(one.name), pause or breaker or "calls go out")
    if pause and breaker:
        yield ("", breaker)
    calls = ", ".join(f"{count:,} {name}" for name, count in sorted(one.calls.items())) or "none"
    isolation = f", {one.isolation_calls:,} to find who is refused" if one.isolation_calls else ""
    waiting = f"in flight {one.in_flight:,}, groups ready {one.ready_groups:,}"
    yield ("", f"{waiting}, permits wanted {one.permits_wanted:,}; calls: {calls}{isolation}")


def _pause(one: AccountStatus, now: float) -> str:
    match one.paused_by:
        case "operator":
            return f"paused{_by(one.who, one.since, now)}{_because(one.reason)}"
        case "fault":
            return f"the vendor refuses the account{_again(one.until, now)}{_because(one.reason)}"
        case "throttle":
            return f"throttled by the vendor{_again(one.until, now)}"
    return ""


def _breaker(one: AccountStatus, now: float) -> str:
    if one.breaker == "closed":
        return ""
    if one.breaker == "ramping":
        return "breaker ramping: the vendor answers again, calls come back one by one"
    until = one.breaker_until or now
    when = f"in {_span(until - now)}" if until > now else "now"
    times = f", opened {one.breaker_failures} times in a row" if one.breaker_failures > 1 else ""
    return f"breaker open: most calls fail, a probe goes out {when}{times}"


def _group_row(one: GroupStatus, now: float) -> Row:
    if one.state == "paused":
        why = f"paused{_by(one.who, one.since, now)}{_because(one.reason)}"
    else:
        since = f" for {_span(now - one.since)}" if one.since else ""
        why = f"{one.state}{since}{_again(one.until, now)}"
        if one.trouble and one.state == "quarantined":
            why += f": {escaped(one.trouble.message)}: {_advice(one)}"
        elif one.trouble:
            why += _because(f"{one.trouble.kind} {one.trouble.code or ''}: {one.trouble.message}")
    handle = f"{one.ref.kind}:{one.ref.name}"
    waiting = counted(one.waiting, "command")
    if one.state == "quarantined":
        waiting = "in dead letters" if one.has_dead_letters else "nothing in dead letters"
    return (escaped(handle), escaped(one.ref.account), waiting, why)


def _advice(group: GroupStatus) -> str:
    resume = "numbergroup resume group lets it go on"
    replay = "numbergroup dead-letters replay brings back what is in dead letters"
    return f"{resume}, {replay}" if group.has_dead_letters else resume


def _letters(standing: StatusReport) -> Iterator[str]:
    alarms = {
        "full": ": too many, NOTHING MORE IS TAKEN IN until there are fewer",
        "many": ": many; at the cap nothing more is taken in",
    }
    said = alarms.get(standing.alarm or "", "")
    whose = "" if standing.cap_is_reported else " by the settings here"
    yield f"dead letters {standing.letters:,}, at most {standing.cap:,}{whose}{said}"
    yield from _columns(
        (
            escaped(one.fingerprint),
            f"{one.count:,}",
            escaped(f"{one.kind} {one.code or ''}"),
            escaped(one.message)[:_TEXT],
        )
        for one in standing.kinds[:_SHOWN]
    )
    if len(standing.kinds) > _SHOWN:
        yield f"  and {len(standing.kinds) - _SHOWN:,} more fingerprints"


def _table(title: str, rows: Iterable[Row]) -> Iterator[str]:
    lines = list(_columns(rows))
    if lines:
        yield title
        yield from lines


def _columns(rows: Iterable[Row]) -> Iterator[str]:
    """Each column as wide as its widest, and two spaces between them; the last one is as long as it is."""
    table: Sequence[Row] = list(rows)
    widths: dict[int, int] = {}
    for row in table:
        for at, text in enumerate(row[:-1]):
            widths[at] = max(widths.get(at, 0), len(text))
    for row in table:
        texts = [text.ljust(widths[at]) for at, text in enumerate(row[:-1])]
        yield ("  " + "  ".join([*texts, row[-1]])).rstrip()


def _by(who: str | None, since: float | None, now: float) -> str:
    ago = f" {_span(now - since)} ago" if since else ""
    return f" by {escaped(who) if who else 'an operator'}{ago}"


def _because(reason: str | None) -> str:
    return f": {escaped(reason)[:_TEXT]}" if reason else ""


def _again(until: float | None, now: float) -> str:
    return f", tried again in {_span(until - now)}" if until and until > now else ""


def _span(seconds: float) -> str:
    """`12 s`, `3 min`, `5 h`, `2 days`: as exact as an operator wants it."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
