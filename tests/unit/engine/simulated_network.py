"""The way to the vendor and back, in simulated time: what may go wrong on it, and what arrives late."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from engine_bench import LOST, UNREACHABLE, WINDOW_S
from model_vendor import ModelVendor

from numbergroup.engine.calls import AccountFault, Applied, Call, CallKind, Outcome, Throttled, Withheld
from numbergroup.engine.effects import StartCall

LOOKING = (CallKind.LIST, CallKind.FIND_CREATED, CallKind.READ_MEMBERS)
ACCEPTED_S = 60.0
"""The vendor takes no signature that is older."""

FATES = {
    "fine": 60,
    "not sent": 6,
    "throttled": 4,
    "account fault": 3,
    "withheld": 3,
    "lost": 6,
    "late": 8,
    "unanswered": 6,
    "late, then applied": 4,
    "late, then throttled": 3,
}


@dataclass(eq=False)
class Flight:
    """A call that was started; `outcome` once it is known how it ended."""

    started: StartCall
    sent_at: float
    outcome: Outcome | None = None
    doubt_until: float | None = None


@dataclass
class Network:
    """`late` has the requests that the vendor has yet to see, and when it will; `fired` what went wrong."""

    vendor: ModelVendor
    random: Random
    troubled: bool = True
    late: list[tuple[float, Call]] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)

    def carry(self, flight: Flight, now: float) -> None:
        """The vendor sees the request now, or later, or never; the answer is what the worker will hear."""
        call = flight.started.call
        fate = "fine"
        if self.troubled:
            (fate,) = self.random.choices(list(FATES), list(FATES.values()))
            self.fired[fate] += 1
        if "late" in fate or fate in ("lost", "unanswered"):
            self._doubt(flight, fate, now)
        if fate in ("fine", "unanswered") or fate == "late, then applied":
            flight.outcome = self.vendor.carry_out(call)
        if fate in ("lost", "late", "unanswered"):
            flight.outcome = LOST
        elif fate == "not sent":
            flight.outcome = UNREACHABLE
        elif fate.endswith("throttled"):
            flight.outcome = Throttled(self.random.choice([None, 0.0, 3.0]), "429", "slow down")
        elif fate == "account fault":
            flight.outcome = AccountFault("1003", "invalid signature")
        elif fate == "withheld":
            flight.outcome = Withheld()

    def _doubt(self, flight: Flight, fate: str, now: float) -> None:
        call = flight.started.call
        if call.kind in LOOKING:
            return
        flight.doubt_until = flight.sent_at + WINDOW_S
        last = flight.sent_at + ACCEPTED_S
        # A create is sent once: what goes wrong with it is not retried inside the call.
        if "late" in fate and now < last and not (call.kind is CallKind.CREATE and "," in fate):
            self.late.append((self.random.uniform(now, last), call))

    def arrive(self, now: float) -> None:
        """Let the vendor see what is due."""
        for when, call in sorted(self.late, key=lambda request: request[0]):
            if when <= now:
                self.late.remove((when, call))
                self.vendor.carry_out(call)
                self.fired["arrived late"] += 1

    def abandon(self, flights: list[Flight], now: float) -> None:
        """The worker loses its right to send. What it sent is seen now, later or never."""
        for flight in flights:
            if flight.outcome is None and self.random.random() < 0.5:
                call, last = flight.started.call, flight.sent_at + ACCEPTED_S
                if call.kind not in LOOKING and now < last:
                    self.late.append((self.random.choice([now, self.random.uniform(now, last)]), call))
            flight.outcome = flight.outcome or Applied("r0")
