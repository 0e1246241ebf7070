"""The gatekeeper of a partition: lets messages in, ever fewer at a time the more workers have died of them.

What is suspected of what is decided in `worker.engine.probation`. Here it is noted in the ledger, in time:
before a message is looked at, for that may be what kills.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from itertools import islice

from worker.engine.model import CRASHED, Entry
from worker.engine.probation import Caution, History, InHand, Probation
from worker.ledger.port import Ledger
from worker.runtime.clock import Clock
from worker.runtime.lease import LeaseLost
from worker.runtime.patience import patiently
from worker.telemetry import get_logger

_GLANCE_S = 1.0

log = get_logger("crashes")


def digest_of(body: bytes) -> str:
    """Names a message by what it says: RabbitMQ's tags change, and equal bytes are equally bad."""
    return blake2b(body, digest_size=12).hexdigest()


class Company:
    """All partitions of a worker. One that is down to its last suspect must be alone: a crash would be put
    down to what it has in hand, and not to what another one had."""

    def __init__(self) -> None:
        self._gates: dict[int, Gatekeeper] = {}
        self._alone: int | None = None
        self._since = 0.0

    def join(self, partition: int, gate: "Gatekeeper") -> None:
        self._gates[partition] = gate

    def leave(self, partition: int) -> None:
        """It is not ours any more. One that breaks does not leave: the others must wait until the end."""
        self._gates.pop(partition, None)
        self.release(partition)

    def is_alone(self, partition: int) -> bool:
        return self._alone == partition

    def shuts_out(self, partition: int) -> bool:
        """Whether another partition is alone, or about to be."""
        return self._alone not in (None, partition)

    def quiet(self, partition: int, now: float, patience_s: float) -> bool | None:
        """Whether nothing is in hand elsewhere, after what was there had some time to be settled; None: wait.

        Until `release` the others let nothing in.
        """
        if self._alone is None:
            self._alone, self._since = partition, now
        if not any(gate.busy for other, gate in self._gates.items() if other != partition):
            return True
        return False if now - self._since >= patience_s else None

    def release(self, partition: int) -> None:
        if self._alone == partition:
            self._alone = None
            self.stir()

    def stir(self) -> None:
        """Something was settled somewhere: let all who wait look again."""
        for gate in self._gates.values():
            gate.stirred.set()


