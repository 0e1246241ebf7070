"""The world of one run: its processes, what they ask of broker and ledger, and the faults of the plan."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from random import Random
from typing import Any

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.ledger.history import History, HistoryChanged, required_history
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.runtime.clock import Clock
from simulation.loop import PROCESS, Process, VirtualLoop
from simulation.plans import ASK_FAULTS, CALL_FAULTS, LOSSES, PROCESS_FAULTS, Broken, Fault, Plan

EPOCH = 1_800_000_000.0
"""Unix time at the start of a run."""

_CLIENT_TIMEOUT_S = 2.0
_FOUND_OUT_S = 6.0
_UNAVAILABLE = {"ledger": LedgerUnavailable, "broker": BrokerUnavailable}


class Died(BaseException):
    """Unwinds what a process was doing when it died of it."""


class SimulatedClock(Clock):
    """The loop's time."""

    __slots__ = ("_loop",)

    def __init__(self, loop: VirtualLoop) -> None:
        object.__setattr__(self, "_loop", loop)

    def now(self) -> float:
        return EPOCH + self._loop.now

    def monotonic(self) -> float:
        return self._loop.now

    def wall(self) -> float:
        return EPOCH + self._loop.now


class World:
    """`fired` counts the faults that happened; `trace` is kept when it is asked for."""

    def __init__(self, plan: Plan, *, traced: bool = False) -> None:
        self.plan = plan
        self.loop = VirtualLoop()
        self.random = Random(f"world {plan.seed}")
        self.clock = SimulatedClock(self.loop)
        self.traced = traced
        self.trace: list[str] = []
        self.fired: Counter[str] = Counter()
        self.failure: Broken | None = None
        self.processes: dict[int, Process] = {}
        self.generations: Counter[int] = Counter()
        self.calls = 0
        self.letters_fail = 0
        self.on_replay: Callable[..., None]
        """The operator, who lets what was refused be tried again."""
        self.vendor_away_until = 0.0
        self.trouble_until: dict[str, float] = defaultdict(float)
        """Until when the vendor answers so: `vendor down`, `bad credentials`, `vendor throttles`."""
        self.on_pause: Callable[[Fault, bool], None]
        """Told when an operator pauses something, and when it may go on."""
        self.disturbed_until = 0.0
        """Until when a fault lasts, as far as it is known by now."""
        self.start_worker: Callable[[Process], Awaitable[None]]
        self.on_loss: list[Callable[[int | None, Process | None], None]] = []
        """Told that connections to the broker are lost: of a partition's owner, or of a process."""
        self._away_until = {"ledger": 0.0, "broker": 0.0}
        self._stalled_until = self._settling_slow_until = 0.0
        self.history = History("server 0")
        """The ledger's; on Redis the broker's, too."""
        self._known: dict[str, History] = {}
        self.before_effect: Callable[[str], None] = lambda _what: None
        self.on_loss_of_writes: Callable[[int], None] = lambda _count: None
        self._asks: Counter[int] = Counter()
        self._steps: Counter[int] = Counter()
        self._at_ask: dict[tuple[int, int], list[Fault]] = defaultdict(list)
        self._at_call: dict[int, list[Fault]] = defaultdict(list)
        self._at_step: dict[int, list[Fault]] = defaultdict(list)
        for fault in plan.faults:
            self._arm(fault)
        for slot, at in enumerate(plan.starts):
            self.loop.later(at, self._start, slot)

    def _arm(self, fault: Fault) -> None:
        place = int(fault.at)
        if fault.unit == "s":
            self.disturbed_until = max(self.disturbed_until, fault.at)
            self.loop.later(fault.at, self._happen, fault)
        elif fault.unit == "ask":
            self._at_ask[fault.slot, place].append(fault)
        elif fault.unit == "call":
            self._at_call[place].append(fault)
        else:
            self._at_step[fault.slot].append(fault)

    def note(self, text: str) -> None:
        """Keep a line of the trace."""
        if self.traced:
            process = PROCESS.get()
            self.trace.append(f"{self.loop.now:10.4f}  {process.name if process else '-':8}  {text}")

    def broken(self, kind: str, sentence: str) -> None:
        """A promise is not kept: the run ends."""
        self.note(f"BROKEN {kind}: {sentence}")
        if self.failure is None:
            self.failure = Broken(kind, sentence, self.loop.now)

    def lag(self) -> float:
        """How long a message takes, in seconds: mostly a millisecond, seldom a tenth of a second."""
        draw = self.random.random()
        return 0.0005 + 0.002 * draw if draw < 0.97 else 0.1 * self.random.random()

    # Processes.

    def _start(self, slot: int) -> None:
        self.generations[slot] += 1
        process = Process(f"w{slot}.{self.generations[slot]}", slot, steps=self._steps[slot])
        self.processes[slot] = process
        self._set_trap(process)

        def start() -> None:
            PROCESS.set(process)
            self.note("starts")
            task = self.loop.create_task(self.start_worker(process))
            task.add_done_callback(lambda ended: self._ended(process, ended))

        copy_context().run(start)

    def _set_trap(self, process: Process) -> None:
        later = [fault for fault in self._at_step[process.slot] if fault.at > process.steps]
        if not later:
            process.trap_at = -1
            return
        nearest = min(later, key=lambda fault: fault.at)
        process.trap_at = int(nearest.at)

        def trap() -> None:
            self._set_trap(process)
            self.strike(process, nearest)

        process.trap = trap

    def _ended(self, process: Process, task: Any) -> None:
        process.alive = False
        self._steps[process.slot] = process.steps
        if not task.cancelled() and task.exception() is not None:
            self.broken("worker", f"{process.name} ended on an error of its own: {task.exception()!r}")
        self.note("ended")
        self._lose(None, process)

    def die(self, process: Process) -> None:
        """What is being carried out right now kills the process: nothing comes after it."""
        self.strike(process, Fault("kill", "step", process.steps, process.slot, self.plan.lease_ttl_s))
        self.fired["killed by a message"] += 1
        raise Died

    def strike(self, process: Process, fault: Fault) -> None:
        """Kill, freeze or stop the process, if it is there to suffer it."""
        if not process.alive or process.frozen:
            return
        self.note(f"{fault.kind} {process.name}")
        self.fired[fault.kind] += 1
        again_at = self.loop.now + fault.for_s
        self.disturbed_until = max(self.disturbed_until, again_at)
        if fault.kind == "freeze":
            process.frozen = True
            self.loop.later(fault.for_s, self._thaw, process)
            # RabbitMQ misses two heartbeats.
            self.loop.later(self.plan.lease_ttl_s / 2, self._unheard, process)
            return
        if fault.kind == "stop":
            process.stop()
            self.loop.later(25.5, self._must_have_ended, process, self.loop.now)
        else:
            process.alive = False
            self._steps[process.slot] = process.steps
            self._lose(None, process)
        self.loop.later(fault.for_s, self._restart, process)

    def _restart(self, process: Process) -> None:
        if process.alive:
            self.loop.later(0.5, self._restart, process)
        else:
            self._start(process.slot)

    def _must_have_ended(self, process: Process, asked_at: float) -> None:
        if process.alive and not process.frozen and not self.fired["freeze"]:
            self.broken(
                "stop", f"{process.name} was told to stop at {asked_at:.3f} s and still runs after 25 s"
            )

    def _thaw(self, process: Process) -> None:
        if process.alive:
            self.note(f"thaws {process.name}")
            self.loop.thaw(process)

    def _unheard(self, process: Process) -> None:
        if process.frozen:
            self._lose(None, process)

    def _lose(self, partition: int | None, process: Process | None) -> None:
        for tell in self.on_loss:
            tell(partition, process)

    # Faults.

    def _happen(self, fault: Fault) -> None:
        now = self.loop.now
        if fault.kind in PROCESS_FAULTS:
            process = self.processes.get(fault.slot)
            if process is not None:
                self.strike(process, fault)
            return
        self.note(str(fault))
        self.fired[fault.kind] += 1
        until = now + fault.for_s
        if fault.kind in ("ledger away", "broker away"):
            port = fault.kind.split()[0]
            # On Redis they are one server.
            for name in ("ledger", "broker") if self.plan.transactional else (port,):
                self._away_until[name] = max(self._away_until[name], until)
                if name == "broker":
                    self._lose(None, None)
        elif fault.kind in LOSSES:
            self.history = History(
                f"server {self.fired['writes are lost'] + self.fired['replica takes over']}"
            )
            self.on_loss_of_writes(fault.slot)
            for name in ("ledger", "broker") if self.plan.transactional else ("ledger",):
                self._away_until[name] = max(self._away_until[name], until)
            # Workers have to find out, and to write again what was lost.
            until += _FOUND_OUT_S
        elif fault.kind == "ledger stalls":
            self._stalled_until = max(self._stalled_until, until)
        elif fault.kind == "settling is slow":
            self._settling_slow_until = max(self._settling_slow_until, until)
        elif fault.kind == "vendor away":
            self.vendor_away_until = max(self.vendor_away_until, until)
        elif fault.kind in ("vendor down", "bad credentials", "vendor throttles", "vendor slow"):
            self.trouble_until[fault.kind] = max(self.trouble_until[fault.kind], until)
        elif fault.kind in ("account paused", "group paused"):
            self.on_pause(fault, True)
            self.loop.later(fault.for_s, self.on_pause, fault, False)
        elif fault.kind == "redelivery":
            self._lose(fault.slot % self.plan.partitions, None)
        elif fault.kind == "letters fail":
            self.letters_fail += int(fault.for_s)
            return
        elif fault.kind == "replay":
            self.on_replay(mended=bool(fault.slot))
            return
        self.disturbed_until = max(self.disturbed_until, until)

    def known_history(self) -> History | None:
        """What the process at work knows of the ledger's history: what its newest connection has found."""
        process = PROCESS.get()
        return None if process is None else self._known.get(process.name)

    def is_away(self, port: str) -> bool:
        return self._away_until[port] > self.loop.now

    def fate_of_call(self, process: Process) -> Fault | None:
        """What is to become of the request that is being written; the process may not survive it."""
        self.calls += 1
        fate = None
        for fault in self._at_call.get(self.calls, ()):
            if fault.kind in CALL_FAULTS:
                fate = fault
            elif fault.kind in LOSSES:
                self._happen(fault)
            else:
                self.strike(process, fault)
        if fate is not None:
            self.fired[fate.kind] += 1
            self.disturbed_until = max(self.disturbed_until, self.loop.now + fate.for_s)
        return fate

    # Requests to broker and ledger.

    async def ask(self, port: str, what: str, effect: Callable[[], Any], *, quick: bool = False) -> Any:
        """Have `effect` carried out, a little later, and its result brought back, later still.

        What was asked happens, whatever becomes of the process that asked. Raises what `effect` raises, or
        that the port is unavailable: before the effect, or after it.
        """
        process = PROCESS.get()
        assert process is not None
        answer = self.loop.create_future()
        if not process.alive:
            return await answer
        on_redis = port == "ledger" or self.plan.transactional
        if on_redis and not self.is_away(port):
            self._known[process.name] = self.history
            if required_history() not in (None, self.history):
                await asyncio.sleep(0.001)
                raise HistoryChanged("another server answers")
        fault, late_s = None, 0.0
        self._asks[process.slot] += 1
        for armed in self._at_ask.get((process.slot, self._asks[process.slot]), ()):
            if armed.kind in ASK_FAULTS:
                fault, late_s = armed.kind, armed.for_s
            else:
                self.strike(process, armed)
        if fault:
            self.fired[fault] += 1
            self.note(f"{what} {fault}")
        self.note(f"asks {port} to {what}")
        lag = 0.001 if quick else self.lag()
        if what == "settle" and self._settling_slow_until > self.loop.now:
            lag += 0.8 * self.random.random()
        late_s += max(0.0, self._stalled_until - self.loop.now)
        if late_s and (port == "ledger" or self.plan.transactional):
            # It is given up then. What the network has of it is delivered all the same.
            self.loop.later(_CLIENT_TIMEOUT_S, self._answer, answer, port, "given up", None)
            lag += late_s
        history = (required_history() or self.history) if on_redis else None
        self.loop.later(lag, self._perform, answer, port, what, effect, fault, quick, history)
        return await answer

    def _perform(
        self,
        answer: Any,
        port: str,
        what: str,
        effect: Callable[[], Any],
        fault: str | None,
        quick: bool,
        history: History | None,
    ) -> None:
        result: Any = None
        if fault == "fails before" or self.is_away(port) or history not in (None, self.history):
            # What was on its way to a server that is gone does not come to the next one.
            result, fault = None, "away"
        else:
            if history is not None:
                self.before_effect(what)
            try:
                result = effect()
            except Exception as error:
                result = error
        lag = 0.001 if quick else self.lag()
        self.loop.later(lag, self._answer, answer, port, fault, result, history)

    def _answer(
        self, answer: Any, port: str, fault: str | None, result: Any, history: History | None = None
    ) -> None:
        if answer.done():
            return
        if fault or self.is_away(port) or history not in (None, self.history):
            answer.set_exception(_UNAVAILABLE[port](fault or "away"))
        elif isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
