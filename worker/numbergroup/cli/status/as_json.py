"""Formats the status as JSON."""

from datetime import UTC, datetime
from typing import Any

from numbergroup.cli.status.status_report import AccountStatus, GroupStatus, StatusReport
from numbergroup.ledger.overview import LetterKind


def as_json(report: StatusReport) -> dict[str, Any]:
    """Return the report as JSON. Times are RFC 3339 in UTC; `null` means unknown or not applicable."""
    return {
        "time": _format_time(report.now),
        "workers": [
            {
                "owner": worker.owner,
                "since": _format_time(worker.since),
                "version": worker.report.version if worker.report else None,
                "reported": _format_time(worker.report.at) if worker.report else None,
            }
            for worker in report.workers
        ],
        "partitions": [
            {
                "partition": partition.number,
                "owner": partition.owner,
                "backlog": partition.backlog,
                "inHand": partition.in_hand,
                "groups": partition.groups,
                "oldest": _format_time(partition.oldest_at),
            }
            for partition in report.partitions
        ],
        "strays": dict(report.strays),
        "accounts": {account.name: _account_as_json(account) for account in report.accounts},
        "groups": [_group_as_json(group) for group in report.groups],
        "moreGroups": dict(report.unlisted_groups),
        "deadLetters": {
            "count": report.dead_letters,
            "cap": report.cap,
            "capIsReported": report.cap_is_reported,
            "alarm": report.alarm,
            "fingerprints": [_kind_as_json(kind) for kind in report.letter_kinds],
        },
        "problems": list(report.problems),
        "warnings": list(report.warnings),
    }


def _account_as_json(account: AccountStatus) -> dict[str, Any]:
    paused = {
        "by": account.paused_by,
        "reason": account.reason,
        "who": account.operator,
        "since": _format_time(account.since),
        "until": _format_time(account.until),
    }
    return {
        "paused": paused if account.paused_by else None,
        "breaker": {
            "state": account.breaker,
            "until": _format_time(account.breaker_until),
            "failures": account.breaker_failures,
            "failing": account.failure_share,
        },
        "inFlight": account.in_flight,
        "permitsWanted": account.permits_wanted,
        "readyGroups": account.ready_groups,
        "calls": dict(sorted(account.calls.items())),
        "isolationCalls": account.isolation_calls,
        "throttledUntil": _format_time(account.throttled_until),
    }


def _group_as_json(group: GroupStatus) -> dict[str, Any]:
    fault = group.fault
    error = {"kind": fault.kind, "code": fault.code, "message": fault.message} if fault else None
    return {
        "account": group.ref.account,
        "group": f"{group.ref.kind}:{group.ref.name}",
        "state": group.state,
        "waiting": group.waiting,
        "failures": group.failures,
        "since": _format_time(group.since),
        "until": _format_time(group.until),
        "error": error,
        "reason": group.reason,
        "who": group.operator,
    }


def _kind_as_json(kind: LetterKind) -> dict[str, Any]:
    return {
        "fingerprint": kind.fingerprint,
        "count": kind.count,
        "kind": kind.kind,
        "code": kind.code,
        "message": kind.message,
    }


def _format_time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError):
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
