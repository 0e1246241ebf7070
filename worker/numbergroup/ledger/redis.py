"""Stores the ledger on Redis."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from numbergroup.engine.commands import CREATE, Command, GroupRef, HandleKind
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.events import LookupResult
from numbergroup.engine.partition.poison_detection import History, InHand
from numbergroup.engine.records import sequence_key
from numbergroup.ledger import dead_letter_lookup, history, keys
from numbergroup.ledger.calls import CallRecords
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import (
    decode_calls,
    decode_entries,
    decode_group_id,
    decode_intent,
    decode_partitions,
    decode_quarantines,
    decode_record,
    decode_sequence,
    encode_calls,
    encode_intent,
)
from numbergroup.ledger.connection import server_of
from numbergroup.ledger.crash_codec import decode_history, decode_in_hand, encode_history, encode_in_hand
from numbergroup.ledger.limiter import RedisLimiter
from numbergroup.ledger.losses import Losses, seconds_since
from numbergroup.ledger.port import (
    CrashRecord,
    LedgerUnavailable,
    PartitionCountChanged,
    PreviousOwnerState,
    Seniority,
    UpcomingCall,
)

# An expired lease can still be renewed while the epoch is the same: no other worker has acquired it. A
# released lease cannot: a renewal that the client gave up may arrive after the release.
_RENEW = """
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
if not owner and redis.call('HGET', KEYS[4], 'owner') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_DELETE_IF_EQUAL = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
"""

_RELEASE = """
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
if redis.call('HGET', KEYS[4], 'owner') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[4], 'owner')
-- The messages in hand at an uncounted crash are still needed.
if redis.call('HEXISTS', KEYS[4], 'unclean') == 0 then redis.call('HDEL', KEYS[4], 'in_hand') end
return 1
"""

_WRITE_CRASH_FIELD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], 'in_hand')
if ARGV[2] == 'history' then redis.call('HDEL', KEYS[2], 'unclean') end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
"""


