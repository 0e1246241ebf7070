"""Poison detection: finds the message or command that crashes workers, and suspects no other. It does no I/O.

After repeated crashes, a worker runs its risky steps one at a time. Before each step it records what the step
has in hand (its messages or commands). Its successor reads the record. The rules:

- After a crash outside every step, nothing is suspected: something else killed the worker.
- After a crash in a step, everything that the step had in hand is suspected, for that step. From then on each
  suspect goes through every step alone.
- A suspect that goes through its step without a crash is cleared. - Before a step in which a worker crashed
with the suspect alone, the worker waits for a random time. Kills from
  outside, however regular, mostly hit this wait, which makes nothing suspect.
- A suspect is condemned after `max_crashes` crashes in the same step with it alone.

So a crash with another cause only makes a suspect go through steps alone. To be condemned, an innocent
message must be hit in the same short step at `max_crashes` attempts, without one attempt that succeeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from math import isqrt

from numbergroup.engine.precautions import Precautions

_UNRECORDED_CRASHES = 2
"""Workers record what is in hand after so many crashes."""
_STABLE_S = 600.0
"""A worker that runs for so long is not in a crash loop."""
_MAX_SUSPECTS = 5_000
_MAX_HEADER_CRASHES = 2
"""After so many crashes more, not even the beginning of a condemned message is read."""


class Step(StrEnum):
    """A step that may crash a worker. Each is short, and never waits for the vendor or for another step."""

    DECODE = "decode"
    ADMIT = "admit"
    """Look up decoded commands, and add them to their groups."""
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
    """What a step has in hand: digests of messages or of commands; without a step, nothing.

    `place`: the number of the step among those of its kind in the same batch.
    """

    step: Step | None = None
    digests: tuple[str, ...] = ()
    place: int = 0

    def __bool__(self) -> bool:
        return bool(self.step and self.digests)


@dataclass(slots=True, frozen=True)
class Suspect:
    """A message or command that may have crashed workers in one step.

    `deaths`: the number of crashes in the step with only this one in hand. `place`: see `InHand`.
    """

    step: Step
    digest: str
    deaths: int = 0
    place: int = 0


@dataclass(slots=True, frozen=True)
class History:
    """A partition's crashes since its last stable owner, and the suspects."""

    crashes: int = 0
    suspects: tuple[Suspect, ...] = ()

    def with_crash(self, in_hand: InHand) -> "History":
        """Return the history with one more crash, in a step that had `in_hand` in hand."""
        crashes = self.crashes + 1
        if not in_hand:
            return History(crashes, self.suspects)
        assert in_hand.step is not None
        known = {(suspect.step, suspect.place, suspect.digest): suspect for suspect in self.suspects}
        for digest in in_hand.digests:
            suspect = Suspect(in_hand.step, digest, 0, in_hand.place)
            known.setdefault((in_hand.step, in_hand.place, digest), suspect)
        if len(in_hand.digests) == 1:
            key = in_hand.step, in_hand.place, in_hand.digests[0]
            known[key] = replace(known[key], deaths=known[key].deaths + 1)
        return History(crashes, tuple(islice(known.values(), _MAX_SUSPECTS)))


@dataclass(slots=True, frozen=True)
class CrashPolicy:
    """How poison is searched.

    `max_crashes`: crashes that condemn a suspect. `max_pending`: commands that may be in memory. `idle_s`:
    seconds without work after which all suspicions end. `pause_s`: average wait in seconds before a suspect
    is tried again.
    """

    max_crashes: int = 5
    max_pending: int = 20_000
    idle_s: float = 30.0
    pause_s: float = 1.0

    @property
    def batch_limit(self) -> int:
        """How many messages or commands without suspicion a step may have in hand."""
        return max(1, isqrt(self.max_pending))


