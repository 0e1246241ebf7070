"""Finds messages that crash workers: runs a partition's steps one at a time, and notes each in the ledger.

After a crash, the note tells the next owner which messages were in hand. `engine.partition.poison_detection`
decides what that means. Without recent crashes, steps overlap and nothing is noted.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any, TypeVar

from numbergroup.engine.commands import Entry
from numbergroup.engine.events import Event, PrecautionsChanged
from numbergroup.engine.partition.poison_detection import CrashPolicy, History, InHand, PoisonDetection, Step
from numbergroup.engine.verdicts import CRASHED
from numbergroup.ledger.port import Ledger
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.lease import LeaseLost
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.runtime.solo_mode import SoloMode

T = TypeVar("T")

NOTHING_IN_HAND = InHand()
_DANGER_S = 1.0
"""A step that lasts longer than this waits for something else, and is not dangerous any more."""

log = get_logger("poison-guard")


def digest_of(body: bytes) -> str:
    """Return a digest that identifies a message by its bytes: equal messages are equally dangerous.

    The broker's own tags would not do: those of RabbitMQ change when a message is delivered again.
    """
    return blake2b(body, digest_size=12).hexdigest()


def make_in_hand(step: Step, digests: Iterable[str], place: int = 0) -> InHand:
    """Return what a step has in hand, without duplicates."""
    return InHand(step, tuple(dict.fromkeys(digests)), place)


class PoisonGuard:
    """Guards one partition during one epoch, from `open` to `close`.

    `count_unsettled` returns how many commands of the partition are not settled durably. `dispatch` passes an
    event to the engine.
    """

    def __init__(
        self,
        partition: int,
        epoch: int,
        ledger: Ledger,
        *,
        clock: Clock,
        caution: CrashPolicy,
        solo: SoloMode,
        count_unsettled: Callable[[], int],
        dispatch: Callable[[Event], object],
        jitter: Callable[[], float],
    ) -> None:
        self._partition = partition
        self._epoch = epoch
        self._ledger = ledger
        self._clock = clock
        self._caution = caution
        self.solo = solo
        self._count_unsettled = count_unsettled
        self._dispatch = dispatch
        self._jitter = jitter
        self._detection: PoisonDetection | None = None
        self._condemned: PoisonDetection | None = None
        """Remembers the condemned messages during the whole epoch, since copies of them may arrive."""

    @property
    def is_noting(self) -> bool:
        """Whether each step is noted before it begins."""
        return self._detection is not None and self._detection.is_recording

    async def open(self) -> None:
        """Count the crash of the previous owner, if it crashed. Raises `LeaseLost`."""
        record = await retry_until_available(
            "reading the record of crashes", partial(self._ledger.read_crash_record, self._partition)
        )
        history = record.history
        if record.has_uncounted_crash:
            history = history.with_crash(record.in_hand)
            self._log_crash(history, record.in_hand)
        if record.has_uncounted_crash or record.in_hand:
            await self._note_history(history)
        if not history.crashes:
            return
        self._detection = detection = PoisonDetection(history, self._caution, self._clock.now())
        if detection.condemned:
            self._condemned = detection
        if detection.is_recording:
            self.solo.enable(self._partition)
            self._update_precautions()
            self._log_precautions(detection)

    def close(self) -> None:
        """Stop guarding: the epoch has ended."""
        self.solo.disable(self._partition)

    async def review(self) -> None:
        """Return to normal work when no message is suspect any more. Raises `LeaseLost`."""
        detection = self._detection
        if detection is None or not detection.is_over(self._clock.now(), self._count_unsettled()):
            return
        self._detection = None
        self.solo.disable(self._partition)
        await self._note_history(History())
        self._update_precautions()
        log.warning(
            "no message is suspect any more: steps overlap again",
            partition=self._partition,
            crashes=detection.history.crashes,
        )

    def select_messages(self, unread: deque[Entry]) -> deque[Entry]:
        """Remove from the head of `unread` the messages that may be decoded together, and return them.

        Condemned messages are marked, so that they are refused.
        """
        limit = self._caution.batch_limit if self.is_noting else len(unread)
        selected = deque(islice(unread, limit))
        if self._detection is not None and self.is_noting:
            selected = deque(islice(selected, self._detection.count_admissible(self.digests_of(selected))))
        for _ in range(len(selected)):
            unread.popleft()
        if self._condemned is not None:
            for entry in selected:
                self._mark_if_condemned(entry, self._condemned)
        return selected

    def digests_of(self, entries: Iterable[Entry]) -> Sequence[str]:
        """Return the messages' digests, or nothing while steps are not noted."""
        return [digest_of(entry.body) for entry in entries] if self.is_noting else ()

    def is_suspect(self, digest: str) -> bool:
        """Return whether the message or command must be alone in each step."""
        return self._detection is not None and self._detection.is_suspect(digest)

    @asynccontextmanager
    async def run_as_step(self, step: Step, digests: Collection[str]) -> AsyncIterator[None]:
        """Run the block as a step: in solo mode, alone in the worker and noted in the ledger.

        The block must not wait for another step. Raises `LeaseLost`.
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
        """Return the result of `work`, whose first second is a step.

        Work that lasts longer waits for a server, and is not dangerous. Raises `LeaseLost`.
        """
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
        """Wait before a step in which a worker crashed earlier.

        Without the wait, a worker that is killed from outside at regular times could die in the same step
        again, and the message would be blamed.
        """
        if self._detection is not None and self._detection.has_killed(in_hand):
            await asyncio.sleep(self._caution.pause_s * (0.5 + self._jitter()))

    async def enter(self, in_hand: InHand) -> None:
        """Note in the ledger that a step begins with these messages. Raises `LeaseLost`.

        The caller holds the lock of `SoloMode`, so that no other step runs.
        """
        if in_hand and self.is_noting:
            await self._note_in_hand(in_hand)

    async def leave(self, in_hand: InHand, *, noted: bool = True) -> None:
        """Note that the step ended without a crash. Raises `LeaseLost`."""
        detection = self._detection
        if detection is None or not detection.is_recording or not in_hand:
            return
        if detection.on_step_survived(in_hand, self._clock.now()):
            await self._note_history(detection.history)
            self._update_precautions()
        elif noted:
            await self._note_in_hand(NOTHING_IN_HAND)

    async def abandon(self, in_hand: InHand) -> None:
        """Note that the step only waits from now on: a crash is not put down to it. Raises `LeaseLost`."""
        if in_hand and self.is_noting:
            await self._note_in_hand(NOTHING_IN_HAND)

    def _update_precautions(self) -> None:
        precautions = None if self._detection is None else self._detection.precautions
        self._dispatch(PrecautionsChanged(self._partition, precautions))

    def _mark_if_condemned(self, entry: Entry, detection: PoisonDetection) -> None:
        """Mark the message to be refused, if it is condemned."""
        digest = digest_of(entry.body)
        deaths = detection.condemned.get(digest)
        if deaths is None:
            return
        entry.problem = (
            f"workers died {deaths} times while they handled this message alone: it is not tried again. Its "
            "changes may have been made in part. Correct the message or the worker, and publish it under a "
            "new id"
        )
        entry.problem_kind, entry.ignore_body = CRASHED, detection.must_not_be_read(digest)
        log.error(
            "a message that crashes workers is dead-lettered",
            partition=self._partition,
            entry=entry.tag,
            bytes=len(entry.body),
            crashes=deaths,
            decoded=not entry.ignore_body,
        )

    async def _note_history(self, history: History) -> None:
        await self._note(partial(self._ledger.write_crash_history, self._partition, self._epoch, history))

    async def _note_in_hand(self, in_hand: InHand) -> None:
        await self._note(partial(self._ledger.write_in_hand, self._partition, self._epoch, in_hand))

    async def _note(self, note: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        if not await retry_until_available("writing the record of crashes", note):
            raise LeaseLost(f"partition {self._partition}, epoch {self._epoch}")

    def _log_crash(self, history: History, in_hand: InHand) -> None:
        log.warning(
            "the previous owner of the partition crashed",
            partition=self._partition,
            crashes=history.crashes,
            step=in_hand.step,
            in_hand=len(in_hand.digests),
        )

    def _log_precautions(self, detection: PoisonDetection) -> None:
        log.warning(
            "workers crashed repeatedly: steps run one at a time, to find the message that causes it",
            partition=self._partition,
            crashes=detection.history.crashes,
            at_a_time=self._caution.batch_limit,
            suspects=len(detection.history.suspects) or None,
            condemned=len(detection.condemned) or None,
            dead_letter_at=self._caution.max_crashes,
        )
