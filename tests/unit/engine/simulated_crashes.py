"""Owners of a partition that die, one after the other, with the real probation; all else is simulated.

A message is a number, and says as much: equal numbers are equal messages. Some kill whoever takes them in,
some whoever is about to settle them; some are stuck until the world is healed.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from worker.engine.probation import Caution, History, InHand, Probation

_MOST_CRASHES = 3_000


class Died(Exception):
    pass


@dataclass
class World:
    """`backlog` is the broker's, in order. `accident` says whether an owner dies of something else now."""

    backlog: list[int]
    caution: Caution
    random: Random
    kills_reader: frozenset[int] = frozenset()
    kills_caller: frozenset[int] = frozenset()
    stuck: frozenset[int] = frozenset()
    accident: Callable[[], bool] = lambda: False
    clean_end: Callable[[], bool] = lambda: False
    now: float = 0.0
    history: History = field(default_factory=History)
    noted: InHand = field(default_factory=InHand)
    crashes: int = 0
    counted: list[InHand] = field(default_factory=list)
    """What was in hand, as far as it was noted, crash after crash."""
    condemned: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    most_in_hand: Counter[int] = field(default_factory=Counter)

    def run(self) -> None:
        """One owner after the other, until nothing is left."""
        self._entries = list(enumerate(self.backlog))
        while self._entries:
            try:
                self._live()
            except Died:
                self._crash()

    def _crash(self) -> None:
        self.crashes += 1
        assert self.crashes < _MOST_CRASHES, "it goes on for ever"
        if self.noted:
            self.counted.append(self.noted)
        before, self.history = self.history, self.history.after(self.noted, self.caution.max_crashes)
        if self.history.condemned not in (None, before.condemned):
            self._check_promise(self.history.condemned)
        self.noted = InHand()
        self.now += 10.0

    def _check_promise(self, condemned: str | None) -> None:
        """It was in hand at each of the last crashes, and alone at the very last."""
        last = self.counted[-(self.caution.max_crashes - 2) :]
        assert len(last) == self.caution.max_crashes - 2
        assert all(condemned in (*one.fresh, *one.lived_with) for one in last)
        assert last[-1].fresh == (condemned,)
        if last[-1].lived_with:
            assert len(self.counted) >= 2 * self.caution.max_crashes - 2

    def _live(self) -> None:
        probation: Probation | None = None
        if self.history.crashes:
            probation = Probation(self.history, self.caution, self.now)
        condemned = self.history.condemned
        held, memory = list(self._entries), list[tuple[int, int]]()
        while self._entries:
            if probation is not None and (
                probation.over(self.now) or (not held and probation.idle(self.now))
            ):
                probation, self.history, self.noted = None, History(), InHand()
            if self.clean_end():
                self.noted = InHand()
                return
            room = self.caution.max_pending - len(memory)
            taken = held[: min(room, self.random.randint(1, self.caution.max_pending))]
            if probation is not None and taken:
                taken = taken[: probation.room([str(message) for _, message in taken], self.now)]
                probation.let_in([str(tag) for tag, _ in taken], [str(m) for _, m in taken], self.now)
                if probation.recorded and taken:
                    self.noted = probation.in_hand()
                    self.most_in_hand[self.history.crashes] = max(
                        self.most_in_hand[self.history.crashes], len(self.noted.fresh)
                    )
            held = held[len(taken) :]
            memory += taken
            for entry in taken:
                self._take_in(entry, condemned, memory, probation)
            if self.accident():
                raise Died
            self._work(memory, probation)

    def _take_in(
        self,
        entry: tuple[int, int],
        condemned: str | None,
        memory: list[tuple[int, int]],
        probation: Probation | None,
    ) -> None:
        if str(entry[1]) == condemned:
            self.condemned.append(entry[1])
            self._settle(entry, memory, probation)
        elif entry[1] in self.kills_reader:
            raise Died

    def _work(self, memory: list[tuple[int, int]], probation: Probation | None) -> None:
        ready = [entry for entry in memory if entry[1] not in self.stuck]
        for entry in self.random.sample(ready, self.random.randint(0, len(ready))):
            if entry[1] in self.kills_caller:
                raise Died
            self._settle(entry, memory, probation)
        # Who waits for what is stuck waits for long.
        self.now += 0.1 if ready or not memory else 7.0
        if not ready and self.random.random() < 0.05:
            self.stuck = frozenset()

    def _settle(
        self, entry: tuple[int, int], memory: list[tuple[int, int]], probation: Probation | None
    ) -> None:
        memory.remove(entry)
        self._entries.remove(entry)
        self.settled.append(entry[1])
        if probation is not None:
            probation.settled([str(entry[0])], self.now)
