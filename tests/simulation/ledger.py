"""The ledger and the limiter of a simulated world: what `numbergroup.ledger.redis` does, in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from letter_book import LetterBook, description, field_of

from numbergroup.engine.commands import (
    Command,
    CommandKey,
    CommandKind,
    Entry,
    GroupRef,
    HandleKind,
    SequenceKey,
)
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.events import LookupResult
from numbergroup.engine.partition.poison_detection import History, InHand
from numbergroup.engine.records import DEAD_LETTERED, sequence_key
from numbergroup.engine.settling.dead_letters import DeadLetterRecord
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Fault, Record
from numbergroup.ledger.history import History as ServerHistory
from numbergroup.ledger.port import (
    CrashRecord,
    PartitionCountChanged,
    PreviousOwnerState,
    Seniority,
    UpcomingCall,
)
from simulation.world import World

_STRETCH = 1.08
"""As in the real limiter: no sliding second has more than it may, though requests close up on their way."""

_CHANGES = (CommandKind.ADD, CommandKind.DELETE, CommandKind.REPLACE)

_FRESH_S = 0.05
"""As in the real limiter: a permit that comes later than that is thrown away."""


class SimulatedLedger:
    """Everything is at the server; every method asks it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.records: dict[CommandKey, tuple[float, Record]] = {}
        self.bindings: dict[GroupRef, str] = {}
        self.intents: dict[GroupRef, CreateIntent] = {}
        self.sequences: dict[SequenceKey, tuple[float, int]] = {}
        self.calls: dict[int, dict[GroupRef, tuple[int, int, float, list[Doubt]]]] = defaultdict(dict)
        """By partition and group: under which epoch, up to which call, when, and what may take effect."""
        self.attempted: dict[int, dict[CommandKey, None]] = defaultdict(dict)
        """By partition: commands with an expirytime that were in a call, and are not settled."""
        self.partial: dict[int, dict[str, set[int]]] = defaultdict(dict)
        self.unacknowledged: dict[int, dict[str, int]] = defaultdict(dict)
        """By partition: messages that are answered and wait at the broker, and how many events each has."""
        self.letters: list[DeadLetterRecord] = []
        """All that were ever to be written: equal ones, as RabbitMQ has them, are one in the book."""
        self.book = LetterBook()
        self.replays: dict[int, list[str]] = defaultdict(list)
        """By partition: the tags of all messages that were ever in its side log."""
        self.failures: dict[CommandKey, int] = defaultdict(int)
        """How often each command was settled with a letter."""
        self.quarantined: dict[GroupRef, Fault] = {}
        self.order: dict[GroupRef, list[CommandKey]] = defaultdict(list)
        self.first: dict[CommandKey, Record] = {}
        """Every command's first record, kept for the checks beyond its lifetime."""
        self.leases: dict[int, tuple[str, float]] = {}
        self.epochs: dict[int, int] = defaultdict(int)
        self.crashes: dict[int, CrashRecord] = defaultdict(lambda: CrashRecord(History(), False, InHand()))
        self.last_owner: dict[int, str] = {}
        """Who has the partition, or left it without a release."""
        self.takeovers = 0
        self.units: dict[int, tuple[int, int]] = {}
        self.servers: dict[int, ServerHistory] = {}
        """Under which history each partition was acquired last."""
        self.losses: dict[int, float] = {}
        """When writes of a partition's owner may have been lost, as long as that matters."""
        self._recorded: dict[GroupRef, tuple[int, int]] = {}
        """Of each group: the last request of which epoch has recorded something."""
        self._requests = 0
        self._workers: dict[str, tuple[int, float]] = {}
        self.groups: dict[CommandKey, GroupRef] = {}
        """Whose command each is; told by whoever publishes."""

    # The port.

    @property
    def history(self) -> ServerHistory | None:
        return self._world.known_history()

    async def lookup(self, commands: Sequence[Command]) -> LookupResult:
        if not commands:
            return LookupResult()
        facts: LookupResult = await self._world.ask(
            "ledger", "lookup", partial(self._look_up, tuple(commands))
        )
        return facts

    def _look_up(self, commands: Sequence[Command]) -> LookupResult:
        now = self._world.loop.now
        settled, bindings, intents, sequences = {}, {}, {}, {}
        for command in commands:
            ref = command.group
            found = self.records.get(command.key)
            if found is not None and found[0] > now:
                settled[command.key] = found[1]
            if ref.kind is HandleKind.KEY and ref in self.bindings:
                bindings[ref] = self.bindings[ref]
            if command.kind is CommandKind.CREATE and ref in self.intents:
                intents[ref] = self.intents[ref]
            sequence = sequence_key(command)
            if sequence in self.sequences and self.sequences[sequence][0] > now:
                sequences[sequence] = self.sequences[sequence][1]
        groups = {command.group for command in commands}
        lettered = frozenset(ref for ref in groups if field_of(ref) in self.book.lettered)
        again = {command.group for command in commands if command.retry_history is not None}
        since = {ref: found for ref in again if (found := self.book.known_since(ref)) is not None}
        return LookupResult(
            settled, bindings, intents, sequences, with_dead_letters=lettered, later_writes=since
        )

    async def record_intent(self, sender: UpcomingCall, intent: CreateIntent) -> bool:
        comes_late = self._lateness(sender)

        def record() -> bool:
            if self.epochs[sender.partition] != sender.epoch:
                return False
            if comes_late():
                return True
            self.intents[sender.ref] = intent
            self.attempted[sender.partition].update(dict.fromkeys(sender.expirable_keys))
            return True

        return bool(await self._world.ask("ledger", "record intent", record, quick=True))

    async def record_call(self, sender: UpcomingCall, doubts: Sequence[Doubt], now: float) -> bool:
        relative = [replace(one, until=one.until - now) for one in doubts]

        comes_late = self._lateness(sender)

        def record() -> bool:
            if self.epochs[sender.partition] != sender.epoch:
                return False
            if comes_late():
                return True
            said = (sender.epoch, sender.call_id, self._world.loop.now, relative)
            self.calls[sender.partition][sender.ref] = said
            if sender.created_group and sender.ref in self.intents:
                self.intents[sender.ref] = sender.created_group
            self.attempted[sender.partition].update(dict.fromkeys(sender.expirable_keys))
            return True

        return bool(await self._world.ask("ledger", "record call", record, quick=True))

    def _lateness(self, sender: UpcomingCall) -> Callable[[], bool]:
        """To be asked where the request arrives: whether it was given up, and a later one of the group came
        before it."""
        self._requests += 1
        mine = (sender.epoch, self._requests)

        def comes_late() -> bool:
            if self._recorded.get(sender.ref, mine) > mine:
                return True
            self._recorded[sender.ref] = mine
            return False

        return comes_late

    async def read_previous_owner_state(self, partition: int) -> PreviousOwnerState:
        def load() -> PreviousOwnerState:
            found = {}
            for ref, (_, _, written, doubts) in self.calls[partition].items():
                ago = self._world.loop.now - written
                left = [replace(one, until=one.until - ago) for one in doubts]
                found[ref] = [one for one in left if one.until > 0]
            doubtful = {ref: doubts for ref, doubts in found.items() if doubts}
            lost_at = self.losses.get(partition)
            lost_s = None if lost_at is None else self._world.loop.now - lost_at
            return PreviousOwnerState(
                doubtful, tuple(self.attempted[partition]), dict(self.quarantined), lost_s
            )

        loaded: PreviousOwnerState = await self._world.ask("ledger", "load calls", load)
        return loaded

    async def delete_intent(self, ref: GroupRef, intent: CreateIntent) -> None:
        def drop() -> None:
            if self.intents.get(ref) == intent:
                del self.intents[ref]

        await self._world.ask("ledger", "drop intent", drop)

    async def acquire_lease(
        self, partition: int, owner: str, ttl_s: float, above_epoch: int = 0
    ) -> int | None:
        def acquire() -> int | None:
            holder = self.holder(partition)
            if holder is not None and holder != owner:
                return None
            self.units.pop(partition, None)
            self.leases[partition] = (owner, self._world.loop.now + ttl_s)
            history = self.servers.get(partition, self._world.history)
            is_other = partition in self.last_owner and history != self._world.history
            if is_other or above_epoch > self.epochs[partition]:
                self.losses[partition] = self._world.loop.now
            self.servers[partition] = self._world.history
            if self.last_owner.get(partition, owner) != owner:
                self.crashes[partition] = replace(self.crashes[partition], has_uncounted_crash=True)
            self.last_owner[partition] = owner
            self.epochs[partition] = max(self.epochs[partition], above_epoch) + 1
            self.takeovers += 1
            self._world.note(f"{owner} owns partition {partition}, epoch {self.epochs[partition]}")
            return self.epochs[partition]

        epoch: int | None = await self._world.ask("ledger", "acquire", acquire)
        return epoch

    async def renew_lease(self, partition: int, owner: str, epoch: int, ttl_s: float) -> bool:
        def renew() -> bool:
            if self.epochs[partition] != epoch or self.holder(partition) not in (None, owner):
                return False
            if self.last_owner.get(partition) != owner:
                return False
            self.leases[partition] = (owner, self._world.loop.now + ttl_s)
            return True

        return bool(await self._world.ask("ledger", "renew", renew))

    async def release_lease(self, partition: int, owner: str, epoch: int) -> None:
        def release() -> None:
            if self.epochs[partition] != epoch:
                return
            if self.holder(partition) == owner:
                del self.leases[partition]
            if (
                self.last_owner.pop(partition, None) == owner
                and not self.crashes[partition].has_uncounted_crash
            ):
                self.crashes[partition] = replace(self.crashes[partition], in_hand=InHand())

        await self._world.ask("ledger", "release", release)

    async def read_last_unit(self, partition: int) -> tuple[int, int]:
        def find() -> tuple[int, int]:
            epoch = self.epochs[partition]
            by, serial = self.units.get(partition, (epoch, 0))
            return epoch, serial if by == epoch else 0

        found: tuple[int, int] = await self._world.ask("ledger", "last unit", find)
        return found

    async def clear_loss(self, partition: int, epoch: int) -> None:
        def forget() -> None:
            if self.epochs[partition] == epoch:
                self.losses.pop(partition, None)

        await self._world.ask("ledger", "forget loss", forget)

    async def read_crash_record(self, partition: int) -> CrashRecord:
        notes: CrashRecord = await self._world.ask("ledger", "look", lambda: self.crashes[partition])
        return notes

    async def write_crash_history(self, partition: int, epoch: int, history: History) -> bool:
        return await self._note(partition, epoch, CrashRecord(history, False, InHand()))

    async def write_in_hand(self, partition: int, epoch: int, in_hand: InHand) -> bool:
        return await self._note(partition, epoch, replace(self.crashes[partition], in_hand=in_hand))

    async def _note(self, partition: int, epoch: int, notes: CrashRecord) -> bool:
        def note() -> bool:
            if self.epochs[partition] != epoch:
                return False
            self.crashes[partition] = notes
            return True

        return bool(await self._world.ask("ledger", "note", note))

    async def register(self, owner: str, partitions: int, ttl_s: float, since: int = 0) -> Seniority:
        def register() -> Seniority:
            if partitions != self._world.plan.partitions:
                raise PartitionCountChanged(partitions, self._world.plan.partitions)
            now = self._world.loop.now
            self._workers = {name: life for name, life in self._workers.items() if life[1] > now}
            start = self._workers[owner][0] if owner in self._workers else since or 1 + round(now * 1000)
            self._workers[owner] = (start, now + ttl_s)
            places = sorted((life[0], name) for name, life in self._workers.items())
            return Seniority(places.index((start, owner)), len(places), start)

        standing: Seniority = await self._world.ask("ledger", "register", register, quick=True)
        return standing

    async def unregister(self, owner: str) -> None:
        def leave() -> None:
            self._workers.pop(owner, None)

        await self._world.ask("ledger", "leave", leave)

    async def read_owners(self, partitions: int) -> Sequence[str | None]:
        def owners() -> list[str | None]:
            return [self.holder(number) for number in range(partitions)]

        found: list[str | None] = await self._world.ask("ledger", "owners", owners)
        return found

    async def read_partition_count(self) -> int | None:
        return self._world.plan.partitions

    # The operator.

    def replay_all(self, published: Callable[[CommandKey], Command | None]) -> list[tuple[int, str]]:
        """Let all refused changes of groups be tried again that are there by their ids; partitions and ids of
        the commands."""
        moved = []
        for letter_id, (_, letter) in [*self.book.letters.items()]:
            said = description(letter)
            if said["command"] is None or said["error"]["kind"] != "refused":
                continue
            command = published(CommandKey(said["command"]["source"], said["command"]["id"]))
            if command is None or command.kind not in _CHANGES or command.group.kind is not HandleKind.ID:
                continue
            entry = self.book.replay(letter_id)
            self.replays[said["partition"]].append(entry.tag)
            self._world.note(f"replayed {letter_id}")
            moved.append((said["partition"], command.key.id))
        return moved

    def side(self, partition: int, cursor: int, count: int) -> list[Entry]:
        """What is left in the side log beyond the cursor, and where each stood."""
        partial = self.partial[partition]
        tags = self.replays[partition][cursor:]
        left = [tag for tag in tags if tag in self.book.side][:count]
        return [self.book.read(tag, partition, partial.get(tag, ())) for tag in left]

    def side_end(self, partition: int, entries: Sequence[Entry], cursor: int) -> int:
        """The cursor behind these."""
        return self.replays[partition].index(entries[-1].tag) + 1 if entries else cursor

    # The server.

    def holder(self, partition: int) -> str | None:
        """Who has the partition's lease."""
        lease = self.leases.get(partition)
        return lease[0] if lease is not None and lease[1] > self._world.loop.now else None

    def write(self, unit: Settlement, epoch: int, serial: int) -> bool | None:
        """What of a unit is the ledger's, under the epoch, once. `None`: stale or late; False: again."""
        world, partition = self._world, unit.partition
        if self.epochs[partition] != epoch:
            world.fired["stale epoch"] += 1
            return None
        by, last = self.units.get(partition, (epoch, -1))
        if by == epoch and serial <= last:
            world.fired["late settlement"] += serial < last
            return False if serial == last else None
        self.units[partition] = (epoch, serial)
        for tag in unit.done:
            self.partial[partition].pop(tag, None)
        for tag in unit.forgotten:
            self.partial[partition].pop(tag, None)
            self.unacknowledged[partition].pop(tag, None)
        for tag, indexes in unit.partial:
            self.partial[partition][tag] = set(indexes)
        for tag, total in unit.unacknowledged:
            self.partial[partition].pop(tag, None)
            self.unacknowledged[partition][tag] = total
        for command, record in unit.records:
            self._record(command.key, record)
        self.letters += unit.dead_letters
        for tag, _ in unit.replayed:
            self.partial[partition].pop(tag, None)
        self.book.write(unit)
        for ref, group_id in unit.bindings.items():
            if group_id is None:
                self.bindings.pop(ref, None)
            else:
                self.bindings[ref] = group_id
        for ref, why in unit.quarantined.items():
            if why is None:
                self.quarantined.pop(ref, None)
            else:
                self.quarantined[ref] = why
        for ref in unit.intents_done:
            self.intents.pop(ref, None)
        for sequence, latest in unit.sequences.items():
            self.sequences[sequence] = (world.loop.now + world.plan.record_s, latest)
        for key in unit.attempts_done:
            self.attempted[partition].pop(key, None)
        for ref, call_id in unit.calls_done:
            by, last, *_ = self.calls[partition].get(ref, (epoch, call_id + 1))
            if by != epoch or last <= call_id:
                self.calls[partition].pop(ref, None)
        return True

    def _record(self, key: CommandKey, record: Record) -> None:
        world = self._world
        found = self.records.get(key)
        known = found is not None and found[0] > world.loop.now
        if found is not None and known and record.replays <= found[1].replays:
            world.broken("twice", f"{key.id} was settled a second time: {found[1]} became {record}")
        self.records[key] = (world.loop.now + world.plan.record_s, record)
        world.note(f"settled {key.id}: {record.status.value} {record.fault.kind if record.fault else ''}")
        self.failures[key] += record.status in DEAD_LETTERED
        if key in self.first:
            if record.replays:
                # In the place where it first stood.
                self.first[key] = record
            return
        self.first[key] = record
        ref = self.groups.get(key)
        if ref is not None:
            self.order[ref].append(key)


class SimulatedLimiter:
    """One account's limit, one for all workers: evenly spaced."""

    def __init__(self, world: World, free_at: dict[str, float], account: str, per_second: float) -> None:
        self._world = world
        self._free_at = free_at
        self._account = account
        self._interval_s = _STRETCH / per_second

    async def acquire(self, _most: int = 1) -> int:
        """Return when one call may be made."""
        held_up = False
        while True:
            asked = self._world.loop.now
            wait_s = await self._world.ask("ledger", "permit", self._take, quick=True)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif held_up or self._world.loop.now - asked <= _FRESH_S:
                return 1
            else:
                held_up = True

    def _take(self) -> float:
        now = self._world.loop.now
        wait_s = self._free_at.get(self._account, 0.0) - now
        if wait_s <= 0:
            self._free_at[self._account] = now + self._interval_s
            self._world.note(f"permit for {self._account}")
        return wait_s
