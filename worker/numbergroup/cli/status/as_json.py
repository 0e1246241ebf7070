"""How things stand, as JSON for programs."""

from datetime import UTC, datetime
from typing import Any

from numbergroup.cli.status.status_report import AccountStatus, GroupStatus, StatusReport
from numbergroup.engine.commands import GroupRef
from numbergroup.ledger.overview import LetterKind


def as_json(standing: StatusReport) -> dict[str, Any]:
    """Times are of RFC 3339, in UTC; None is what is not known, or not so."""
    return {
        "time": _time(standing.now),
        "workers": [
            {
                "owner": one.owner,
                "since": _time(one.since),
                "version": one.report.version if one.report else None,
                "reported": _time(one.report.at) if one.report else None,
            }
            for one in standing.workers
        ],
        "partitions": [
            {
                "partition": one.number,
                "owner": one.owner,
                "backlog": one.backlog,
                "inHand": one.in_hand,
                "groups": one.groups,
                "oldest": _time(one.oldest_at),
            }
            for one in standing.partitions
        ],
        "strays": dict(standing.strays),
        "accounts": {one.name: _account_json(one) for one in standing.accounts},
        "groups": [_group_json(one) for one in standing.groups],
        "moreGroups": dict(standing.unnamed),
        "deadLetters": {
            "count": standing.letters,
            "cap": standing.cap,
            "capIsReported": standing.cap_is_reported,
            "alarm": standing.alarm,
            "fingerprints": [_kind_json(one) for one in standing.kinds],
        },
        "problems": list(standing.problems),
        "warnings": list(standing.warnings),
    }


def _account_json(one: AccountStatus) -> dict[str, Any]:
    paused = {
        "by": one.paused_by,
        "reason": one.reason,
        "who": one.who,
        "since": _time(one.since),
        "until": _time(one.until),
    }
    return {
        "paused": paused if one.paused_by else None,
        "breaker": {
            "state": one.breaker,
            "until": _time(one.breaker_until),
            "failures": one.breaker_failures,
            "failing": one.failing,
        },
        "inFlight": one.in_flight,
        "permitsWanted": one.permits_wanted,
        "readyGroups": one.ready_groups,
        "calls": dict(sorted(one.calls.items())),
        "isolationCalls": one.isolation_calls,
        "throttledUntil": _time(one.throttled_until),
    }


def _group_json(one: GroupStatus) -> dict[str, Any]:
    trouble = one.trouble
    error = {"kind": trouble.kind, "code": trouble.code, "message": trouble.message} if trouble else None
    return {
        "account": one.ref.account,
        "group": _handle(one.ref),
        "state": one.state,
        "waiting": one.waiting,
        "failures": one.failures,
        "since": _time(one.since),
        "until": _time(one.until),
        "error": error,
        "reason": one.reason,
        "who": one.who,
    }


def _kind_json(one: LetterKind) -> dict[str, Any]:
    return {
        "fingerprint": one.fingerprint,
        "count": one.count,
        "kind": one.kind,
        "code": one.code,
        "message": one.message,
    }


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        said = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError):
        return None
    return said.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _handle(ref: GroupRef) -> str:
    return f"{ref.kind}:{ref.name}"
