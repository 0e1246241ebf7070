"""What a vendor's adapter does: two pure functions, and what the vendor can do."""

from dataclasses import dataclass, field
from typing import Protocol

from worker.engine.model import Call, CommandKind, Outcome


@dataclass(slots=True, frozen=True)
class Request:
    """A signed HTTP request: `body` is exactly what goes over the wire."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, frozen=True)
class Answer:
    """An HTTP response, read whole. Header names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Provider(Protocol):
    @property
    def supports(self) -> frozenset[CommandKind]:
        """The commands that the vendor's API can carry out."""

    @property
    def page_size(self) -> int:
        """How many groups a listing may ask for at once."""

    @property
    def acceptance_window_s(self) -> float:
        """How long after it was signed the vendor may still accept a request."""

    @property
    def clock_codes(self) -> frozenset[str]:
        """The vendor's codes that say that the time of the signature is not its own time."""

    def request(self, call: Call, wall_ms: int) -> Request:
        """The request for `call`, signed at `wall_ms` (Unix milliseconds)."""

    def outcome(self, call: Call, answer: Answer) -> Outcome:
        """What the answer means. Never raises, whatever the vendor sends."""
