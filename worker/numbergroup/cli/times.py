"""Times as commands print them."""

from datetime import UTC, datetime

_MAX_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, which is the last one of `datetime`."""


def format_utc(seconds: float) -> str:
    """Return Unix seconds as `2026-11-21T16:24:00Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def from_milliseconds(milliseconds: int) -> datetime:
    """Return Unix milliseconds as a time in UTC, at most the end of the year 9999."""
    return datetime.fromtimestamp(min(milliseconds, _MAX_MS) / 1000, UTC)
