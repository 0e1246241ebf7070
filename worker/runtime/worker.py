"""The worker: one engine, its partitions, and the callers of its accounts."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, assert_never

from worker import points
from worker.calls import Caller, Ended
from worker.engine.engine import Engine
from worker.engine.messages import (
    CallFinished,
    Drain,
    Event,
    PermitGranted,
    Settle,
    StartCall,
    Tick,
    WakeAt,
    WantPermit,
)
from worker.engine.model import AccountFault, Applied, HandleKind
from worker.engine.settlement import Settlement
from worker.ledger.port import Limiter
from worker.runtime.gatekeeper import Company
from worker.runtime.lease import Lease
from worker.runtime.partition import PartitionRunner, Ports
from worker.runtime.patience import patiently
from worker.runtime.recording import CallRecord
from worker.runtime.sharing import Sharing
from worker.telemetry import get_logger

_DRAIN_S = 21.0

log = get_logger("worker")


def nobody(_unit: Settlement) -> None:
    """Whoever is not interested in what was settled."""


class Worker:
    """Run it once. `jitter` gives numbers in [0, 1); `written` is told of every durable settlement."""

    def __init__(
        self,
        engine: Engine,
        ports: Ports,
        callers: Mapping[str, Caller],
        limiters: Mapping[str, Limiter],
        jitter: Callable[[], float],
        written: Callable[[Settlement], None] = nobody,
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._clock = ports.clock
        self._callers = callers
        self._limiters = limiters
        self._jitter = jitter
        self._stopping = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._owning: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._wanted = {name: asyncio.Semaphore(0) for name in callers}
        decoding, company = asyncio.Lock(), Company()
        self._partitions = [
            PartitionRunner(number, ports, self._dispatch, engine.waiting, written, decoding, company)
            for number in range(ports.partitions)
        ]
        self._sharing = Sharing(ports, self._partitions, self._own)

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
        sharing = self._spawn(self._sharing.run())
        self._owning.add(sharing)
        for name in self._callers:
            self._spawn(self._grant(name))
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
        if self._broken is not None:
            raise self._broken

    async def _drain(self) -> None:
        points.reach("stopping")
        self._dispatch(Drain())
        for partition in self._partitions:
            partition.lease.stop_sending()
        await self._sharing.leave()
        for partition in self._partitions:
            partition.stop()
        points.reach("register left")
        late = self._owning and (await asyncio.wait(self._owning, timeout=_DRAIN_S))[1]
        if late:
            log.warning("could not settle everything in time; the rest stays in the broker")

    def _own(self, partition: PartitionRunner) -> asyncio.Task[None]:
        task = self._spawn(partition.own())
        self._owning.add(task)
        task.add_done_callback(self._owning.discard)
        return task

    def _dispatch(self, event: Event) -> None:
        for effect in self._engine.handle(event):
            match effect:
                case WantPermit():
                    self._wanted[effect.account].release()
                case StartCall():
                    partition = self._partitions[effect.partition]
                    partition.call_began()
                    # The lease under which it was decided: a later one does not cover it.
                    self._spawn(self._call(effect, partition.lease, self._clock.monotonic()))
                case Settle():
                    self._partitions[effect.partition].settle(effect)
                case WakeAt():
                    self._wake_at(effect.when)
                case _:
                    assert_never(effect)

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

    async def _grant(self, account: str) -> None:
        while True:
            await self._wanted[account].acquire()
            for partition in self._partitions:
                await partition.caught_up()
            await patiently("rate limit", self._limiters[account].acquire)
            self._dispatch(PermitGranted(account, self._clock.now()))

    async def _call(self, effect: StartCall, lease: Lease, permitted_at: float) -> None:
        partition = self._partitions[effect.partition]
        record = CallRecord(effect, lease, self._ports.ledger, self._clock, partition.flushed)
        began = self._clock.monotonic()
        ended = await self._callers[effect.ref.account].run(effect.call, lease, record.write, permitted_at)
        points.reach("call ended")
        self._report(effect, ended, self._clock.monotonic() - began)
        await record.close(ended)
        self._dispatch(
            CallFinished(effect.call_id, ended.outcome, self._clock.now(), self._jitter(), ended.doubt_until)
        )
        partition.call_ended()

    def _report(self, effect: StartCall, ended: Ended, seconds: float) -> None:
        outcome = ended.outcome
        say, text = log.warning, "call " + type(outcome).__name__.lower()
        if isinstance(outcome, Applied):
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
