"""One run: the real workers in the world of a plan, until all is done, and then every promise checked."""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from numbergroup.engine.commands import CommandKind, GroupRef
from numbergroup.engine.partition.poison_detection import CrashPolicy
from numbergroup.engine.policy import AccountPolicy, RetryPolicy
from numbergroup.runtime import rebalancer
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.routing import partition_by_handle
from numbergroup.runtime.worker import Worker
from numbergroup.vendors.attempt import Limits
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.keyring import Keyring
from numbergroup.vendors.nxcloud import CLASSES
from numbergroup.vendors.port import Credentials
from simulation.broker import SimulatedBroker
from simulation.carrying import SimulatedTransport, WatchedCaller
from simulation.checks import Checks, taken_in
from simulation.control_store import SimulatedControlStore
from simulation.ledger import SimulatedLedger, SimulatedLimiter
from simulation.loop import PROCESS, Process
from simulation.plans import ANYTHING, DOUBTFUL, MAX_CRASHES, AccountPlan, Broken, Fault, Plan
from simulation.poison import DeadlyBuilder, DeadlyEngine, DeadlyIntake, DeadlyProvider
from simulation.rollback import Rollback
from simulation.vendor import SECRET, SimulatedVendor
from simulation.world import World

LONGEST_S = 400.0
"""Virtual time after the last fault within which everything must have been settled."""

MOST_STEPS = 400_000

_CLASSES = FailureClassifier(CLASSES.codes, {"rate limit": FailureClass.THROTTLED})
_FORGIVING = replace(_CLASSES, unknown=FailureClass.RETRYABLE)
"""Of who knows that the vendor says anything."""
_RETRY = RetryPolicy(base_s=0.3, cap_s=3.0)


class _Silent:
    """A logger that says nothing, and costs nothing."""

    def nothing(self, *_said: object, **_more: object) -> None:
        return

    debug = info = warning = error = critical = exception = nothing


@contextmanager
def simulating() -> Iterator[None]:
    """While it lasts the worker logs nothing, and does not poll so often as to take up all the time."""
    silent, loud = _Silent(), []
    poll_s = rebalancer._POLL_S
    for module in [one for name, one in sys.modules.items() if name.startswith("numbergroup.")]:
        if hasattr(module, "log"):
            loud.append((module, module.log))
            module.log = silent  # type: ignore[attr-defined]
    rebalancer._POLL_S = 1.0
    try:
        yield
    finally:
        rebalancer._POLL_S = poll_s
        for module, log in loud:
            module.log = log


@dataclass(slots=True)
class Report:
    """`broken` is the promise that was not kept, if so."""

    plan: Plan
    broken: Broken | None
    fired: Counter[str]
    trace: list[str]
    virtual_s: float
    steps: int
    outcome: str
    """What came of it, as text: the same for the same plan."""


