"""Poison detection: find the message or command that kills workers, and blame no other. Pure.

A worker runs its dangerous steps one at a time once workers have died again and again, and notes before each
step what that step has in hand. Its successor reads the note. The rules:

- A death outside every step blames nothing: something else killed the worker.
- A death in a step makes suspects of what the step had in hand, for that step. From then on each suspect
  goes through every step alone.
- A suspect that goes through its step without a death is cleared.
- Before a suspect is tried again in a step in which a worker died with it alone, the worker waits for a
  random time. What kills from outside, however regularly, hits that pause, which blames nothing.
- A suspect is condemned when workers died `max_crashes` times in the same step with it alone.

So a death that has other reasons costs a suspect nothing but a lone step. To be condemned, an innocent must
be hit in the same short step at each of `max_crashes` attempts, without a single attempt that ends well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from math import isqrt

from numbergroup.engine.precautions import Precautions

_UNRECORDED_CRASHES = 2
"""After so many crashes workers begin to note what is in hand."""
_LIFE_S = 600.0
"""A worker that lives for so long is not in a crash loop."""
_MOST_SUSPECTS = 5_000
_READING_ALONE = 2
"""So many more deaths, and not even the beginning of a condemned message is read."""


class Step(StrEnum):
    """What may kill a worker. Each is short, and never waits for the vendor or for another step."""

    DECODE = "decode"
    ADMIT = "admit"
    """Look decoded commands up, and put them into their groups."""
    PLAN = "plan"
    """Form a batch, merge and plan it."""
    CALL = "call"
    """Begin a call."""
    COMPOSE = "compose"
    """Build and sign a request."""
    SEND = "send"
    READ_ANSWER = "read answer"
    RESOLVE = "resolve"
    """Decide what an outcome means for the batch."""
    SETTLE = "settle"


@dataclass(slots=True, frozen=True)
class InHand:
    """What a step has in hand: digests of messages or of commands. Without a step, nothing.

    `place`: which of the batch's steps of this kind it is, where there are several.
    """

    step: Step | None = None
    digests: tuple[str, ...] = ()
    place: int = 0

    def __bool__(self) -> bool:
        return bool(self.step and self.digests)


@dataclass(slots=True, frozen=True)
class Suspect:
    """`deaths`: how often workers died in the step with this one alone in hand. `place`: see `InHand`."""

    step: Step
    digest: str
    deaths: int = 0
    place: int = 0


@dataclass(slots=True, frozen=True)
class History:
    """A partition's crashes since all was well, and what is suspected of them."""

    crashes: int = 0
    suspects: tuple[Suspect, ...] = ()

    def with_crash(self, in_hand: InHand) -> "History":
        """The history with one more crash, at which the step had this in hand."""
        crashes = self.crashes + 1
        if not in_hand:
            return History(crashes, self.suspects)
        assert in_hand.step is not None
        known = {(one.step, one.place, one.digest): one for one in self.suspects}
        for digest in in_hand.digests:
            suspect = Suspect(in_hand.step, digest, 0, in_hand.place)
            known.setdefault((in_hand.step, in_hand.place, digest), suspect)
        if len(in_hand.digests) == 1:
            key = in_hand.step, in_hand.place, in_hand.digests[0]
            known[key] = replace(known[key], deaths=known[key].deaths + 1)
        return History(crashes, tuple(islice(known.values(), _MOST_SUSPECTS)))


@dataclass(slots=True, frozen=True)
class CrashPolicy:
    """`max_crashes`: how many deaths condemn. `max_pending`: how many commands may be in memory.

    `patience_s`: after so long without anything to do, a worker suspects nothing any more. `pause_s`: how
    long it waits, on average, before it tries a suspect again.
    """

    max_crashes: int = 5
    max_pending: int = 20_000
    idle_s: float = 30.0
    pause_s: float = 1.0

    @property
    def batch_limit(self) -> int:
        """How many messages or commands a step may have in hand that are no suspects."""
        return max(1, isqrt(self.max_pending))


