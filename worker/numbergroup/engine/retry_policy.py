"""How long a group waits after a failure. Time and jitter are arguments: this module has neither."""

from dataclasses import dataclass


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
