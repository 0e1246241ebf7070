"""A bench for the engine: events go in by hand, effects are sorted into what a test asks about."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from engine_commands import BY_ID

from numbergroup.engine.calls import Call, Outcome, Unavailable
from numbergroup.engine.commands import Command, CommandKind, GroupRef
from numbergroup.engine.doubt import Doubt
from numbergroup.engine.effects import Effect, PublishBreaker, Settle, StartCall, WakeAt, WantPermit
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
from numbergroup.engine.policy import AccountPolicy, RetryPolicy
from numbergroup.engine.verdicts import Refusal, Verdict

LOST = Unavailable("no answer", in_doubt=True)
UNREACHABLE = Unavailable("not connected", in_doubt=False)
WINDOW_S = 61.0


class Bench:
    """One account, partition 0; `can`: more of its policy. Time stands still until `wait` is called."""

    def __init__(
        self,
        *,
        cap: int = 1000,
        max_in_flight: int = 16,
        linger_s: float = 0.0,
        marker: bool = True,
        supports: Iterable[CommandKind] = CommandKind,
        retry: RetryPolicy | None = None,
        isolation_per_second: float = math.inf,
        group_backlog: int = 5_000,
        room: int = 1_000_000,
        **can: Any,
    ) -> None:
        policy = AccountPolicy(
            *(cap, max_in_flight, frozenset(supports)),
            allows_marker=marker,
            isolation_per_second=isolation_per_second,
            **can,
        )
        self.engine = Engine({"default": policy}, retry or RetryPolicy(), linger_s, group_backlog, room)
        self.now = 1_000.0
        self.jitter = 0.5
        self.wanted: list[WantPermit] = []
        self.told: list[PublishBreaker] = []
        self.flights: list[StartCall] = []
        self.settles: list[Settle] = []
        self.alarm: float | None = None

    def feed(self, event: Event) -> list[Effect]:
        effects = self.engine.handle(event)
        for effect in effects:
            match effect:
                case WantPermit():
                    self.wanted.append(effect)
                case PublishBreaker():
                    self.told.append(effect)
                case StartCall():
                    self.flights.append(effect)
                case Settle():
                    self.settles.append(effect)
                case WakeAt():
                    self.alarm = effect.when
        return effects

    @property
    def permits_wanted(self) -> int:
        return len(self.wanted)

    def deliver(self, *items: Command | Refusal, facts: LookupResult | None = None) -> list[Effect]:
        return self.feed(Delivered(0, items, facts or LookupResult(), self.now))

    def grant(self) -> list[Effect]:
        """Grant one permit that was asked for."""
        assert self.wanted, "nobody asked for a permit"
        return self.feed(PermitGranted("default", self.now, self.wanted.pop(0).probe))

    def call(self) -> Call:
        """Grant permits until a call starts; the call."""
        before = len(self.flights)
        while len(self.flights) == before:
            self.grant()
        return self.flights[-1].call

    def answer(self, outcome: Outcome, *, doubt: bool | None = None, flight: int = 0) -> list[Effect]:
        """End a call in flight, the oldest one unless told. A lost answer leaves a doubt."""
        ended = self.flights.pop(flight)
        in_doubt = outcome is LOST if doubt is None else doubt
        until = self.now + WINDOW_S if in_doubt else None
        return self.feed(CallFinished(ended.call_id, outcome, self.now, self.jitter, until))

    def wait(self, seconds: float) -> list[Effect]:
        self.now += seconds
        return self.feed(Tick(self.now))

    def sleep(self) -> list[Effect]:
        """Let time pass until the engine's alarm goes off."""
        assert self.alarm is not None, "nothing to wait for"
        return self.wait(max(0.0, self.alarm - self.now))

    def own(self, *doubts: Doubt) -> None:
        """Begin with calls that the last owner may have sent to `BY_ID`."""
        self.feed(PartitionAcquired(0, {BY_ID: doubts} if doubts else {}, self.now))

    @property
    def calls_done(self) -> list[tuple[GroupRef, int]]:
        return [done for settle in self.settles for done in settle.calls_done]

    def lose_lease(self) -> None:
        self.feed(PartitionLost(0))

    def drain(self) -> None:
        self.feed(Drain())

    def run(
        self,
        vendor: Callable[[Call], Outcome],
        *,
        patience: int = 1_000,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Grant, send and answer until nothing waits any more, or `until` that is so."""
        for _ in range(patience):
            if until():
                return
            if self.flights:
                self.answer(vendor(self.flights[0].call))
            elif self.permits_wanted:
                self.grant()
            elif self.engine.memory_load(0):
                self.sleep()
            else:
                return
        raise AssertionError("it does not come to an end")

    @property
    def waiting(self) -> int:
        return self.engine.memory_load(0)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The first verdict on each command, by its id, in the order of settling."""
        found: dict[str, Verdict] = {}
        for settle in self.settles:
            for verdict in settle.verdicts:
                if isinstance(verdict, Verdict):
                    found.setdefault(verdict.command.key.id, verdict)
        return found

    @property
    def statuses(self) -> dict[str, str]:
        return {name: verdict.status.value for name, verdict in self.verdicts.items()}

    @property
    def bindings(self) -> dict[GroupRef, str | None]:
        return {ref: group_id for settle in self.settles for ref, group_id in settle.bindings.items()}

    @property
    def intents_done(self) -> list[GroupRef]:
        return [ref for settle in self.settles for ref in settle.intents_done]
