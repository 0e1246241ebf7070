"""Settings of the engine: what an account's vendor supports, limits, and delays. Fixed at start."""

from collections.abc import Callable
from dataclasses import dataclass, field

from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Fault


@dataclass(slots=True, frozen=True)
class BreakerPolicy:
    """When an account's breaker opens, and for how long. Times are seconds.

    It opens if, of the calls that ended within `window_s`, at least the share `share` failed, and there were
    at least `least_failures` failures in at least `least_groups` groups. `open_s`: the first wait and the
    longest. `ramp_s`: how long it takes to return to the full rate after a successful probe.
    """

    share: float = 0.5
    least_failures: int = 5
    least_groups: int = 2
    window_s: float = 30.0
    open_s: tuple[float, float] = (1.0, 60.0)
    ramp_s: float = 10.0


@dataclass(slots=True, frozen=True)
class BreakerNotice:
    """The state of an account's open breaker, shared by all workers.

    No call begins before `until` (Unix seconds); then one probe does. `failures`: how many times in a row the
    breaker opened.
    """

    until: float
    failures: int


MAX_RETRY_AFTER_S = 3600.0
"""The longest `Retry-After` that is obeyed. A longer one is cut to this."""


@dataclass(slots=True, frozen=True)
class AccountPolicy:
    """What an account's vendor supports, and the account's limits.

    - `allows_marker`: a create may write its marker into the group's remark.
    - `isolation_per_second`: how many calls per second, on average, may go into finding the command that
      makes the vendor refuse a batch.
    - `idempotent`: an update that may have been carried out can be sent again. Otherwise its commands fail.
      After a crash of the worker they are sent again even so, which may apply them twice.
    - `number_pattern`: a regular expression that matches a whole phone number.
    - `precheck`: returns why the vendor would refuse a command, as far as its documented limits tell.
    - `results_per_number`: the vendor may accept a call and reject some of its numbers.
    """

    numbers_per_call: int
    max_in_flight: int
    supports: frozenset[CommandKind]
    allows_marker: bool = True
    number_expiry: bool = False
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    isolation_per_second: float = float("inf")
    idempotent: bool = True
    number_pattern: str | None = None
    precheck: Callable[[Command], Fault | None] | None = None
    results_per_number: bool = False

    @property
    def can_list(self) -> bool:
        """Whether groups and their members can be looked up."""
        return CommandKind.LIST in self.supports

    @property
    def can_find_created(self) -> bool:
        """Whether a list identifies the group of a create: by its marker, or by its exact numbers."""
        return self.can_list and (self.allows_marker or not self.results_per_number)

    @property
    def writes_marker(self) -> bool:
        """Whether creates carry a marker. It is of use only if groups can be listed."""
        return self.allows_marker and self.can_list


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """When failed calls are retried: exponential delays with full jitter, in seconds.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").
    """

    base_s: float = 1.0
    cap_s: float = 120.0
    give_up_after_s: float = 86_400.0

    def delay_s(self, failures: int, jitter: float) -> float:
        """Return the delay after this many failures in a row (from 1). `jitter` is in [0, 1)."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))
        return ceiling * jitter

    def is_exhausted(self, first_failed_at: float, now: float) -> bool:
        """Return whether retries since `first_failed_at` have used up their time."""
        return now - first_failed_at >= self.give_up_after_s