class RedisLedger:
    """Implements `numbergroup.ledger.port.Ledger` on Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._server = server_of(client)
        self._has_dead_letters = False
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)
        self._delete_if_equal = client.register_script(_DELETE_IF_EQUAL)
        self._crash_field_script = client.register_script(_WRITE_CRASH_FIELD)
        self._losses = Losses(client)
        scripts = files(__package__)
        self._acquire = client.register_script(scripts.joinpath("acquire.lua").read_text())
        self._calls = CallRecords(client)
        self._register = client.register_script(scripts.joinpath("register.lua").read_text())
        self._repartition = client.register_script(scripts.joinpath("repartition.lua").read_text())

    @property
    def history(self) -> history.History | None:
        return self._server.current

    async def lookup(self, commands: Sequence[Command]) -> LookupResult:
        if not commands:
            return LookupResult()
        keyed_groups = [ref for ref in dict.fromkeys(c.group for c in commands) if ref.kind is HandleKind.KEY]
        created_groups = [c.group for c in commands if c.kind is CREATE]
        sequenced = [c for c in commands if c.sequence is not None]
        sequences = list(dict.fromkeys(key for c in sequenced if (key := sequence_key(c)) is not None))
        replayed = [c for c in commands if c.retry_history is not None]
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            pipe.exists(keys.DEAD_LETTER_GROUPS)
            groups = (
                dead_letter_lookup.add_queries(pipe, commands, replayed)
                if self._has_dead_letters or replayed
                else ()
            )
            pipe.mget([keys.settled(c.digest) for c in commands])
            if keyed_groups:
                pipe.hmget(keys.GROUP_KEYS, [keys.group_field(ref) for ref in keyed_groups])
            if created_groups:
                pipe.hmget(keys.CREATES, [keys.group_field(ref) for ref in created_groups])
            if sequences:
                pipe.mget([keys.sequence(key) for key in sequences])
            answers = dead_letter_lookup.raise_errors(await pipe.execute(raise_on_error=False), replayed)
            if answers[0] and not self._has_dead_letters and not replayed:
                # There are dead letters now: their facts need a second round trip, this once.
                pipe = self._client.pipeline(transaction=False)
                groups = dead_letter_lookup.add_queries(pipe, commands, replayed)
                answers[1:1] = await pipe.execute()
        self._has_dead_letters = bool(answers.pop(0))
        groups_with_letters, later_writes = dead_letter_lookup.pop_answers(answers, groups, replayed)
        records = answers.pop(0)
        ids = answers.pop(0) if keyed_groups else []
        intents = answers.pop(0) if created_groups else []
        latest = answers.pop(0) if sequences else []
        unreadable: set[GroupRef] = set()
        return LookupResult(
            {
                c.key: record
                for c, data in zip(commands, records, strict=True)
                if data and (record := decode_record(data))
            },
            decode_entries(keys.GROUP_KEYS, zip(keyed_groups, ids, strict=True), decode_group_id, unreadable),
            decode_entries(
                keys.CREATES, zip(created_groups, intents, strict=True), decode_intent, unreadable
            ),
            {
                key: number
                for key, data in zip(sequences, latest, strict=True)
                if data and (number := decode_sequence(data)) is not None
            },
            unreadable,
            groups_with_letters,
            later_writes,
        )

    async def record_intent(self, call: UpcomingCall, intent: CreateIntent) -> bool:
        return await self._record(call, 0, b"", intent)

    async def record_call(self, call: UpcomingCall, doubts: Sequence[Doubt], now: float) -> bool:
        lasts_ms = max(1, round(1000 * (max((doubt.until for doubt in doubts), default=now) - now)))
        return await self._record(call, lasts_ms, encode_calls(doubts, now), call.created_group)

    async def _record(
        self, call: UpcomingCall, lasts_ms: int, calls: bytes, intent: CreateIntent | None
    ) -> bool:
        expirable = [keys.command_member(key) for key in call.expirable_keys]
        args: list[bytes | str | int] = [keys.group_field(call.ref), call.call_id, lasts_ms]
        args += [calls, encode_intent(intent) if intent else b"", len(expirable), *expirable]
        return await self._calls.write(call.partition, call.epoch, args)

    async def read_previous_owner_state(self, partition: int) -> PreviousOwnerState:
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=True)
            pipe.time()
            pipe.hgetall(keys.of_partition(partition, keys.CALLS))
            pipe.smembers(keys.of_partition(partition, keys.ATTEMPTED))
            pipe.hgetall(keys.QUARANTINED)
            pipe.hget(keys.of_partition(partition, keys.CRASHES), "lost")
            (seconds, micros), recorded, members, quarantined, lost = await pipe.execute()
        now_ms = seconds * 1000 + micros // 1000
        attempted = (keys.parse_command(member) for member in members)
        inherited: dict[GroupRef, list[Doubt]] = {}
        for field, data in recorded.items():
            ref, doubts = keys.parse_group(field), decode_calls(data, now_ms)
            if ref is not None and doubts:
                inherited[ref] = doubts
                continue
            async with translate_errors(LedgerUnavailable):
                # The calls are over, or unreadable: no later write removes them.
                await self._delete_if_equal(
                    keys=[keys.of_partition(partition, keys.CALLS)], args=[field, data]
                )
        return PreviousOwnerState(
            inherited,
            {key for key in attempted if key is not None},
            decode_quarantines(quarantined),
            seconds_since(lost, now_ms),
        )

    async def delete_intent(self, ref: GroupRef, intent: CreateIntent) -> None:
        async with translate_errors(LedgerUnavailable):
            await self._delete_if_equal(
                keys=[keys.CREATES], args=[keys.group_field(ref), encode_intent(intent)]
            )

    async def acquire_lease(
        self, partition: int, owner: str, ttl_s: float, above_epoch: int = 0
    ) -> int | None:
        async with translate_errors(LedgerUnavailable):
            current = self._server.current or history.History()
            server = f"{current.run_id}:{current.replication_id}"
            epoch = await self._acquire(
                keys=_lease_keys(partition), args=[owner, round(ttl_s * 1000), above_epoch, server]
            )
        return int(epoch) or None

    async def renew_lease(self, partition: int, owner: str, epoch: int, ttl_s: float) -> bool:
        async with translate_errors(LedgerUnavailable):
            kept = await self._renew(keys=_lease_keys(partition), args=[owner, round(ttl_s * 1000), epoch])
        return bool(kept)

    async def release_lease(self, partition: int, owner: str, epoch: int) -> None:
        async with translate_errors(LedgerUnavailable):
            await self._release(keys=_lease_keys(partition), args=[owner, epoch])

    async def read_last_unit(self, partition: int) -> tuple[int, int]:
        return await self._losses.read_last_unit(partition)

    async def clear_loss(self, partition: int, epoch: int) -> None:
        await self._losses.clear(partition, epoch)

    async def read_crash_record(self, partition: int) -> CrashRecord:
        async with translate_errors(LedgerUnavailable):
            values: Any = await self._client.hmget(
                keys.of_partition(partition, keys.CRASHES), ["history", "unclean", "in_hand"]
            )
        history, unclean, in_hand = values
        return CrashRecord(decode_history(history), bool(unclean), decode_in_hand(in_hand))

    async def write_crash_history(self, partition: int, epoch: int, history: History) -> bool:
        return await self._write_crash_field(partition, epoch, "history", encode_history(history))

    async def write_in_hand(self, partition: int, epoch: int, in_hand: InHand) -> bool:
        return await self._write_crash_field(partition, epoch, "in_hand", encode_in_hand(in_hand))

    async def _write_crash_field(self, partition: int, epoch: int, name: str, value: bytes) -> bool:
        script_keys = [keys.of_partition(partition, key) for key in (keys.EPOCH, keys.CRASHES)]
        async with translate_errors(LedgerUnavailable):
            return bool(await self._crash_field_script(keys=script_keys, args=[epoch, name, value]))

    async def register(self, owner: str, partitions: int, ttl_s: float, since_ms: int = 0) -> Seniority:
        async with translate_errors(LedgerUnavailable):
            workers, rank, registered_at = await self._register(
                keys=[keys.WORKERS, keys.PARTITIONS], args=[owner, round(ttl_s * 1000), partitions, since_ms]
            )
        if not workers:
            raise PartitionCountChanged(partitions, decode_partitions(registered_at))
        return Seniority(int(rank), int(workers), int(registered_at))

    async def unregister(self, owner: str) -> None:
        async with translate_errors(LedgerUnavailable):
            await self._client.hdel(keys.WORKERS, owner)

    async def read_owners(self, partitions: int) -> Sequence[str | None]:
        async with translate_errors(LedgerUnavailable):
            owners: Any = await self._client.mget(
                [keys.of_partition(n, keys.LEASE) for n in range(partitions)]
            )
        return [owner.decode(errors="replace") if owner else None for owner in owners]

    async def read_partition_count(self) -> int | None:
        async with translate_errors(LedgerUnavailable):
            stored = await self._client.get(keys.PARTITIONS)
        return decode_partitions(stored) if stored else None

    async def repartition(self, old: int | None, new: int) -> int | None:
        # Without a stored number there is one partition: storing that number stops no worker.
        changed = range(max(old or 1, new)) if new != (old or 1) else ()
        names = [keys.of_partition(n, name) for n in changed for name in (keys.LEASE, keys.EPOCH)]
        async with translate_errors(LedgerUnavailable):
            in_the_way = await self._repartition(
                keys=[keys.WORKERS, keys.PARTITIONS, *names], args=[old or "", new]
            )
        return None if in_the_way < 0 else int(in_the_way)

    async def time_s(self) -> float:
        """Return the server's time, in Unix seconds."""
        async with translate_errors(LedgerUnavailable):
            seconds, micros = await self._client.time()
        return float(seconds) + float(micros) / 1_000_000

    def limiter(self, account: str, calls_per_second: float) -> "RedisLimiter":
        return RedisLimiter(self._client, account, calls_per_second)


def _lease_keys(partition: int) -> list[str]:
    return [
        keys.of_partition(partition, name)
        for name in (keys.LEASE, keys.EPOCH, keys.UNIT, keys.CRASHES, keys.RECORDED)
    ]
