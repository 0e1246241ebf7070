"""Reads dead letters page by page, so that memory does not grow with their number.

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
from numbergroup.ledger.dead_letters.letter import Letter, Position, decode_letter
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup_contracts.results import ErrorInfo

_FIRST_COUNT = 16
_MAX_COUNT = 500
_PAGE_BYTES = 4 * 1024 * 1024
_MAX_PARTITION = 65_535
_MAX_DIGITS = 19
_SURROGATE = re.compile("[\ud800-\udfff]")
_ID_FROM_ENTRY = re.compile("entry:([0-9]{1,4}):([0-9]{1,15}-[0-9]{1,15})")


class LetterReader:
    """Reads the dead letters of one ledger."""

    def __init__(self, client: Redis) -> None:
        # `Any`, because the client's types are wrong about arguments and answers in bytes.
        self._client: Any = client

    async def server_time(self) -> datetime:
        """Return the server's time, which dates the letters."""
        async with translate_errors(LedgerUnavailable):
            seconds, micros = await self._client.time()
        return datetime.fromtimestamp(seconds + micros / 1_000_000, UTC)

    async def read_partition_count(self) -> int:
        """Return the number of partitions in force; 1 before the first worker."""
        async with translate_errors(LedgerUnavailable):
            stored = await self._client.get(keys.PARTITIONS)
        return max(1, decode_partitions(stored)) if stored else 1

    async def find_partitions(self) -> list[int]:
        """Return the partitions that have, had or may have letters."""
        async with translate_errors(LedgerUnavailable):
            members = await self._client.smembers(keys.DEAD_LETTER_PARTITIONS)
        known = {int(member) for member in members if member.isdigit() and len(member) < 6}
        return sorted(
            {number for number in known if number <= _MAX_PARTITION}
            | set(range(await self.read_partition_count()))
        )

    async def count(self) -> int:
        """Return the number of letters, from the lengths of their streams."""
        return sum(await self._lengths("xlen", keys.DEAD_LETTERS))

    async def scan(self, *, newest_first: bool = False) -> AsyncIterator[Letter]:
        """Yield every letter that exists now, over all partitions, in the order in which they were
        written."""
        partitions = await self.find_partitions()
        sign = -1 if newest_first else 1
        cursors = [
            _Cursor(self._client, partition, len(partitions), newest_first) for partition in partitions
        ]
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
        """Return the existing letters among these ids, by id."""
        letters: dict[str, Letter] = {}
        # An argument of the command line that is not UTF-8 is no letter's id, and Redis cannot be asked for
        # it.
        ids = [letter_id for letter_id in ids if letter_id.isascii() or not _SURROGATE.search(letter_id)]
        if not ids:
            return letters
        partitions = await self.find_partitions()
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for partition in partitions:
                pipe.hmget(keys.of_partition(partition, keys.DEAD_LETTER_INDEX), ids)
            rows = await pipe.execute()
        addresses = [
            (partition, entry.decode(errors="replace"))
            for partition, entries in zip(partitions, rows, strict=True)
            for entry in entries
            if entry
        ]
        addresses += [address for letter_id in ids if (address := _parse_entry_id(letter_id)) is not None]
        for letter in await self._fetch_entries(addresses):
            if letter is not None and letter.id in ids:
                letters[letter.id] = letter
        missing = set(ids) - letters.keys()
        if missing and await self.has_unindexed():
            async for letter in self.scan():
                if letter.id in missing:
                    letters[letter.id] = letter
        return letters

    async def has_unindexed(self) -> bool:
        """Whether some letters are in no index, because they were written before there was one."""
        return await self.count() > sum(await self._lengths("hlen", keys.DEAD_LETTER_INDEX))

    async def fetch(self, positions: Sequence[Position]) -> list[Letter | None]:
        """Return the letters at these positions; `None` for a letter that no longer exists."""
        return await self._fetch_entries(
            [(position.partition_number, position.entry) for position in positions]
        )

    async def _fetch_entries(self, addresses: Sequence[tuple[int, str]]) -> list[Letter | None]:
        if not addresses:
            return []
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for partition, entry in addresses:
                pipe.xrange(keys.of_partition(partition, keys.DEAD_LETTERS), entry, entry)
            rows = await pipe.execute()
        return [
            decode_letter(partition, *row[0]) if row else None
            for (partition, _), row in zip(addresses, rows, strict=True)
        ]

    async def scan_fingerprints(self) -> AsyncIterator[tuple[str, int]]:
        """Yield each fingerprint with its number of letters, in no order."""
        cursor: Any = 0
        while True:
            async with translate_errors(LedgerUnavailable):
                cursor, page = await self._client.hscan(keys.FINGERPRINTS, cursor, count=_MAX_COUNT)
            for fingerprint, count in page.items():
                if count.isdigit() and len(count) <= _MAX_DIGITS:
                    yield fingerprint.decode(errors="replace"), int(count)
            if not cursor:
                return

    async def read_shapes(self, fingerprints: Sequence[str]) -> dict[str, ErrorInfo]:
        """Return what the letters of each fingerprint have in common; `#` stands for varying parts of
        messages."""
        if not fingerprints:
            return {}
        async with translate_errors(LedgerUnavailable):
            values = await self._client.hmget(keys.SHAPES, fingerprints)
        return {
            fingerprint: shape
            for fingerprint, data in zip(fingerprints, values, strict=True)
            if data and (shape := _shape(data))
        }

    async def read_ledger_id(self) -> str:
        """Return the ledger's id, which differs between ledgers; the first call creates it."""
        async with translate_errors(LedgerUnavailable):
            await self._client.set(keys.LEDGER_ID, secrets.token_hex(8), nx=True)
            ledger_id: bytes = await self._client.get(keys.LEDGER_ID)
        return ledger_id.decode(errors="replace")

    async def read_raw_shape(self, fingerprint: str) -> bytes | None:
        async with translate_errors(LedgerUnavailable):
            shape: bytes | None = await self._client.hget(keys.SHAPES, fingerprint)
        return shape

    async def read_decisions(self, groups: Sequence[tuple[str, Iterable[str]]]) -> list[Mapping[str, str]]:
        """Return, for each pair of a group's field and numbers, the later decisions on these numbers."""
        with_decisions = await self._find_with_decisions({field for field, _ in groups})
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            fields = [
                [keys.ALL_NUMBERS, *numbers] if field in with_decisions else [] for field, numbers in groups
            ]
            for (field, _), names in zip(groups, fields, strict=True):
                if names:
                    pipe.hmget(keys.since(field), names)
            answers = iter(await pipe.execute())
        return [
            {
                name: decision.decode(errors="replace")
                for name, decision in zip(names, next(answers), strict=True)
                if decision
            }
            if names
            else {}
            for names in fields
        ]

    async def _find_with_decisions(self, fields: set[str]) -> set[str]:
        """Return the groups with later decisions. Most groups have none, and cost one query."""
        ordered = sorted(fields)
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for field in ordered:
                pipe.exists(keys.since(field))
            answers = await pipe.execute()
        return {field for field, exists in zip(ordered, answers, strict=True) if exists}

    async def scan_decisions(self, field: str) -> AsyncIterator[tuple[str, str]]:
        """Yield all later decisions of one group, in no order; a number may come twice."""
        cursor: Any = 0
        while True:
            async with translate_errors(LedgerUnavailable):
                cursor, page = await self._client.hscan(keys.since(field), cursor, count=_MAX_COUNT)
            for number, decision in page.items():
                yield number.decode(errors="replace"), decision.decode(errors="replace")
            if not cursor:
                return

    async def scan_audit(self) -> AsyncIterator[tuple[str, Mapping[bytes, bytes]]]:
        """Yield the entries of operators' actions, the latest first."""
        last = "+"
        while True:
            async with translate_errors(LedgerUnavailable):
                rows = await self._client.xrevrange(keys.AUDIT, last, "-", count=_FIRST_COUNT)
            for entry, fields in rows:
                yield entry.decode(), fields
            if len(rows) < _FIRST_COUNT:
                return
            last = f"({rows[-1][0].decode()}"

    async def _lengths(self, command: str, name: str) -> list[int]:
        partitions = await self.find_partitions()
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            for partition in partitions:
                getattr(pipe, command)(keys.of_partition(partition, name))
            return [int(length) for length in await pipe.execute()]


