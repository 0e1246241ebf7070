"""What a vendor's adapter does: a few pure functions, and what the vendor can do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from numbergroup.engine.calls import AccountFault, Call, Outcome, Throttled, Unavailable
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Fault


@dataclass(slots=True, frozen=True)
class Credentials:
    """Who we are to the vendor, and the `token` that it gave us for that, if it is one that gives such. None
    of them is ever shown."""

    name: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(repr=False, default=None)


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

    @property
    def is_success(self) -> bool:
        """Whether HTTP's status is one of success; a success that only the body states is none."""
        return 200 <= self.status < 300


@dataclass(slots=True, frozen=True)
class Capabilities:
    """What a vendor's API can do; what is planned and what is refused before any call goes by it.

    `commands`: what it can carry out; without `LIST` nothing can be looked up. `numbers_per_call`: the most.
    `page_size`: how many groups a listing may ask for at once, at least two. `results_per_number`: an answer
    may name the numbers that were not taken. `idempotent`: an update that may have been carried out can be
    sent again. `number_expiry`: numbers may leave a group by themselves. `number_pattern`: a regular
    expression for a whole number, if the vendor takes fewer than the contract. `one_spelling`: the same for
    all ways in which producers may write one number, where there are several; it is what commands are merged
    by, and what the vendor is sent.
    """

    commands: frozenset[CommandKind]
    numbers_per_call: int
    page_size: int = 1000
    results_per_number: bool = False
    idempotent: bool = True
    number_expiry: bool = False
    number_pattern: str | None = None
    one_spelling: Callable[[str], str] | None = None


class Provider(Protocol):
    @property
    def capabilities(self) -> Capabilities:
        """What the vendor's API can do, for this account."""

    @property
    def acceptance_window_s(self) -> float:
        """How long after it was signed the vendor may still accept a request."""

    @property
    def clock_codes(self) -> frozenset[str]:
        """The vendor's codes that say that the time of the signature is not its own time."""

    @property
    def credential_codes(self) -> frozenset[str]:
        """The codes of an account's fault that other credentials may mend."""

    def objection(self, command: Command, /) -> Fault | None:
        """Why the vendor would refuse the command, as far as its documented limits tell beforehand."""

    def request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        """The request for `call`, signed at `wall_ms` (Unix milliseconds)."""

    def outcome(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        """What the answer to that request means. Never raises, whatever the vendor sends."""


@dataclass(slots=True, frozen=True)
class TokenRules:
    """Of a vendor's tokens: how long one lasts, how many may be made within any hour, and the codes of an
    account's fault that say that the token is dead. A new token kills those before it."""

    lasts_s: float
    an_hour: int
    codes: frozenset[str]


@runtime_checkable
class TokenProvider(Provider, Protocol):
    """A vendor whose calls bear a token, that all workers share: `request` takes it from the credentials."""

    @property
    def token_rules(self) -> TokenRules | None:
        """`None`: this account's calls bear none."""

    def token_request(self, credentials: Credentials) -> Request:
        """The request for a new token."""

    def token(self, answer: Answer, credentials: Credentials) -> str | AccountFault | Throttled | Unavailable:
        """The token in the answer to that request, or why there is none. Never raises."""
