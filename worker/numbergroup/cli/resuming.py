"""What follows when an operator resumes an account or a group, from what workers reported. Pure."""

from numbergroup.cli.status.status_report import AccountStatus, StatusReport
from numbergroup.cli.times import in_utc
from numbergroup.engine.commands import GroupRef


def throttled_until(standing: StatusReport, target: str | GroupRef) -> float | None:
    """Until when the vendor wants no calls of the account (Unix seconds); None when it takes them now."""
    account = _account(standing, target)
    until = account.throttled_until if account else None
    return until if until and until > standing.now else None


def what_follows(standing: StatusReport, target: str | GroupRef) -> str | None:
    """Why it is not tried at once, and when it is; None when nothing is in the way, as far as is known."""
    if (until := throttled_until(standing, target)) is not None:
        of = "" if isinstance(target, str) else "its account is "
        return f"{of}throttled by the vendor until {in_utc(until)}: tried then"
    account = _account(standing, target)
    if account is None or isinstance(target, str):
        return None
    # Only what was said of the account itself ends with its own `resume`.
    if account.paused_by == "operator":
        return "its account is paused, too: no call of it begins until that is resumed"
    if account.paused_by == "fault":
        when = f" until {in_utc(account.until)}" if account.until and account.until > standing.now else ""
        return f"the vendor refuses its account{when}: tried then, or when that is resumed"
    if account.breaker == "open" and account.breaker_until and account.breaker_until > standing.now:
        return f"most calls of its account fail: the next is tried at {in_utc(account.breaker_until)}"
    return None


def _account(standing: StatusReport, target: str | GroupRef) -> AccountStatus | None:
    name = target if isinstance(target, str) else target.account
    return next((one for one in standing.accounts if one.name == name), None)
