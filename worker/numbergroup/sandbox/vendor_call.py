"""The interface between the server and a call to either vendor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from numbergroup.sandbox.armed import FaultEffects, Target
from numbergroup.sandbox.call_log import LoggedCall
from numbergroup.sandbox.faults import RefusingFault, Throttle


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A received HTTP request. `headers` must be case-insensitive. `now_ms`: arrival, Unix ms."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    now_ms: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A vendor's answer in JSON. `logged_code` is its code or message in the log of calls."""

    body: bytes
    logged_code: int | str
    http: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class VendorCall(Protocol):
    """A call in progress, which is in the log since its arrival. Pure.

    If the sandbox is reset in the meantime, the call does not change the new state.
    """

    @property
    def log(self) -> LoggedCall:
        """The entry of the call in the log."""

    @property
    def target(self) -> Target:
        """The properties that faults match."""

    def is_over_cap(self, now_ms: int) -> bool:
        """Whether the call exceeds the limit on calls per second. A call that does not is counted."""

    def apply_effects(self, effects: FaultEffects) -> None:
        """Applies the faults that let the call continue."""

    def recheck_validity(self, now_ms: int) -> None:
        """Checks again, after a delay, whatever may have expired."""

    def perform(self) -> Reply:
        """Makes the change if the request is valid, and returns the vendor's answer."""

    def refuse(self, fault: RefusingFault) -> Reply:
        """Returns the answer of the fault, and changes nothing."""

    def throttle(self, fault: Throttle) -> Reply:
        """Returns the answer to a call above the rate limit, and changes nothing."""

    def fake_success(self) -> bytes:
        """Returns the body of a success, although nothing is changed."""

    @property
    def success_prefix(self) -> bytes:
        """The beginning of a success's JSON, up to the inside of a string."""
