"""A runtime for the real engine in simulated time: broker, ledger, permits and clock, all random.

Everything that may come in any order does: look-ups are old when they are delivered, permits come when
they come, answers are written some time after they were decided, and the lease is lost now and then.
Each seed replays exactly.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from engine_wire import results
from model_vendor import ModelVendor
from settlements import settlement_of
from simulated_network import Flight, Network

from numbergroup.engine.calls import CHANGING, AccountFault, CallKind, Throttled
from numbergroup.engine.commands import Command, CommandKey, CommandKind, Entry, GroupRef
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.effects import Settle, StartCall, WakeAt, WantPermit
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import (
    CallFinished,
    Delivered,
    Drain,
    Event,
    LookupResult,
    PartitionAcquired,
    PartitionLost,
    PermitGranted,
    Tick,
)
from numbergroup.engine.group.creation import intent_of_call
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.verdicts import Record, Refusal


@dataclass
class Ledger:
    settled: dict[CommandKey, Record] = field(default_factory=dict)
    bindings: dict[GroupRef, str] = field(default_factory=dict)
    intents: dict[GroupRef, CreateIntent] = field(default_factory=dict)
    calls: dict[GroupRef, tuple[int, list[Doubt]]] = field(default_factory=dict)
    attempted: set[CommandKey] = field(default_factory=set)

    def look_up(self, items: list[Command | Refusal]) -> LookupResult:
        """What the real one looks up: intents for creates only."""
        commands = [item for item in items if isinstance(item, Command)]
        created = [c.group for c in commands if c.kind is CommandKind.CREATE]
        return LookupResult(
            {c.key: self.settled[c.key] for c in commands if c.key in self.settled},
            {c.group: self.bindings[c.group] for c in commands if c.group in self.bindings},
            {ref: self.intents[ref] for ref in created if ref in self.intents},
        )


@dataclass
class Runtime:
    """`log` is the broker's: unsettled messages by tag, in order; `side` what is settled of each."""

    random: Random
    vendor: ModelVendor
    policy: AccountPolicy
    linger_s: float = 0.0
    now: float = 1_800_000_000.0
    log: dict[str, bytes] = field(default_factory=dict)
    side: dict[str, set[int]] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    replies: Counter[str] = field(default_factory=Counter)
    order: dict[GroupRef, list[CommandKey]] = field(default_factory=dict)
    commands: dict[CommandKey, Command] = field(default_factory=dict)
    losses: int = 0
    handovers: int = 0
    draining: bool = False

    def __post_init__(self) -> None:
        self.engine = Engine({"default": self.policy}, linger_s=self.linger_s)
        self.network = Network(self.vendor, self.random)
        self.flights: list[Flight] = []
        self.ghosts: list[Flight] = []
        self.unwritten: list[Settle] = []
        self.unread: list[str] = []
        self.looked_up: Delivered | None = None
        self.wanted: list[WantPermit] = []
        self.granted = 0
        self.alarm: float | None = None
        self.paused_until = 0.0
        self.faulty: set[GroupRef] = set()

    def publish(self, tag: str, body: bytes) -> None:
        self.log[tag] = body
        self.unread.append(tag)

    def feed(self, event: Event) -> None:
        for effect in self.engine.handle(event):
            match effect:
                case WantPermit():
                    self.wanted.append(effect)
                case StartCall():
                    self._start(effect)
                case Settle():
                    self.unwritten.append(effect)
                case WakeAt():
                    self.alarm = effect.when

    def _start(self, started: StartCall) -> None:
        assert not self.draining, "a call of a partition that is being handed over"
        assert self.granted, "a call without a permit"
        self.granted = 0
        assert self.now >= self.paused_until, "a call before the account's pause ended"
        assert started.ref not in [flight.started.ref for flight in self.flights], "two calls for a group"
        self.flights.append(Flight(started, self.now))
        assert len(self.flights) + len(self.ghosts) <= self.policy.max_in_flight, "too many calls at once"
        if started.call.kind is CallKind.CREATE:
            while self.write():
                pass
            self.ledger.intents[started.ref] = intent_of_call(started.call, self.now + 61.0)
        elif started.call.kind in CHANGING:
            known = [*started.doubts, Doubt(started.call, self.now + 61.0)]
            self.ledger.calls[started.ref] = (started.call_id, known)
            if started.created_group and started.ref in self.ledger.intents:
                self.ledger.intents[started.ref] = started.created_group
        self.ledger.attempted.update(started.expirable_keys)

    # What may happen next. Each says whether it did.

    def look_up(self) -> bool:
        if self.looked_up is not None or not self.unread:
            return False
        items: list[Command | Refusal] = []
        for _ in range(self.random.randint(1, min(4, len(self.unread)))):
            tag = self.unread.pop(0)
            items += Intake().read(Entry(0, tag, self.log[tag], settled=set(self.side.get(tag, ()))))
        self.looked_up = Delivered(0, items, self.ledger.look_up(items), 0.0)
        return True

    def deliver(self) -> bool:
        found, self.looked_up = self.looked_up, None
        if found is not None:
            self.feed(Delivered(0, found.items, found.facts, self.now))
        return found is not None

    def grant(self) -> bool:
        if not self.wanted:
            return False
        self.granted = 1
        self.feed(PermitGranted("default", self.now, self.wanted.pop(0).probe))
        self.granted = 0
        return True

    def carry(self) -> bool:
        waiting = [flight for flight in self.flights if flight.outcome is None]
        if waiting:
            self.network.carry(self.random.choice(waiting), self.now)
        return bool(waiting)

    def answer(self) -> bool:
        done = [flight for flight in self.flights + self.ghosts if flight.outcome is not None]
        if not done:
            return False
        flight = self.random.choice(done)
        (self.flights if flight in self.flights else self.ghosts).remove(flight)
        outcome = flight.outcome
        assert outcome is not None
        if isinstance(outcome, Throttled):
            pause_s = 1.0 if outcome.retry_after_s is None else outcome.retry_after_s
            self.paused_until = max(self.paused_until, self.now + pause_s)
        elif isinstance(outcome, AccountFault) and flight.started.ref not in self.faulty:
            # The second time it may be known for the group's own.
            self.faulty.add(flight.started.ref)
            self.paused_until = max(self.paused_until, self.now + 5.0)
        jitter = self.random.random()
        self.feed(CallFinished(flight.started.call_id, outcome, self.now, jitter, flight.doubt_until))
        return True

    def write(self) -> bool:
        if not self.unwritten:
            return False
        some = self.random.randint(1, len(self.unwritten))
        settles, self.unwritten = self.unwritten[:some], self.unwritten[some:]
        unit = settlement_of(settles, self.now)
        self.replies.update(result.data.command.id for result in results(unit))
        for settle in settles:
            for verdict in settle.verdicts:
                assert not isinstance(verdict, Refusal)
                self.commands.setdefault(verdict.command.key, verdict.command)
        for command, record in unit.records:
            key = command.key
            assert key not in self.ledger.settled, "two outcomes for one command"
            self.ledger.settled[key] = record
            self.order.setdefault(self.commands[key].group, []).append(key)
        for ref, group_id in unit.bindings.items():
            self.ledger.bindings.pop(ref, None)
            if group_id is not None:
                self.ledger.bindings[ref] = group_id
        for ref in unit.intents_done:
            self.ledger.intents.pop(ref, None)
        self.ledger.attempted.difference_update(unit.attempts_done)
        for ref, call_id in unit.calls_done:
            if self.ledger.calls.get(ref, (call_id + 1, []))[0] <= call_id:
                del self.ledger.calls[ref]
        self.side |= {tag: set(indexes) for tag, indexes in unit.partial}
        for tag in unit.done:
            del self.log[tag]
        return True

    def wait(self) -> bool:
        """A moment, or, when nothing is under way, until the alarm."""
        moment = self.random.uniform(0.0, 3.0)
        if self.alarm is not None and self.alarm > self.now and not self.flights:
            moment = self.alarm - self.now
        self.pass_time(moment)
        return True

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.network.arrive(self.now)
        if self.alarm is not None and self.alarm <= self.now:
            self.alarm = None
            self.feed(Tick(self.now))

    def lose_lease(self) -> bool:
        """Forget everything that is not durable, and read the log from its start."""
        self.losses += 1
        self.feed(PartitionLost(0))
        self.network.abandon(self.flights, self.now)
        self.ghosts += self.flights
        self.flights, self.unwritten, self.looked_up = [], [], None
        self._own()
        return True

    def hand_over(self) -> bool:
        """See through what is in flight, and go on as the next owner."""
        self.handovers += 1
        self.feed(Drain(0))
        self.draining = True
        while self.flights:
            self.random.choice((self.carry, self.answer, self.grant, self.write, self.wait))()
        while self.write():
            pass
        self.feed(PartitionLost(0))
        self.draining, self.looked_up = False, None
        self._own()
        return True

    def _own(self) -> None:
        """Begin as an owner who knows what is in the ledger, and nothing else."""
        self.unread = list(self.log)
        calls = self.ledger.calls.items()
        doubts = {ref: [one for one in some if one.until > self.now] for ref, (_, some) in calls}
        live = {ref: some for ref, some in doubts.items() if some}
        self.feed(PartitionAcquired(0, live, self.now, self.ledger.attempted))

    def settle_down(self) -> None:
        """All is well from now on: work until nothing is left, then let the last late request arrive."""
        self.network.troubled = False
        for _ in range(5_000):
            steps = (self.write, self.look_up, self.deliver, self.carry, self.answer, self.grant)
            if any(step() for step in steps):
                continue
            if not self.log:
                break
            assert self.alarm is not None, "it waits for nothing"
            self.pass_time(max(0.0, self.alarm - self.now))
        assert not self.log, "it does not come to an end"
        self.pass_time(120.0)
