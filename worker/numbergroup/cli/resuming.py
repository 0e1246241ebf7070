"""Says when an account or group is tried after `resume`, from what workers reported."""

from numbergroup.cli.status.status_report import AccountStatus, StatusReport
from numbergroup.cli.times import format_utc
from numbergroup.engine.commands import GroupRef


def throttled_until(report: StatusReport, target: str | GroupRef) -> float | None:
    """Return until when the vendor throttles the account (Unix seconds); `None` if it does not."""
    account = _find_account(report, target)
    until = account.throttled_until if account else None
    return until if until and until > report.now else None


def describe_delay(report: StatusReport, target: str | GroupRef) -> str | None:
    """Return why the target is not tried at once, and when it is; `None` if no reason is known."""
    if (until := throttled_until(report, target)) is not None:
        subject = "" if isinstance(target, str) else "its account is "
        return f"{subject}throttled by the vendor until {format_utc(until)}: tried then"
    account = _find_account(report, target)
    if account is None or isinstance(target, str):
        return None
    # What follows does not delay an account, because its own `resume` ends it.
    if account.paused_by == "operator":
        return "its account is paused, too: no call of it begins until that is resumed"
    if account.paused_by == "fault":
        when = f" until {format_utc(account.until)}" if account.until and account.until > report.now else ""
        return f"the vendor refuses its account{when}: tried then, or when that is resumed"
    if account.breaker == "open" and account.breaker_until and account.breaker_until > report.now:
        return f"most calls of its account fail: the next is tried at {format_utc(account.breaker_until)}"
    return None


def _find_account(report: StatusReport, target: str | GroupRef) -> AccountStatus | None:
    name = target if isinstance(target, str) else target.account
    return next((account for account in report.accounts if account.name == name), None)
