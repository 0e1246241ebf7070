"""Poison guard: run a partition's dangerous steps one at a time, and note what each has in hand.

What a crash means is decided in `engine.poison_detection`. Nothing is noted, and steps overlap, while there
are no recent crashes.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any, TypeVar

from numbergroup.brokers.port import StaleEpoch
from numbergroup.engine.commands import CRASHED, Entry
from numbergroup.engine.events import Event, PrecautionsChanged
from numbergroup.engine.partition.poison_detection import CrashPolicy, History, InHand, PoisonDetection, Step
from numbergroup.ledger.history import HistoryChanged
from numbergroup.ledger.port import Ledger
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.lease import LeaseLost
from numbergroup.runtime.retrying import retry_until_available

T = TypeVar("T")

NOTHING_IN_HAND = InHand()
_DANGER_S = 1.0
"""What has not killed after so long waits for somebody: it is not suspected any more."""

log = get_logger("crashes")


def digest_of(body: bytes) -> str:
    """Identifies a message by its bytes: RabbitMQ's tags change, and equal bytes are equally dangerous."""
    return blake2b(body, digest_size=12).hexdigest()


def make_in_hand(step: Step, digests: Iterable[str], place: int = 0) -> InHand:
    """What a step has in hand, each of them once."""
    return InHand(step, tuple(dict.fromkeys(digests)), place)


class SoloMode:
    """Whether the steps of all partitions of a worker run one at a time: while one partition takes notes, a
    crash must not be the work of another one."""

    def __init__(self) -> None:
        self._noting: set[int] = set()
        self.lock = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._noting)

    def enable(self, partition: int) -> None:
        self._noting.add(partition)

    def disable(self, partition: int) -> None:
        self._noting.discard(partition)

    @asynccontextmanager
    async def run_alone(self) -> AsyncIterator[None]:
        """Run the block while no other step runs."""
        await self.lock.acquire()
        try:
            yield
        except (LeaseLost, StaleEpoch, HistoryChanged, asyncio.CancelledError):
            self.lock.release()
            raise
        # Any other error ends the worker: no further step may hide which one it was.
        self.lock.release()