class _Cursor:
    """Reads one partition's letters page by page; pages of large letters have fewer of them.

    `among` is the number of partitions that share the memory for pages.
    """

    def __init__(self, client: Any, partition: int, among: int, newest_first: bool) -> None:
        self._client, self._partition, self._newest_first = client, partition, newest_first
        self._stream = keys.of_partition(partition, keys.DEAD_LETTERS)
        self._page: deque[Letter] = deque()
        self._page_bytes = _PAGE_BYTES / among
        self._count = max(1, min(_FIRST_COUNT, round(1_000 / among)))
        self._start, self._end = ("+", "-") if newest_first else ("-", "+")

    async def begin(self) -> None:
        """Exclude letters that are written from now on: an edited letter would come twice."""
        if self._newest_first:
            return
        async with translate_errors(LedgerUnavailable):
            last = await self._client.xrevrange(self._stream, "+", "-", count=1)
        self._end = last[0][0].decode() if last else ""

    async def next(self) -> Letter | None:
        if not self._page and self._end:
            await self._read_page()
        return self._page.popleft() if self._page else None

    async def _read_page(self) -> None:
        read = self._client.xrevrange if self._newest_first else self._client.xrange
        async with translate_errors(LedgerUnavailable):
            rows = await read(self._stream, self._start, self._end, count=self._count)
        if len(rows) < self._count:
            self._end = ""
        if rows:
            self._start = f"({rows[-1][0].decode()}"
            self._page.extend(decode_letter(self._partition, *row) for row in rows)
            size = sum(len(value) for _, fields in rows for value in fields.values()) / len(rows)
            self._count = max(1, min(_MAX_COUNT, self._count * 2, int(self._page_bytes / (size + 1_000))))


def _head(letter: Letter, number: int, sign: int) -> tuple[int, int, int, Letter]:
    milliseconds, _, serial = letter.entry.partition("-")
    return sign * int(milliseconds), sign * int(serial), number, letter


def _parse_entry_id(letter_id: str) -> tuple[int, str] | None:
    """Return the partition and entry in the id of a letter that has no id of its own: see `Letter.id`."""
    match = _ID_FROM_ENTRY.fullmatch(letter_id)
    return None if match is None else (int(match[1]), match[2])


def _shape(data: bytes) -> ErrorInfo | None:
    try:
        return ErrorInfo.model_validate_json(data)
    except ValueError:
        return None
