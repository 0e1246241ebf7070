"""Reports: what each worker says of itself, in the ledger, for as long as it goes on saying so."""

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

_LASTS_MS = 10_000
_PAGE = 100


@dataclass(slots=True, frozen=True)
class Report:
    """How a worker stood `at` that time (Unix seconds). `letters_written`: by this worker, since it began.
    `letters_cap`: with so many dead letters in the ledger it takes nothing more in; older versions do not
    report it."""

    owner: str
    version: str
    began_at: float
    at: float
    letters_written: int
    snapshot: Snapshot
    letters_cap: int | None = None


class Reports(Protocol):
    """Every method may raise `LedgerUnavailable`."""

    async def write(self, report: Report) -> None:
        """Replaces the worker's last one; ends by itself after 10 s."""

    async def drop(self, owner: str) -> None:
        """It has nothing more to say."""


class RedisReports:
    """See `Reports`."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def write(self, report: Report) -> None:
        said = encode_report(report)
        async with translate_errors(LedgerUnavailable):
            await self._client.set(keys.report(report.owner), said, px=_LASTS_MS)

    async def drop(self, owner: str) -> None:
        async with translate_errors(LedgerUnavailable):
            await self._client.delete(keys.report(owner))

    async def read(self, owners: Sequence[str]) -> Mapping[str, Report | None]:
        """The reports of these workers, where there are any; `None` for what cannot be read."""
        found: dict[str, Report | None] = {}
        for at in range(0, len(owners), _PAGE):
            page = owners[at : at + _PAGE]
            async with translate_errors(LedgerUnavailable):
                values = await self._client.mget([keys.report(owner) for owner in page])
            found |= {
                owner: decode_report(data)
                for owner, data in zip(page, values, strict=True)
                if data is not None
            }
        return found


_REPORT = TypeAdapter(Report)


def encode_report(report: Report) -> bytes:
    # A group's reference is a named tuple, which orjson leaves to us.
    return orjson.dumps(report, default=list, option=orjson.OPT_NON_STR_KEYS)


def decode_report(data: bytes | str) -> Report | None:
    """The report; `None` for what is none, and for one of another version that says other things."""
    try:
        return _REPORT.validate_json(data)
    except ValidationError:
        return None
