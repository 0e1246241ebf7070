"""Stores the reports of workers on their own state; each expires unless the worker renews it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis

from numbergroup.engine.snapshot import Snapshot
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.port import LedgerUnavailable

_LIFETIME_MS = 10_000
_PAGE = 100


@dataclass(slots=True, frozen=True)
class Report:
    """A worker's state at the time `at`, in Unix seconds.

    `letters_written`: dead letters that it has written since it started. `letters_cap`: the number of dead
    letters in the ledger at which it stops reading commands; older versions do not report it.
    """

    owner: str
    version: str
    began_at: float
    at: float
    letters_written: int
    snapshot: Snapshot
    letters_cap: int | None = None


class Reports(Protocol):
    """Publishes the reports of workers. Every method may raise `LedgerUnavailable`."""

    async def write(self, report: Report) -> None:
        """Store a report in place of the worker's last one; it expires after 10 s."""

    async def drop(self, owner: str) -> None:
        """Delete the worker's report."""


class RedisReports:
    """Implements `Reports` on Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def write(self, report: Report) -> None:
        encoded = encode_report(report)
        async with translate_errors(LedgerUnavailable):
            await self._client.set(keys.report(report.owner), encoded, px=_LIFETIME_MS)

    async def drop(self, owner: str) -> None:
        async with translate_errors(LedgerUnavailable):
            await self._client.delete(keys.report(owner))

    async def read(self, owners: Sequence[str]) -> Mapping[str, Report | None]:
        """Return the existing reports of these workers; `None` for a report that cannot be read."""
        reports: dict[str, Report | None] = {}
        for start in range(0, len(owners), _PAGE):
            page = owners[start : start + _PAGE]
            async with translate_errors(LedgerUnavailable):
                values = await self._client.mget([keys.report(owner) for owner in page])
            reports |= {
                owner: decode_report(data)
                for owner, data in zip(page, values, strict=True)
                if data is not None
            }
        return reports


_REPORT = TypeAdapter(Report)


def encode_report(report: Report) -> bytes:
    # A group's reference is a named tuple, which orjson does not encode itself.
    return orjson.dumps(report, default=list, option=orjson.OPT_NON_STR_KEYS)


def decode_report(data: bytes | str) -> Report | None:
    """Return the report; `None` if it cannot be read, as one of another version may be."""
    try:
        return _REPORT.validate_json(data)
    except ValidationError:
        return None
