"""What the server knows of a call, whichever vendor it was meant for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from numbergroup.sandbox.armed import FaultEffects, Target
from numbergroup.sandbox.call_log import LoggedCall
from numbergroup.sandbox.faults import RefusingFault, Throttle


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came in. `headers` is to look names up without regard to case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    now_ms: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A vendor's answer in JSON; `logged_code` is what the log has of it, a code or a text."""

    body: bytes
    logged_code: int | str
    http: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class VendorCall(Protocol):
    """A call under way: in the log since it arrived. Pure.

    When the sandbox is reset meanwhile, the call does not touch what is new.
    """

    @property
    def log(self) -> LoggedCall:
        """Itself in the log."""

    @property
    def target(self) -> Target:
        """What the faults aim at."""

    def is_over_cap(self, now_ms: int) -> bool:
        """Whether it is above the cap on calls a second."""

    def apply_effects(self, effects: FaultEffects) -> None:
        """Takes in what the faults do to it while it goes on."""

    def recheck_validity(self, now_ms: int) -> None:
        """Looks again at what may have run out, after the call was long on its way."""

    def perform(self) -> Reply:
        """Makes the change if the vendor would, and returns its answer."""

    def refuse(self, fault: RefusingFault) -> Reply:
        """The answer that the fault wants; nothing is changed."""

    def throttle(self, fault: Throttle) -> Reply:
        """The answer to one call too many; nothing is changed."""

    def fake_success(self) -> bytes:
        """The answer to a success, of which nothing is true."""

    @property
    def success_prefix(self) -> bytes:
        """How a success's JSON begins, up to within a text."""
