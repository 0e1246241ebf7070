"""What an account's vendor can do, and the limits and waits that the engine goes by: values, set at start."""

from collections.abc import Callable
from dataclasses import dataclass, field

from numbergroup.engine.commands import (
    Command,
    CommandKind,
    Fault,
)


@dataclass(slots=True, frozen=True)
class BreakerPolicy:
    """It opens when, of the calls that ended within `window_s`, `share` or more failed, and these were
    `least_failures` at least, of `least_groups`. Seconds: `open_s` is its first wait and its longest."""

    share: float = 0.5
    least_failures: int = 5
    least_groups: int = 2
    window_s: float = 30.0
    open_s: tuple[float, float] = (1.0, 60.0)
    ramp_s: float = 10.0


@dataclass(slots=True, frozen=True)
class BreakerNotice:
    """What a worker tells the others of an account: no call before `until` (Unix seconds), then one probe.

    `failures`: how many times in a row it opened.
    """

    until: float
    failures: int


LONGEST_RETRY_AFTER_S = 3600.0
"""A vendor that asks for more is asked again after that."""


@dataclass(slots=True, frozen=True)
class AccountPolicy:
    """What an account's provider can do, and its limits.

    `marker`: whether a create may carry its marker in the group's remark. `isolation_per_second`: how many
    calls may be spent on finding which command of a batch the vendor refuses, in the long run. `idempotent`:
    an update that may have been carried out can be sent again; where it cannot, its commands fail instead
    (but after a crash of the worker, of which a vendor like that must be told nothing twice, they are sent
    again). `number_pattern`: a regular expression for a whole number; `objection`: why the vendor would
    refuse a command, as far as can be told beforehand. `results_per_number`: of a call that it carries out,
    the vendor may leave some numbers out.
    """

    numbers_per_call: int
    max_in_flight: int
    supports: frozenset[CommandKind]
    marker: bool = True
    number_expiry: bool = False
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    isolation_per_second: float = float("inf")
    idempotent: bool = True
    number_pattern: str | None = None
    objection: Callable[[Command], Fault | None] | None = None
    results_per_number: bool = False

    @property
    def lists(self) -> bool:
        """Whether a group, or what is in it, can be looked up."""
        return CommandKind.LIST in self.supports

    @property
    def finds(self) -> bool:
        """Whether the group of a create is known in the list: by its marker, or by its very numbers."""
        return self.lists and (self.marker or not self.results_per_number)

    @property
    def marks(self) -> bool:
        """Whether a create carries its marker: nobody could read one that is not listed."""
        return self.marker and self.lists


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """Exponential delay with full jitter, in seconds.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").
    """

    base_s: float = 1.0
    cap_s: float = 120.0
    give_up_after_s: float = 86_400.0

    def delay_s(self, failures: int, jitter: float) -> float:
        """The wait after the `failures`-th failure in a row (from 1); `jitter` is in [0, 1)."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))
        return ceiling * jitter

    def is_over(self, first_failed_at: float, now: float) -> bool:
        """Whether retries that began at `first_failed_at` have gone on for long enough."""
        return now - first_failed_at >= self.give_up_after_s
