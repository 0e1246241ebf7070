"""Reads the state of all workers, partitions and dead letters, for `status`. Changes nothing."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, TypeAdapter, ValidationError
from redis.asyncio import Redis

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.verdicts import Fault
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import decode_quarantines
from numbergroup.ledger.control_codec import (
    UnreadableEntry,
    decode_breakers,
    decode_count,
    decode_pauses,
    drop_mistyped,
)
from numbergroup.ledger.port import LedgerUnavailable, Pause
from numbergroup.ledger.reports import RedisReports, Report


class _Shape(BaseModel):
    kind: str
    code: str | None = None
    message: str = ""


_SHAPE = TypeAdapter(_Shape)
_LIFE = re.compile(rb"([0-9]{1,16}):([0-9]{1,16})")


@dataclass(slots=True, frozen=True)
class LiveWorker:
    """A live worker. `since` is in Unix seconds; `report` is `None` if it is missing or unreadable."""

    owner: str
    since: float
    report: Report | None


@dataclass(slots=True, frozen=True)
class LetterKind:
    """A kind of dead letters that failed alike: their number, and what they have in common."""

    fingerprint: str
    count: int
    kind: str
    code: str | None
    message: str


@dataclass(slots=True, frozen=True)
class Overview:
    """The state that the ledger knows. All times are the server's, in Unix seconds.

    `owners` is by partition. `oldest_at` has the time of each partition's oldest command, if the broker is
    this Redis. `kinds` of dead letters: the most frequent first. `problems`: what cannot be read and is left
    out.
    """

    now: float
    workers: Sequence[LiveWorker]
    owners: Sequence[str | None]
    oldest_at: Mapping[int, float]
    pauses: Mapping[str | GroupRef, Pause]
    breakers: Mapping[str, BreakerNotice]
    letters: int
    kinds: Sequence[LetterKind]
    problems: Sequence[str]
    quarantined: Mapping[GroupRef, Fault] = field(default_factory=dict)
    with_dead_letters: Collection[GroupRef] = frozenset()
    """Of the quarantined groups, those that have dead letters, or replays that wait."""


async def read_overview(client: Redis, partitions: int) -> Overview:
    """Return the overview. `partitions` is the number to assume if the ledger has none.

    Raises `LedgerUnavailable`.
    """
    junk: set[UnreadableEntry] = set()
    hashes = (
        *(keys.WORKERS, keys.PAUSES, keys.BREAKERS, keys.QUARANTINED),
        *(keys.FINGERPRINTS, keys.SHAPES),
    )
    texts = (keys.PARTITIONS, keys.DEAD_LETTER_COUNT)
    async with translate_errors(LedgerUnavailable):
        pipe = client.pipeline(transaction=False)
        pipe.time()
        for key in hashes:
            pipe.hgetall(key)
        for key in texts:
            pipe.get(key)
        answers = await pipe.execute(raise_on_error=False)
        values = drop_mistyped(dict(zip(("time", *hashes, *texts), answers, strict=True)), junk)
        seconds, micros = values["time"]
        now = float(seconds) + float(micros) / 1_000_000
        in_force = _partition_count(values[keys.PARTITIONS], partitions)
        owners, oldest_at = await _partition_facts(client, in_force, junk)
    alive = _alive(values[keys.WORKERS] or {}, now)
    reports = await RedisReports(client).read(list(alive))
    problems = [
        f"the report of {owner} cannot be read" for owner, report in reports.items() if report is None
    ]
    overview = Overview(
        now,
        [LiveWorker(owner, since, reports.get(owner)) for owner, since in alive.items()],
        owners,
        oldest_at,
        decode_pauses(values[keys.PAUSES] or {}, junk),
        decode_breakers(values[keys.BREAKERS] or {}, now, junk),
        decode_count(keys.DEAD_LETTER_COUNT, values[keys.DEAD_LETTER_COUNT] or b"0", junk),
        _kinds(values[keys.FINGERPRINTS] or {}, values[keys.SHAPES] or {}, junk),
        problems,
        decode_quarantines(values[keys.QUARANTINED] or {}),
    )
    kept = await _with_dead_letters(client, overview.quarantined, junk)
    overview = replace(overview, with_dead_letters=kept)
    problems += sorted(f"{' '.join(filter(None, entry[:2]))} cannot be read" for entry in junk)
    return overview


async def _with_dead_letters(
    client: Redis, groups: Collection[GroupRef], junk: set[UnreadableEntry]
) -> frozenset[GroupRef]:
    if not groups:
        return frozenset()
    async with translate_errors(LedgerUnavailable):
        pipe = client.pipeline(transaction=False)
        pipe.hmget(keys.DEAD_LETTER_GROUPS, [keys.group_field(ref) for ref in groups])
        answers = await pipe.execute(raise_on_error=False)
    (counts,) = drop_mistyped({keys.DEAD_LETTER_GROUPS: answers[0]}, junk).values()
    return frozenset(ref for ref, count in zip(groups, counts or (), strict=False) if count is not None)


async def _partition_facts(
    client: Redis, partitions: int, junk: set[UnreadableEntry]
) -> tuple[list[str | None], dict[int, float]]:
    pipe = client.pipeline(transaction=False)
    pipe.mget([keys.of_partition(number, keys.LEASE) for number in range(partitions)])
    for number in range(partitions):
        pipe.xrange(keys.commands(number), count=1)
    leases, *heads = await pipe.execute(raise_on_error=False)
    streams = drop_mistyped({keys.commands(number): head for number, head in enumerate(heads)}, junk)
    # An entry's id begins with the time of its arrival, in milliseconds.
    oldest_at = {
        number: int(head[0][0].split(b"-")[0]) / 1000 for number, head in enumerate(streams.values()) if head
    }
    (owners,) = drop_mistyped({"leases": leases}, junk).values()
    names = [owner.decode(errors="replace") if owner else None for owner in owners or [None] * partitions]
    return names, oldest_at


def _partition_count(stored: bytes | None, default: int) -> int:
    return int(stored) if stored and stored.isdigit() and 0 < len(stored) < 5 else default


def _alive(entries: Mapping[bytes, bytes], now: float) -> dict[str, float]:
    """Return since when each live worker is alive, the oldest first."""
    alive: dict[str, float] = {}
    for name, data in entries.items():
        life = _LIFE.fullmatch(data)
        if life and int(life[2]) > now * 1000:
            alive[name.decode(errors="replace")] = int(life[1]) / 1000
    return dict(sorted(alive.items(), key=lambda item: (item[1], item[0])))


def _kinds(
    counts: Mapping[bytes, bytes], shapes: Mapping[bytes, bytes], junk: set[UnreadableEntry]
) -> list[LetterKind]:
    kinds = []
    for name, data in counts.items():
        fingerprint = name.decode(errors="replace")
        try:
            shape = _SHAPE.validate_json(shapes.get(name, b""))
        except ValidationError:
            junk.add(UnreadableEntry(keys.SHAPES, fingerprint, "nothing"))
            shape = _Shape(kind="?", code=None, message="")
        count = decode_count(keys.FINGERPRINTS, data, junk, fingerprint)
        kinds.append(LetterKind(fingerprint, count, shape.kind, shape.code, shape.message))
    return sorted(kinds, key=lambda kind: (-kind.count, kind.fingerprint))
