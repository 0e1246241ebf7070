"""Runs a worker: carries out the engine's effects with partitions, permits and callers."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, assert_never

from numbergroup.engine.effects import PublishBreaker, Settle, StartCall, WakeAt, WantPermit
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CredentialsChanged, Drain, Event, PermitGranted, Tick
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.port import Limiter
from numbergroup.ledger.reports import Report
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.calling import CallRunner
from numbergroup.runtime.controls import ControlPoller
from numbergroup.runtime.partition import PartitionRunner
from numbergroup.runtime.permits import PermitQueue
from numbergroup.runtime.poison_guard import make_in_hand
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.rebalancer import Rebalancer
from numbergroup.runtime.reporting import Reporter
from numbergroup.runtime.rotation import CredentialRotation
from numbergroup.runtime.solo_mode import SoloMode
from numbergroup.vendors.client import Caller

_DRAIN_S = 21.0

log = get_logger("worker")


def ignore_settlement(_unit: Settlement) -> None:
    """Do nothing with a settlement."""


class Worker:
    """Works on all partitions that it owns, from `run` to `stop`. It can run only once.

    `jitter` returns random numbers in [0, 1). `on_written` is called with each settlement that became
    durable. `rotation` replaces the callers' credentials.
    """

    def __init__(
        self,
        engine: Engine,
        ports: Ports,
        callers: Mapping[str, Caller],
        limiters: Mapping[str, Limiter],
        *,
        jitter: Callable[[], float],
        on_written: Callable[[Settlement], None] = ignore_settlement,
        rotation: CredentialRotation | None = None,
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._clock = ports.clock
        self._callers = callers
        self._rotation = rotation
        self._stopping = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._owner_tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
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
        self._calls = CallRunner(
            engine,
            ports,
            callers,
            jitter=jitter,
            dispatch=self._dispatch,
            end_probe=self._permits.end_probe,
        )
        self._on_written = on_written
        self._dead_letters_written = 0
        self._started_at = ports.clock.now()
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
        self._rebalancer = Rebalancer(ports, self._partitions, self._own)
        self._control_poller = ControlPoller(ports, callers.keys(), self._dispatch, jitter)
        self._reporter = None if ports.reports is None else Reporter(ports.reports, self.make_report)

    def make_report(self) -> Report:
        """Return the worker's state for `numbergroup status` and the metrics."""
        now = self._clock.now()
        return Report(
            self._ports.owner,
            self._ports.version,
            self._started_at,
            now,
            self._dead_letters_written,
            self._engine.snapshot(now),
            letters_cap=self._ports.dead_letter_cap.limit,
        )

    @property
    def pending_count(self) -> int:
        """How many commands in memory are not settled."""
        return sum(partition.pending_count for partition in self._partitions)

    def stop(self) -> None:
        """Make `run` drain and return. Further calls do nothing."""
        if not self._stopping.is_set():
            log.info("stopping: no new calls, those in flight finish")
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`, and return within 25 s of it. Unsettled commands stay in the broker.

        An unexpected error in any part of the worker ends all parts, and is raised.
        """
        self._working = self._spawn(self._work())
        self._owner_tasks.add(self._working)
        for name in self._callers:
            self._spawn(self._permits.run(name))
        self._spawn(self._permits.write_notices())
        if self._reporter is not None:
            self._spawn(self._reporter.run())
        if self._rotation is not None:
            self._spawn(self._rotation.run(self._credentials_changed))
        try:
            await self._stopping.wait()
            if self._error is None:
                await self._drain()
        finally:
            if self._alarm:
                self._alarm.cancel()
            tasks = [*self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._reporter is not None and self._error is None:
                await self._reporter.remove_report()
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        # Pauses must be known before the first call can be made.
        await self._control_poller.start()
        self._spawn(self._control_poller.run())
        await self._rebalancer.run()

    async def _drain(self) -> None:
        failpoints.hit("stopping")
        self._dispatch(Drain())
        for partition in self._partitions:
            partition.lease.stop_sending()
        await self._rebalancer.leave()
        for partition in self._partitions:
            partition.stop()
        if not self._control_poller.has_started:
            # The task still waits for the ledger, and no partition is owned.
            self._working.cancel()
        failpoints.hit("worker unregistered")
        unfinished = self._owner_tasks and (await asyncio.wait(self._owner_tasks, timeout=_DRAIN_S))[1]
        if unfinished:
            log.warning("could not settle everything in time; the rest stays in the broker")

    def _note_written(self, unit: Settlement) -> None:
        self._dead_letters_written += len(unit.dead_letters)
        self._on_written(unit)

    def _own(self, partition: PartitionRunner) -> asyncio.Task[None]:
        task = self._spawn(partition.own())
        self._owner_tasks.add(task)
        task.add_done_callback(self._owner_tasks.discard)
        return task

    def _dispatch(self, event: Event, permitted_at: float | None = None) -> bool:
        """Pass the event to the engine, and carry out its effects. Returns whether a probe was started.

        `permitted_at` (monotonic seconds, now by default) is when the event's permit was granted.
        """
        has_probed = False
        for effect in self._engine.handle(event):
            match effect:
                case WantPermit():
                    self._permits.request(effect.account, probe=effect.probe)
                case StartCall():
                    has_probed |= effect.probe
                    partition = self._partitions[effect.partition]
                    partition.on_call_started()
                    # A later lease of the partition must not permit this call.
                    granted_at = self._clock.monotonic() if permitted_at is None else permitted_at
                    self._spawn(self._calls.run(effect, partition, partition.lease, granted_at))
                case Settle():
                    self._partitions[effect.partition].settle(effect)
                case PublishBreaker():
                    self._permits.announce_breaker(effect.account, effect.notice)
                case WakeAt():
                    self._wake_at(effect.when)
                case _:
                    assert_never(effect)
        return has_probed

    async def _use_permit(self, event: PermitGranted, permitted_at: float) -> bool:
        """Dispatch the event, so that a batch is formed: in solo mode, as a step of its own.

        Returns whether a probe was started.
        """
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
            used = self._dispatch(replace(event, now=self._clock.now(), reserved_for=turn.ref), permitted_at)
            await steps.leave_locked()
            return used

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_ended)
        return task

    def _on_task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End the worker at once, and settle nothing more: unsettled commands stay in the broker."""
        if self._error is None:
            log.critical("the worker ends on an unexpected error", exc_info=error)
            self._error = error
        self._stopping.set()
        for task in self._owner_tasks:
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
            # This runs in no task, so the event loop would only log the error.
            self._fail(error)

    def _credentials_changed(self, account: str) -> None:
        self._dispatch(CredentialsChanged(account, self._clock.now()))

    async def _wait_until_caught_up(self) -> None:
        for partition in self._partitions:
            await partition.wait_until_caught_up()
