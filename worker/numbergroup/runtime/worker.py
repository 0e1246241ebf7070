"""The worker: one engine, its partitions, and the callers of its accounts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, assert_never

from numbergroup.engine.commands import AccountFault, Applied, HandleKind
from numbergroup.engine.effects import Settle, StartCall, TellBreaker, WakeAt, WantPermit
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CallFinished, CredentialsChanged, Drain, Event, PermitGranted, Tick
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.port import Limiter
from numbergroup.ledger.reports import Report
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger, is_debug_enabled
from numbergroup.runtime.controls import ControlPoller
from numbergroup.runtime.lease import Lease
from numbergroup.runtime.partition import PartitionRunner
from numbergroup.runtime.permits import PermitQueue
from numbergroup.runtime.poison_guard import SoloMode, make_in_hand
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.rebalancer import Rebalancer
from numbergroup.runtime.recording import CallRecord
from numbergroup.runtime.reporting import Reporter
from numbergroup.runtime.rotation import CredentialRotation
from numbergroup.vendors.attempt import NO_STEPS, CallResult, pauses_account
from numbergroup.vendors.client import Caller

_DRAIN_S = 21.0

log = get_logger("worker")


def ignore_settlement(_unit: Settlement) -> None:
    """Whoever is not interested in what was settled."""


class Worker:
    """Run it once. `jitter` gives numbers in [0, 1); `written` is told of every durable settlement;
    `rotation` looks for other credentials of the callers."""

    def __init__(
        self,
        engine: Engine,
        ports: Ports,
        callers: Mapping[str, Caller],
        limiters: Mapping[str, Limiter],
        jitter: Callable[[], float],
        written: Callable[[Settlement], None] = ignore_settlement,
        rotation: CredentialRotation | None = None,
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._clock = ports.clock
        self._callers = callers
        self._jitter = jitter
        self._rotation = rotation
        self._stopping = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._turned_away: Counter[str] = Counter()
        """By account: calls that were told to wait, of which the engine will hear when it is written down."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._owning: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._permits = PermitQueue(
            limiters,
            ports.control_store,
            ports.clock,
            owner=ports.owner,
            # No request outlives the lease under which it was sent.
            probe_s=2 * ports.lease_ttl_s,
            jitter=jitter,
            wait_until_caught_up=self._wait_until_caught_up,
            dispatch=self._dispatch,
            use_permit=self._use_permit,
        )
        self._on_written = written
        self._letters_written = 0
        self._began_at = ports.clock.now()
        decode_lock, self._solo = asyncio.Lock(), SoloMode()
        self._partitions = [
            PartitionRunner(
                number,
                ports,
                dispatch=self._dispatch,
                count_pending=engine.memory_load,
                blocked_counts=engine.blocked_counts,
                on_written=self._note_written,
                decode_lock=decode_lock,
                solo=self._solo,
                jitter=jitter,
                find_open_calls=engine.open_calls,
            )
            for number in range(ports.partitions)
        ]
        self._sharing = Rebalancer(ports, self._partitions, self._own)
        self._listening = ControlPoller(ports, callers.keys(), self._dispatch, jitter)
        self._reporting = None if ports.reports is None else Reporter(ports.reports, self.make_report)

    def make_report(self) -> Report:
        """How it stands."""
        now = self._clock.now()
        who = self._ports.owner, self._ports.version
        return Report(
            *who,
            self._began_at,
            now,
            self._letters_written,
            self._engine.snapshot(now),
            letters_cap=self._ports.dead_letter_cap.limit,
        )

    @property
    def pending_count(self) -> int:
        """How many answers it owes."""
        return sum(partition.pending_count for partition in self._partitions)

    def stop(self) -> None:
        """Drain and end; a second call changes nothing."""
        if not self._stopping.is_set():
            log.info("stopping: no new calls, those in flight finish")
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`. Returns within 25 s of it; what could not be settled stays in the broker.

        Raises what is nobody's fault but ours, whichever part of the worker it broke: none goes on
        without the others.
        """
        self._working = self._spawn(self._work())
        self._owning.add(self._working)
        for name in self._callers:
            self._spawn(self._permits.run(name))
        self._spawn(self._permits.write_notices())
        if self._reporting is not None:
            self._spawn(self._reporting.run())
        if self._rotation is not None:
            self._spawn(self._rotation.run(self._credentials_changed))
        try:
            await self._stopping.wait()
            if self._broken is None:
                await self._drain()
        finally:
            if self._alarm:
                self._alarm.cancel()
            tasks = [*self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._reporting is not None and self._broken is None:
                await self._reporting.remove_report()
        if self._broken is not None:
            raise self._broken

    async def _work(self) -> None:
        # What is paused must be known before the first call can be made.
        await self._listening.start()
        self._spawn(self._listening.run())
        await self._sharing.run()

    async def _drain(self) -> None:
        failpoints.hit("stopping")
        self._dispatch(Drain())
        for partition in self._partitions:
            partition.lease.stop_sending()
        await self._sharing.leave()
        for partition in self._partitions:
            partition.stop()
        if not self._listening.has_started:
            # It waits for a ledger that is away, and has nothing in hand.
            self._working.cancel()
        failpoints.hit("register left")
        late = self._owning and (await asyncio.wait(self._owning, timeout=_DRAIN_S))[1]
        if late:
            log.warning("could not settle everything in time; the rest stays in the broker")

    def _note_written(self, unit: Settlement) -> None:
        self._letters_written += len(unit.letters)
        self._on_written(unit)

    def _own(self, partition: PartitionRunner) -> asyncio.Task[None]:
        task = self._spawn(partition.own())
        self._owning.add(task)
        task.add_done_callback(self._owning.discard)
        return task

    def _dispatch(self, event: Event, permitted_at: float | None = None) -> bool:
        """Whether a probe came of it. `permitted_at` (monotonic seconds; now): when its permit came."""
        probe = False
        for effect in self._engine.handle(event):
            match effect:
                case WantPermit():
                    self._permits.request(effect.account, probe=effect.probe)
                case StartCall():
                    probe |= effect.probe
                    partition = self._partitions[effect.partition]
                    partition.on_call_started()
                    # The lease under which it was decided: a later one does not cover it.
                    at = self._clock.monotonic() if permitted_at is None else permitted_at
                    self._spawn(self._call(effect, partition.lease, at))
                case Settle():
                    self._partitions[effect.partition].settle(effect)
                case TellBreaker():
                    self._permits.announce_breaker(effect.account, effect.notice)
                case WakeAt():
                    self._wake_at(effect.when)
                case _:
                    assert_never(effect)
        return probe

    async def _use_permit(self, event: PermitGranted, permitted_at: float) -> bool:
        """Dispatch the event: a batch is formed, which is a step of its own. Whether a probe came of it."""
        if not self._solo:
            return self._dispatch(event, permitted_at)
        turn = self._engine.next_turn(event.account)
        if turn is not None:
            in_hand = make_in_hand(Step.PLAN, turn.digests, turn.call_index)
            await self._partitions[turn.partition].pause_before(in_hand)
        async with self._solo.run_alone():
            turn = self._engine.next_turn(event.account)
            if turn is None:
                return self._dispatch(event, permitted_at)
            steps = self._partitions[turn.partition].make_call_steps(turn.digests, turn.call_index)
            if steps is None:
                return self._dispatch(event, permitted_at)
            await steps.enter_locked(make_in_hand(Step.PLAN, turn.digests, turn.call_index))
            used = self._dispatch(replace(event, now=self._clock.now(), only=turn.ref), permitted_at)
            await steps.leave_locked()
            return used

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """End at once, settling nothing more: whoever starts next finds it all in the broker."""
        if self._broken is None:
            log.critical("the worker ends on an unexpected error", exc_info=error)
            self._broken = error
        self._stopping.set()
        for task in self._owning:
            task.cancel()

    def _wake_at(self, when: float) -> None:
        if self._alarm:
            self._alarm.cancel()
        delay = max(0.0, when - self._clock.now())
        self._alarm = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._alarm = None
        try:
            self._dispatch(Tick(self._clock.now()))
        except Exception as error:
            # No task to die of it: the event loop would log it and go on.
            self._break(error)

    def _credentials_changed(self, account: str) -> None:
        self._dispatch(CredentialsChanged(account, self._clock.now()))

    async def _wait_until_caught_up(self) -> None:
        for partition in self._partitions:
            await partition.wait_until_caught_up()

    async def _call(self, effect: StartCall, lease: Lease, permitted_at: float) -> None:
        partition = self._partitions[effect.partition]
        record = CallRecord(effect, lease, self._ports.ledger, self._clock, partition.wait_until_flushed)
        began = self._clock.monotonic()
        account = effect.ref.account
        steps = partition.make_call_steps(effect.digests, effect.place) or NO_STEPS
        await steps.enter(Step.CALL)
        ended = await self._callers[account].run(
            *(effect.call, lease, record.write, permitted_at),
            once=effect.probe,
            is_well=lambda: self._may_retry(account),
            may_begin=lambda: effect.probe or self._may_call(account),
            must_wait=lambda: self._must_wait(account),
            steps=steps,
        )
        await steps.leave()
        failpoints.hit("call ended")
        turned_away = pauses_account(ended.outcome)
        self._turned_away[account] += turned_away
        self._report(effect, ended, self._clock.monotonic() - began)
        try:
            await record.close(ended)
            await steps.enter(Step.RESOLVE)
            self._dispatch(
                CallFinished(
                    effect.call_id, ended.outcome, self._clock.now(), self._jitter(), ended.doubt_until
                )
            )
            await steps.leave()
        finally:
            self._turned_away[account] -= turned_away
        partition.on_call_ended()
        if effect.probe:
            await self._permits.end_probe(account)

    def _may_call(self, account: str) -> bool:
        return not self._turned_away[account] and self._engine.may_call(account, self._clock.now())

    def _must_wait(self, account: str) -> bool:
        return self._turned_away[account] > 0 or self._engine.is_throttled(account, self._clock.now())

    def _may_retry(self, account: str) -> bool:
        return not self._turned_away[account] and self._engine.may_retry(account, self._clock.now())

    def _report(self, effect: StartCall, ended: CallResult, seconds: float) -> None:
        outcome = ended.outcome
        say, text = log.warning, "call " + type(outcome).__name__.lower()
        if isinstance(outcome, Applied):
            if not is_debug_enabled():
                return
            say = log.debug
        if isinstance(outcome, AccountFault):
            say, text = log.error, "the account is paused, for the vendor refuses it: probing now and then"
        say(
            text,
            account=effect.ref.account,
            call=effect.call.kind.value,
            group=None if effect.ref.kind is HandleKind.OWN else effect.ref.name,
            numbers=len(effect.call.numbers),
            request_id=getattr(outcome, "request_id", None),
            code=getattr(outcome, "code", None),
            message=getattr(outcome, "message", None),
            attempts=ended.attempts,
            duration_ms=round(seconds * 1000, 1),
        )
