"""Reading the letters: page by page, so that memory does not grow with their number.

Every method may raise `LedgerUnavailable`.
"""

import heapq
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import decode_partitions
from numbergroup.ledger.dead_letters.letter import Letter, Position, decode
from numbergroup.ledger.dead_letters.staleness import EVERYTHING
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup_contracts.results import ErrorInfo

_FIRST_COUNT = 16
_MOST_COUNT = 500
_PAGE_BYTES = 4 * 1024 * 1024
_MOST_PARTITION = 65_535
_MOST_DIGITS = 19
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNNAMED = re.compile("entry:([0-9]{1,4}):([0-9]{1,15}-[0-9]{1,15})")


class LetterReader:
    """The letters of one ledger."""

    def __init__(self, client: Redis) -> None:
        # Its types leave open whether an answer is text, and want every argument to be.
        self._client: Any = client

    async def now(self) -> datetime:
        """The server's clock, by which letters are dated."""
        async with translate_errors(LedgerUnavailable):
            seconds, micros = await self._client.time()
        return datetime.fromtimestamp(seconds + micros / 1_000_000, UTC)

    async def partitions_in_force(self) -> int:
        """Into how many partitions commands go; one before the first worker."""
        async with translate_errors(LedgerUnavailable):
            stored = await self._client.get(keys.PARTITIONS)
        return max(1, decode_partitions(stored)) if stored else 1

    async def partitions(self) -> list[int]:
        """Those that have, had or may have letters."""
        async with translate_errors(LedgerUnavailable):
            found = await self._client.smembers(keys.LETTER_PARTITIONS)
        known = {int(one) for one in found if one.isdigit() and len(one) < 6}
        return sorted(
            {one for one in known if one <= _MOST_PARTITION} | set(range(await self.partitions_in_force()))
        )

    async def count(self) -> int:
        """How many letters there are, by the streams themselves."""
        return sum(await self._of_partitions("xlen", keys.DEAD_LETTERS))

    async def scan(self, *, newest_first: bool = False) -> AsyncIterator[Letter]:
        """Every letter that is there now, over all partitions in the order of their writing."""
        partitions = await self.partitions()
        sign = -1 if newest_first else 1
        cursors = [_Cursor(self._client, one, len(partitions), newest_first) for one in partitions]
        heads: list[tuple[int, int, int, Letter]] = []
        for number, cursor in enumerate(cursors):
            await cursor.begin()
            if (first := await cursor.next()) is not None:
                heads.append(_head(first, number, sign))
        heapq.heapify(heads)
        while heads:
            *_, number, letter = heads[0]
            yield letter
            following = await cursors[number].next()
            if following is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, _head(following, number, sign))

    async def find(self, ids: Sequence[str]) -> dict[str, Letter]:
        """The letters of these ids, as far as they are there."""
        found: dict[str, Letter] = {}
        # What was no UTF-8 on the command line is the id of no letter, and cannot be asked for.
        ids = [one for one in ids if one.isascii() or not _SURROGATE.search(one)]
        if not ids:
            return found
        partitions = await self.partitions()
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for one in partitions:
                pipe.hmget(keys.of_partition(one, keys.LETTER_INDEX), ids)
            rows = await pipe.execute()
        places = [
            (partition, entry.decode(errors="replace"))
            for partition, entries in zip(partitions, rows, strict=True)
            for entry in entries
            if entry
        ]
        places += [place for one in ids if (place := _unnamed(one)) is not None]
        for letter in await self._at(places):
            if letter is not None and letter.id in ids:
                found[letter.id] = letter
        missing = set(ids) - found.keys()
        if missing and await self.has_unindexed():
            async for letter in self.scan():
                if letter.id in missing:
                    found[letter.id] = letter
        return found

    async def has_unindexed(self) -> bool:
        """Whether there are letters that cannot be found by their id: of a time when there was no index."""
        return await self.count() > sum(await self._of_partitions("hlen", keys.LETTER_INDEX))

    async def fetch(self, positions: Sequence[Position]) -> list[Letter | None]:
        """The letters at these places; `None` for one that is there no longer."""
        return await self._at([(one.partition_number, one.entry) for one in positions])

    async def _at(self, places: Sequence[tuple[int, str]]) -> list[Letter | None]:
        if not places:
            return []
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for partition, entry in places:
                pipe.xrange(keys.of_partition(partition, keys.DEAD_LETTERS), entry, entry)
            rows = await pipe.execute()
        return [
            decode(partition, *row[0]) if row else None
            for (partition, _), row in zip(places, rows, strict=True)
        ]

    async def fingerprints(self) -> AsyncIterator[tuple[str, int]]:
        """How many letters have each fingerprint, in no order. Not counted: those that have none."""
        cursor: Any = 0
        while True:
            async with translate_errors(LedgerUnavailable):
                cursor, page = await self._client.hscan(keys.FINGERPRINTS, cursor, count=_MOST_COUNT)
            for fingerprint, count in page.items():
                if count.isdigit() and len(count) <= _MOST_DIGITS:
                    yield fingerprint.decode(errors="replace"), int(count)
            if not cursor:
                return

    async def shapes(self, fingerprints: Sequence[str]) -> dict[str, ErrorInfo]:
        """What letters of a fingerprint have in common; what varies in the message is `#`."""
        if not fingerprints:
            return {}
        async with translate_errors(LedgerUnavailable):
            found = await self._client.hmget(keys.SHAPES, fingerprints)
        return {
            fingerprint: shape
            for fingerprint, data in zip(fingerprints, found, strict=True)
            if data and (shape := _shape(data))
        }

    async def ledger_id(self) -> str:
        """What tells this ledger from others; made up when it is first asked for."""
        async with translate_errors(LedgerUnavailable):
            await self._client.set(keys.LETTER_LEDGER, secrets.token_hex(8), nx=True)
            found: bytes = await self._client.get(keys.LETTER_LEDGER)
        return found.decode(errors="replace")

    async def raw_shape(self, fingerprint: str) -> bytes | None:
        async with translate_errors(LedgerUnavailable):
            found: bytes | None = await self._client.hget(keys.SHAPES, fingerprint)
        return found

    async def since(self, asked: Sequence[tuple[str, Iterable[str]]]) -> list[Mapping[str, str]]:
        """What was decided since, for each of these groups (as fields) about these numbers."""
        known = await self._watched({field for field, _ in asked})
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            fields = [[EVERYTHING, *numbers] if field in known else [] for field, numbers in asked]
            for (field, _), some in zip(asked, fields, strict=True):
                if some:
                    pipe.hmget(keys.since(field), some)
            answers = iter(await pipe.execute())
        return [
            {
                name: word.decode(errors="replace")
                for name, word in zip(some, next(answers), strict=True)
                if word
            }
            if some
            else {}
            for some in fields
        ]

    async def _watched(self, fields: set[str]) -> set[str]:
        """Those of which anything was decided. Most letters' groups are quiet: they cost one look."""
        ordered = sorted(fields)
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for field in ordered:
                pipe.exists(keys.since(field))
            answers = await pipe.execute()
        return {field for field, there in zip(ordered, answers, strict=True) if there}

    async def all_since(self, field: str) -> AsyncIterator[tuple[str, str]]:
        """All that was decided of one group, in no order; a number may come twice."""
        cursor: Any = 0
        while True:
            async with translate_errors(LedgerUnavailable):
                cursor, page = await self._client.hscan(keys.since(field), cursor, count=_MOST_COUNT)
            for number, word in page.items():
                yield number.decode(errors="replace"), word.decode(errors="replace")
            if not cursor:
                return

    async def audit(self) -> AsyncIterator[tuple[str, Mapping[bytes, bytes]]]:
        """What operators did, the last first."""
        last = "+"
        while True:
            async with translate_errors(LedgerUnavailable):
                rows = await self._client.xrevrange(keys.AUDIT, last, "-", count=_FIRST_COUNT)
            for entry, fields in rows:
                yield entry.decode(), fields
            if len(rows) < _FIRST_COUNT:
                return
            last = f"({rows[-1][0].decode()}"

    async def _of_partitions(self, command: str, name: str) -> list[int]:
        partitions = await self.partitions()
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for one in partitions:
                getattr(pipe, command)(keys.of_partition(one, name))
            return [int(length) for length in await pipe.execute()]