@dataclass(slots=True)
class PoisonDetection:
    """Searches one partition for poison, for one owner, from `started_at` on (seconds, as all times here)."""

    history: History
    policy: CrashPolicy
    started_at: float
    _busy_at: float = field(init=False)
    _suspects: frozenset[str] = field(init=False)
    _had_suspects: bool = field(init=False)
    _condemned: dict[str, int] = field(init=False, default_factory=dict)
    _unexplained: set[Suspect] = field(init=False, default_factory=set)
    """Suspects from before this owner that are neither cleared nor, if condemned, answered."""

    def __post_init__(self) -> None:
        self._busy_at = self.started_at
        self._unexplained = set(self.history.suspects)
        self._had_suspects = bool(self._unexplained)
        self._condemned = {
            suspect.digest: suspect.deaths
            for suspect in self.history.suspects
            if suspect.deaths >= self.policy.max_crashes
        }
        self._refresh_suspects()

    def _refresh_suspects(self) -> None:
        digests = frozenset(suspect.digest for suspect in self.history.suspects)
        self._suspects = digests | self._condemned.keys()

    @property
    def is_recording(self) -> bool:
        """Whether steps must run one at a time, and record what they have in hand before they start."""
        return self.history.crashes >= _UNRECORDED_CRASHES

    @property
    def precautions(self) -> Precautions | None:
        """The limits for batches; `None`: there are none."""
        if not self.is_recording:
            return None
        return Precautions(self.policy.batch_limit, self._suspects, self._condemned)

    @property
    def condemned(self) -> Mapping[str, int]:
        """The number of crashes by each condemned message or command."""
        return self._condemned

    def is_suspect(self, digest: str) -> bool:
        return digest in self._suspects

    def has_killed(self, in_hand: InHand) -> bool:
        """Whether a worker crashed in this step with one of these alone in hand."""
        return any(
            suspect.deaths and suspect.digest in in_hand.digests
            for suspect in self.history.suspects
            if (suspect.step, suspect.place) == (in_hand.step, in_hand.place)
        )

    def must_not_be_read(self, digest: str) -> bool:
        """Whether a condemned message crashed workers even when they read only its beginning."""
        deaths = self._condemned.get(digest, 0)
        return deaths >= self.policy.max_crashes + _MAX_HEADER_CRASHES

    def count_admissible(self, digests: Sequence[str]) -> int:
        """Return how many of the next messages may be in hand together: at least one."""
        limit = Precautions(self.policy.batch_limit, self._suspects, self._condemned)
        return limit.batch_length(digests, len(digests))

    def on_step_survived(self, in_hand: InHand, now: float) -> bool:
        """Clear suspects after a step that did not crash; return whether the history changed.

        Condemned ones stay condemned: there may be copies, and RabbitMQ may deliver them again.
        """
        self._busy_at = now
        suspects = self._suspects.intersection(in_hand.digests)
        if not suspects:
            return False
        # A settled message goes through no further step, so all its suspicions end.
        is_settled = in_hand.step is Step.SETTLE
        survived = {
            suspect
            for suspect in self.history.suspects
            if suspect.digest in suspects
            and (
                is_settled
                or (
                    (suspect.step, suspect.place) == (in_hand.step, in_hand.place)
                    and suspect.digest not in self._condemned
                )
            )
        }
        self._unexplained -= survived
        cleared = {suspect for suspect in survived if suspect.digest not in self._condemned}
        if not cleared:
            return False
        remaining = tuple(suspect for suspect in self.history.suspects if suspect not in cleared)
        self.history = replace(self.history, suspects=remaining)
        self._refresh_suspects()
        return True

    def is_over(self, now: float, waiting: int) -> bool:
        """Whether poison detection can end.

        It can when all suspects are cleared or answered, or the worker was idle for `idle_s`, or has run for
        long. `waiting`: the number of answers that the worker owes.
        """
        if waiting:
            self._busy_at = now
        elif self._had_suspects and not self._unexplained:
            return True
        return now - self._busy_at >= self.policy.idle_s or now - self.started_at >= _STABLE_S