class PoisonGuard:
    """Guards one partition for one owner, from `open` to `close`. `waiting` returns how many answers the
    partition owes; `dispatch` hands an event to the engine."""

    def __init__(
        self,
        partition: int,
        epoch: int,
        ledger: Ledger,
        clock: Clock,
        caution: CrashPolicy,
        solo: SoloMode,
        waiting: Callable[[], int],
        dispatch: Callable[[Event], object],
        jitter: Callable[[], float],
    ) -> None:
        self._partition = partition
        self._epoch = epoch
        self._ledger = ledger
        self._clock = clock
        self._caution = caution
        self.solo = solo
        self._waiting = waiting
        self._dispatch = dispatch
        self._jitter = jitter
        self._detection: PoisonDetection | None = None
        self._condemned: PoisonDetection | None = None
        """Knows the condemned messages for as long as this owner lives: copies of them may come."""

    @property
    def is_noting(self) -> bool:
        """Whether each step is noted before it begins."""
        return self._detection is not None and self._detection.is_recording

    async def open(self) -> None:
        """Count the crash of the last owner, if it crashed. Raises `LeaseLost`."""
        notes = await retry_until_available(
            "asking for crashes", partial(self._ledger.read_crash_record, self._partition)
        )
        history = notes.history
        if notes.has_uncounted_crash:
            history = history.with_crash(notes.in_hand)
            self._log_crash(history, notes.in_hand)
        if notes.has_uncounted_crash or notes.in_hand:
            await self._note_history(history)
        if not history.crashes:
            return
        self._detection = detection = PoisonDetection(history, self._caution, self._clock.now())
        if detection.condemned:
            self._condemned = detection
        if detection.is_recording:
            self.solo.enable(self._partition)
            self._tell_engine()
            self._log_precautions(detection)

    def close(self) -> None:
        """The partition is not ours any more."""
        self.solo.disable(self._partition)

    async def review(self) -> None:
        """Return to normal work when nothing need be suspected any more. Raises `LeaseLost`."""
        detection = self._detection
        if detection is None or not detection.is_over(self._clock.now(), self._waiting()):
            return
        self._detection = None
        self.solo.disable(self._partition)
        await self._note_history(History())
        self._tell_engine()
        log.warning(
            "nothing is suspected any more: messages are handled as usual",
            partition=self._partition,
            crashes=detection.history.crashes,
        )

    def select_messages(self, held: deque[Entry]) -> deque[Entry]:
        """The next messages that may be decoded together, removed from `held`. Condemned ones are marked, to
        be refused."""
        most = self._caution.batch_limit if self.is_noting else len(held)
        some = deque(islice(held, most))
        if self._detection is not None and self.is_noting:
            some = deque(islice(some, self._detection.count_admissible(self.digests_of(some))))
        for _ in range(len(some)):
            held.popleft()
        if self._condemned is not None:
            for entry in some:
                self._mark(entry, self._condemned)
        return some

    def digests_of(self, entries: Iterable[Entry]) -> Sequence[str]:
        """What identifies these messages, if it is to be noted."""
        return [digest_of(entry.body) for entry in entries] if self.is_noting else ()

    def is_suspect(self, digest: str) -> bool:
        """Whether it must be alone in each step."""
        return self._detection is not None and self._detection.is_suspect(digest)

    @asynccontextmanager
    async def run_as_step(self, step: Step, digests: Collection[str]) -> AsyncIterator[None]:
        """Run the block as a step with this in hand: alone in the worker, and noted, if need be.

        The block must wait for nothing that takes another step. Raises `LeaseLost`.
        """
        if not self.solo:
            yield
            return
        in_hand = make_in_hand(step, digests)
        await self.pause_before(in_hand)
        async with self.solo.run_alone():
            await self.enter(in_hand)
            yield
            await self.leave(in_hand)

    async def run_start_as_step(
        self, step: Step, digests: Collection[str], work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """The result of `work`, whose beginning is a step: what lasts longer than a moment waits for somebody
        else, such as the broker, and is not dangerous. Raises `LeaseLost`."""
        if not self.solo:
            return await work()
        in_hand = make_in_hand(step, digests)
        await self.pause_before(in_hand)
        async with self.solo.run_alone():
            await self.enter(in_hand)
            task = asyncio.ensure_future(work())
            try:
                await asyncio.wait([task], timeout=_DANGER_S)
                if task.done():
                    result = task.result()
                    await self.leave(in_hand)
                    return result
                await self.abandon(in_hand)
            except BaseException:
                task.cancel()
                raise
        try:
            result = await task
        finally:
            task.cancel()
        async with self.solo.run_alone():
            await self.leave(in_hand, noted=False)
        return result

    async def pause_before(self, in_hand: InHand) -> None:
        """Wait before a step in which a worker has died, so that kills from outside do not hit it again."""
        if self._detection is not None and self._detection.has_killed(in_hand):
            await asyncio.sleep(self._caution.pause_s * (0.5 + self._jitter()))

    async def enter(self, in_hand: InHand) -> None:
        """Note that a step begins; for who holds the lock. Raises `LeaseLost`."""
        if in_hand and self.is_noting:
            await self._note_in_hand(in_hand)

    async def leave(self, in_hand: InHand, *, noted: bool = True) -> None:
        """Note that the step went well. Raises `LeaseLost`."""
        detection = self._detection
        if detection is None or not detection.is_recording or not in_hand:
            return
        if detection.on_step_survived(in_hand, self._clock.now()):
            await self._note_history(detection.history)
            self._tell_engine()
        elif noted:
            await self._note_in_hand(NOTHING_IN_HAND)

    async def abandon(self, in_hand: InHand) -> None:
        """Note that the step only waits, and has not gone well yet. Raises `LeaseLost`."""
        if in_hand and self.is_noting:
            await self._note_in_hand(NOTHING_IN_HAND)

    def _tell_engine(self) -> None:
        precautions = None if self._detection is None else self._detection.precautions
        self._dispatch(PrecautionsChanged(self._partition, precautions))

    def _mark(self, entry: Entry, detection: PoisonDetection) -> None:
        """Have the message refused, if it is condemned."""
        digest = digest_of(entry.body)
        deaths = detection.condemned.get(digest)
        if deaths is None:
            return
        entry.problem = (
            f"workers died {deaths} times with this message in hand and nothing else: it is not tried "
            "any more. What it asks for may be done in part. Mend it, or the worker, and publish it under a "
            "new id"
        )
        entry.problem_kind, entry.unread = CRASHED, detection.must_not_be_read(digest)
        log.error(
            "a message that kills workers is dead-lettered",
            partition=self._partition,
            entry=entry.tag,
            bytes=len(entry.body),
            crashes=deaths,
            looked_at=not entry.unread,
        )

    async def _note_history(self, history: History) -> None:
        await self._note(partial(self._ledger.write_crash_history, self._partition, self._epoch, history))

    async def _note_in_hand(self, in_hand: InHand) -> None:
        await self._note(partial(self._ledger.write_in_hand, self._partition, self._epoch, in_hand))

    async def _note(self, note: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        if not await retry_until_available("noting crashes", note):
            raise LeaseLost(f"partition {self._partition}, epoch {self._epoch}")

    def _log_crash(self, history: History, in_hand: InHand) -> None:
        log.warning(
            "the last owner did not end well",
            partition=self._partition,
            crashes=history.crashes,
            step=in_hand.step,
            in_hand=len(in_hand.digests),
        )

    def _log_precautions(self, detection: PoisonDetection) -> None:
        log.warning(
            "workers died again and again: steps run one at a time, to find what kills them",
            partition=self._partition,
            crashes=detection.history.crashes,
            at_a_time=self._caution.batch_limit,
            suspects=len(detection.history.suspects) or None,
            condemned=len(detection.condemned) or None,
            dead_letter_at=self._caution.max_crashes,
        )