class _Cursor:
    """One partition's letters, page by page: pages have fewer where letters are large."""

    def __init__(self, client: Any, partition: int, among: int, newest_first: bool) -> None:
        self._client, self._partition, self._newest_first = client, partition, newest_first
        self._stream = keys.of_partition(partition, keys.DEAD_LETTERS)
        self._page: deque[Letter] = deque()
        self._page_bytes = _PAGE_BYTES / among
        self._count = max(1, min(_FIRST_COUNT, round(1_000 / among)))
        self._at, self._end = ("+", "-") if newest_first else ("-", "+")

    async def begin(self) -> None:
        """What is written from now on is not among them: an edited letter would come twice."""
        if self._newest_first:
            return
        async with translate_errors(LedgerUnavailable):
            last = await self._client.xrevrange(self._stream, "+", "-", count=1)
        self._end = last[0][0].decode() if last else ""

    async def next(self) -> Letter | None:
        if not self._page and self._end:
            await self._turn()
        return self._page.popleft() if self._page else None

    async def _turn(self) -> None:
        read = self._client.xrevrange if self._newest_first else self._client.xrange
        async with translate_errors(LedgerUnavailable):
            rows = await read(self._stream, self._at, self._end, count=self._count)
        if len(rows) < self._count:
            self._end = ""
        if rows:
            self._at = f"({rows[-1][0].decode()}"
            self._page.extend(decode(self._partition, *row) for row in rows)
            size = sum(len(value) for _, fields in rows for value in fields.values()) / len(rows)
            self._count = max(1, min(_MOST_COUNT, self._count * 2, int(self._page_bytes / (size + 1_000))))


def _head(letter: Letter, number: int, sign: int) -> tuple[int, int, int, Letter]:
    milliseconds, _, serial = letter.entry.partition("-")
    return sign * int(milliseconds), sign * int(serial), number, letter


def _unnamed(letter_id: str) -> tuple[int, str] | None:
    """The place that is said in the id of a letter without one: see `Letter.id`."""
    place = _UNNAMED.fullmatch(letter_id)
    return None if place is None else (int(place[1]), place[2])


def _shape(data: bytes) -> ErrorInfo | None:
    try:
        return ErrorInfo.model_validate_json(data)
    except ValueError:
        return None