class Simulation:
    """The workers and the world of one plan."""

    def __init__(self, plan: Plan, *, traced: bool = False) -> None:
        self.plan = plan
        self.world = World(plan, traced=traced)
        self.ledger = SimulatedLedger(self.world)
        self.control_store = SimulatedControlStore(self.world)
        self.broker = SimulatedBroker(self.world, self.ledger)
        self.rollback = Rollback(self.world, self.ledger, self.broker)
        self.vendor = SimulatedVendor(self.world, self.ledger, self.control_store)
        self.taken = taken_in(plan)
        self.ledger.groups = {command.key: command.group for command in self.taken.firsts.values()}
        self.world.on_replay = self._replay
        self._free_at: dict[str, float] = {}
        self.world.start_worker = self._work
        self.world.on_pause = self._pause

    def _replay(self, *, mended: bool) -> None:
        """Let an operator try again what was refused, after the vendor has `mended`, or not."""
        self.vendor.mended |= mended
        for number, name in self.ledger.replay_all(self.taken.firsts.get):
            self.taken.answers[name] += 1
            self.world.fired["replayed"] += 1
            self.broker.tell(number)

    async def _work(self, process: Process) -> None:
        await self._worker(process).run()

    def _worker(self, process: Process) -> Worker:
        plan = self.plan
        limiters: dict[str, Any] = {}
        callers: dict[str, Any] = {}
        policies = {}
        for account in plan.accounts:
            limiters[account.name] = SimulatedLimiter(
                self.world, self._free_at, account.name, account.calls_per_second
            )
            callers[account.name], policies[account.name] = self._account(account, limiters[account.name])
        ports = Ports(
            self.broker,
            self.ledger,  # type: ignore[arg-type]
            self.control_store,
            DeadlyIntake(self.world),
            DeadlyBuilder(self.world, ["replies.*"]),
            self.world.clock,
            owner=process.name,
            lease_ttl_s=plan.lease_ttl_s,
            max_pending=plan.max_pending,
            caution=CrashPolicy(MAX_CRASHES, idle_s=plan.window_s + 5.0),
            partitions=plan.partitions,
            partition_of=partition_by_handle(plan.partitions),
            call_lasts_s=plan.window_s + 2.0,
        )
        engine = DeadlyEngine(policies, _RETRY, plan.linger_s)
        engine.world = self.world
        worker = Worker(engine, ports, callers, limiters, jitter=random.random)
        process.stop = worker.stop
        return worker

    def _pause(self, fault: Fault, paused: bool) -> None:
        """What an operator does."""
        target: str | GroupRef = self.plan.accounts[0].name
        if fault.kind == "group paused":
            refs = [*dict.fromkeys(command.group for command in self.taken.firsts.values())]
            target = refs[0] if refs else target
        self.control_store.operate(target, pause=paused)

    def _account(self, account: AccountPlan, limiter: SimulatedLimiter) -> tuple[Any, AccountPolicy]:
        plan, clock = self.plan, self.world.clock
        classes = _FORGIVING if any(fault.kind in ANYTHING for fault in plan.faults) else _CLASSES
        provider = DeadlyProvider("http://vendor/", classes=classes, acceptance_window_s=plan.window_s)
        object.__setattr__(provider, "world", self.world)
        caller = WatchedCaller(
            provider,
            Keyring(account.name, Credentials(account.name, SECRET)),
            SimulatedTransport(self.world, self.vendor, account),
            Limits(1.0, plan.timeout_s, plan.attempts),
            permit=limiter.acquire,
            wall_s=clock.wall,
            now_s=clock.now,
            monotonic_s=clock.monotonic,
        )
        policy = AccountPolicy(
            account.numbers_per_call,
            account.max_in_flight,
            provider.capabilities.commands | {CommandKind.RENAME},
            allows_marker=account.marker,
        )
        return caller, policy

    def _is_over(self) -> bool:
        world = self.world
        if world.failure is not None:
            return True
        return (
            self.broker.is_empty
            and world.loop.now >= world.disturbed_until
            and not self.vendor.on_its_way
            and all(process.alive and not process.frozen for process in world.processes.values())
        )

    def run(self) -> Report:
        """Run the plan to its end, and check."""
        world, plan = self.world, self.plan
        random.seed(f"worker {plan.seed}")
        try:
            over = world.loop.run(self._is_over, self._latest(), MOST_STEPS)
            if world.failure is None and not over:
                world.broken("liveness", f"it does not come to an end: {self._left()}")
            if world.failure is None:
                Checks(self.plan, world, self.ledger, self.broker, self.vendor, self.taken).check()
        finally:
            world.loop.bury()
        return Report(
            plan, world.failure, world.fired, world.trace, world.loop.now, world.loop.steps, self._outcome()
        )

    def _latest(self) -> float:
        planned = [fault.at + fault.for_s for fault in self.plan.faults if fault.unit == "s"]
        doubtful = sum(fault.kind in DOUBTFUL or fault.kind == "too slow" for fault in self.plan.faults)
        waits = [fault.for_s for fault in self.plan.faults] + [doubtful * (self.plan.window_s + 2.0)]
        published = [message.at for message in self.plan.messages]
        return max([*planned, *published, 0.0]) + sum(waits) + LONGEST_S

    def _left(self) -> str:
        left = [f"{number}:{[*some]}" for number, some in enumerate(self.broker.left) if some]
        return f"{', '.join(left)} of the messages are left, {self.vendor.on_its_way} requests on their way"

    def _outcome(self) -> str:
        groups = {name: sorted(groups.items(), key=str) for name, groups in self.vendor.groups.items()}
        return f"{self.world.loop.steps} {self.world.loop.now!r} {groups} {self.broker.replies}"


def run(plan: Plan, *, traced: bool = False) -> Report:
    """Run the plan once. A context of its own: nothing is left of it."""
    assert PROCESS.get() is None
    return Simulation(plan, traced=traced).run()