class Gatekeeper:
    """One owner's, from `open` on. `waiting` says how many answers the partition owes; `looking` is
    set by whoever looks at what was let in, until all of it is counted there."""

    def __init__(
        self,
        partition: int,
        epoch: int,
        ledger: Ledger,
        clock: Clock,
        caution: Caution,
        company: Company,
        waiting: Callable[[], int],
    ) -> None:
        self._partition = partition
        self._epoch = epoch
        self._ledger = ledger
        self._clock = clock
        self._caution = caution
        self._company = company
        self._waiting = waiting
        self._probation: Probation | None = None
        self._condemned: dict[str, History] = {}
        self._elsewhere = False
        self.looking = False
        self.stirred = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether something is in hand that was not settled."""
        return self.looking or self._waiting() > 0

    async def open(self) -> None:
        """Take note of how the last owner ended. Raises `LeaseLost`."""
        notes = await patiently("asking for crashes", partial(self._ledger.crash_notes, self._partition))
        history = notes.history
        if notes.unclean:
            history = history.after(notes.in_hand, self._caution.max_crashes)
            self._tell_crash(notes.history, history, notes.in_hand)
        if notes.unclean or notes.in_hand:
            await self._note_history(history)
        if history.crashes:
            self._probation = Probation(history, self._caution, self._clock.now())
            self._tell_limit(history)
        if history.condemned is not None:
            self._condemned[history.condemned] = history
        self._company.join(self._partition, self)

    async def let_in(self, held: deque[Entry]) -> Sequence[Entry]:
        """Take from `held` what may be looked at now; nothing: `wait`, and ask again. Raises `LeaseLost`."""
        probation = self._probation
        if self._company.shuts_out(self._partition):
            if probation is not None:
                probation.room((), self._clock.now())
            return ()
        if probation is not None and probation.over(self._clock.now()):
            await self._let_go()
            probation = None
        entries = self._all(held) if probation is None else self._some(held, probation)
        # From here on nobody else may be alone, also while it is noted.
        self.looking = bool(entries)
        if probation is not None and probation.recorded and entries:
            await self._note_in_hand(probation)
        return entries

    async def rest(self) -> None:
        """Nothing waits in the broker, as it seems. Raises `LeaseLost`."""
        probation = self._probation
        if probation is None:
            return
        if probation.over(now := self._clock.now()) or probation.idle(now):
            await self._let_go()
        elif not probation.watching and self._company.is_alone(self._partition):
            # What is in hand still, and is lived with, has company from here on.
            self._elsewhere = True
            await self._note_in_hand(probation)
            self._company.release(self._partition)

    async def wait(self) -> None:
        """Return when there is reason to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GLANCE_S):
                await self.stirred.wait()
        self.stirred.clear()

    def settled(self, tags: Sequence[str]) -> None:
        """These have left the broker."""
        if self._probation is not None:
            self._probation.settled(tags, self._clock.now())
        self._company.stir()

    def _all(self, held: deque[Entry]) -> Sequence[Entry]:
        entries = [*held]
        held.clear()
        if self._condemned:
            for entry in entries:
                self._mark(entry, digest_of(entry.body))
        return entries

    def _some(self, held: deque[Entry], probation: Probation) -> Sequence[Entry]:
        now = self._clock.now()
        first = digest_of(held[0].body) if probation.recorded else ""
        most = probation.limit(first) or len(held)
        rest = [*islice(held, 1, most)]
        digests = [first, *(digest_of(entry.body) if probation.recorded else "" for entry in rest)]
        probation.come_again(entry.tag for entry in (held[0], *rest))
        room = probation.room(digests, now)
        if not room:
            return ()
        self._elsewhere = False
        if most > 1 or not probation.recorded:
            self._company.release(self._partition)
        elif (quiet := self._company.quiet(self._partition, now, self._caution.patience_s)) is None:
            return ()
        else:
            self._elsewhere = not quiet
        entries = [held.popleft() for _ in range(room)]
        probation.let_in([entry.tag for entry in entries], digests[:room], now)
        for entry, digest in zip(entries, digests, strict=False):
            self._mark(entry, digest)
        return entries

    def _mark(self, entry: Entry, digest: str) -> None:
        """Have it refused, if workers died of it."""
        history = self._condemned.get(digest)
        if history is None:
            return
        entry.problem = (
            f"workers died {history.crashes} times, in the end with this message in hand and nothing else: "
            "it is not tried any more. What it asks for may be done in part. Mend it, or the worker, and "
            "publish it under a new id"
        )
        entry.problem_kind, entry.unread = CRASHED, history.unread
        log.error(
            "a message that kills workers is dead-lettered",
            partition=self._partition,
            entry=entry.tag,
            bytes=len(entry.body),
            crashes=history.crashes,
            looked_at=not history.unread,
        )

    async def _let_go(self) -> None:
        probation, self._probation = self._probation, None
        assert probation is not None
        await self._note_history(History())
        self._company.release(self._partition)
        log.warning(
            "nothing is suspected any more: messages are let in as usual",
            partition=self._partition,
            crashes=probation.history.crashes,
        )

    async def _note_history(self, history: History) -> None:
        note = partial(self._ledger.note_history, self._partition, self._epoch, history)
        if not await patiently("noting crashes", note):
            raise LeaseLost(f"partition {self._partition}, epoch {self._epoch}")

    async def _note_in_hand(self, probation: Probation) -> None:
        in_hand = probation.in_hand(self._elsewhere)
        note = partial(self._ledger.note_in_hand, self._partition, self._epoch, in_hand)
        if not await patiently("noting what is in hand", note):
            raise LeaseLost(f"partition {self._partition}, epoch {self._epoch}")

    def _tell_crash(self, before: History, after: History, in_hand: InHand) -> None:
        said = {
            "partition": self._partition,
            "crashes": after.crashes,
            "in_hand": len(in_hand.fresh) + len(in_hand.lived_with),
        }
        if after.condemned is not None:
            log.error(
                "the last owner died, and it is known of which message: it will be dead-lettered", **said
            )
        elif after is before:
            log.warning("the last owner died, but nothing was in hand: this crash does not count", **said)
        else:
            log.warning("the last owner did not end well", **said)

    def _tell_limit(self, history: History) -> None:
        most = self._caution.limit(history.crashes)
        if most is not None:
            log.warning(
                "workers died again and again: fewer messages are let in at a time, to find the culprit",
                partition=self._partition,
                crashes=history.crashes,
                at_a_time=most,
                suspects=len(history.suspects) or None,
                dead_letter_at=self._caution.max_crashes,
            )
