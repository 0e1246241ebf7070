"""Owners of a partition that die, one after the other, with the real poison detection; all else is simulated.

A message is a number, and equal numbers are equal messages. Each goes through three steps, and some kill
the owner in one of them. An owner may also be killed from outside, in a step or between two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from numbergroup.engine.partition.poison_detection import CrashPolicy, History, InHand, PoisonDetection, Step

_MOST_CRASHES = 3_000


class Died(Exception):
    pass


@dataclass
class World:
    """`backlog` is the broker's, in order. `kills`: the step in which a message kills. `killed` returns
    whether the owner is killed from outside at this moment: in a step, or not."""

    backlog: list[int]
    caution: CrashPolicy
    random: Random
    kills: dict[int, Step] = field(default_factory=dict)
    killed: Callable[[bool], bool] = lambda in_step: False
    now: float = 0.0
    history: History = field(default_factory=History)
    crashes: int = 0
    condemned: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    most_in_hand: int = 0
    """The most messages that one step had in hand while notes were taken."""

    def run(self) -> None:
        """One owner after the other, until nothing is left."""
        self.left = list(enumerate(self.backlog))
        while self.left:
            self._noted = InHand()
            try:
                self._live()
            except Died:
                self.crashes += 1
                assert self.crashes < _MOST_CRASHES, "it goes on for ever"
                self.history = self.history.with_crash(self._noted)
                self.now += 10.0

    def _live(self) -> None:
        self.detection = PoisonDetection(self.history, self.caution, self.now)
        self._outside()
        while self.left:
            some = [message for _, message in self.left]
            if self.detection.is_recording:
                some = some[: self.detection.count_admissible([str(message) for message in some])]
            self._step(Step.DECODE, some)
            self._step(Step.PLAN, some)
            self._step(Step.SETTLE, some)
            self.condemned += [message for message in some if str(message) in self.detection.condemned]
            self.settled += some
            del self.left[: len(some)]
            self._outside()

    def _step(self, step: Step, messages: Sequence[int]) -> None:
        in_hand = InHand()
        if self.detection.is_recording:
            self.most_in_hand = max(self.most_in_hand, len(messages))
            in_hand = InHand(step, tuple(dict.fromkeys(map(str, messages))))
        self._noted = in_hand
        for message in messages:
            if self.kills.get(message) is step and str(message) not in self.detection.condemned:
                raise Died
        if self.killed(True):
            raise Died
        self.now += 0.01
        self._noted = InHand()
        if self.detection.on_step_survived(in_hand, self.now):
            self.history = self.detection.history
        self._outside()

    def _outside(self) -> None:
        if self.killed(False):
            raise Died
