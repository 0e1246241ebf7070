"""Times for people."""

from datetime import UTC, datetime


def in_utc(seconds: float) -> str:
    """`2026-11-21T16:24:00Z`, of Unix seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