@dataclass(slots=True)
class PoisonDetection:
    """One owner's view of its partition, from `began` on (seconds, as all times here)."""

    history: History
    policy: CrashPolicy
    started_at: float
    _busy_at: float = field(init=False)
    _suspects: frozenset[str] = field(init=False)
    _had_suspects: bool = field(init=False)
    _condemned: dict[str, int] = field(init=False, default_factory=dict)
    _unexplained: set[Suspect] = field(init=False, default_factory=set)
    """The suspects that this owner began with, neither cleared nor, if condemned, answered."""

    def __post_init__(self) -> None:
        self._busy_at = self.started_at
        self._unexplained = set(self.history.suspects)
        self._had_suspects = bool(self._unexplained)
        self._condemned = {
            one.digest: one.deaths for one in self.history.suspects if one.deaths >= self.policy.max_crashes
        }
        self._take_suspects()

    def _take_suspects(self) -> None:
        self._suspects = frozenset(one.digest for one in self.history.suspects) | self._condemned.keys()

    @property
    def is_recording(self) -> bool:
        """Whether steps must run alone, and what they have in hand must be noted before they begin."""
        return self.history.crashes >= _UNRECORDED_CRASHES

    @property
    def precautions(self) -> Precautions | None:
        """What batches must observe; `None`: nothing."""
        if not self.is_recording:
            return None
        return Precautions(self.policy.batch_limit, self._suspects, self._condemned)

    @property
    def condemned(self) -> Mapping[str, int]:
        """How many workers died of each condemned message or command."""
        return self._condemned

    def is_suspect(self, digest: str) -> bool:
        return digest in self._suspects

    def has_killed(self, in_hand: InHand) -> bool:
        """Whether a worker died in this step with one of these alone."""
        return any(
            one.deaths and one.digest in in_hand.digests
            for one in self.history.suspects
            if (one.step, one.place) == (in_hand.step, in_hand.place)
        )

    def must_not_be_read(self, digest: str) -> bool:
        """Whether a condemned message went on killing workers that read no more than its beginning."""
        deaths = self._condemned.get(digest, 0)
        return deaths >= self.policy.max_crashes + _READING_ALONE

    def count_admissible(self, digests: Sequence[str]) -> int:
        """How many of the next messages may be in hand together; one at least."""
        limit = Precautions(self.policy.batch_limit, self._suspects, self._condemned)
        return limit.batch_length(digests, len(digests))

    def on_step_survived(self, in_hand: InHand, now: float) -> bool:
        """Take in that the step went well; whether that changes the history.

        What is condemned stays so: there may be copies, and RabbitMQ may deliver it again.
        """
        self._busy_at = now
        suspects = self._suspects.intersection(in_hand.digests)
        if not suspects:
            return False
        # With its answer durable, it goes through no further step.
        is_durable = in_hand.step is Step.SETTLE
        survived = {
            one
            for one in self.history.suspects
            if one.digest in suspects
            and (
                is_durable
                or (
                    (one.step, one.place) == (in_hand.step, in_hand.place)
                    and one.digest not in self._condemned
                )
            )
        }
        self._unexplained -= survived
        cleared = {one for one in survived if one.digest not in self._condemned}
        if not cleared:
            return False
        left = tuple(one for one in self.history.suspects if one not in cleared)
        self.history = replace(self.history, suspects=left)
        self._take_suspects()
        return True

    def is_over(self, now: float, waiting: int) -> bool:
        """Whether nothing need be suspected any more: it was found out about all suspects, or the worker has
        nothing to do for a while, or has lived for long. `waiting`: how many answers it owes."""
        if waiting:
            self._busy_at = now
        elif self._had_suspects and not self._unexplained:
            return True
        return now - self._busy_at >= self.policy.idle_s or now - self.started_at >= _LIFE_S
