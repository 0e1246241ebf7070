"""The interface of a vendor's adapter: pure functions, and the vendor's capabilities."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from numbergroup.engine.calls import AccountFault, Call, Outcome, Throttled, Unavailable
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Fault


@dataclass(slots=True, frozen=True)
class Credentials:
    """An account's name and secret, and its `token` if the vendor uses tokens. None of them is ever shown."""

    name: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(repr=False, default=None)


@dataclass(slots=True, frozen=True)
class Request:
    """A signed HTTP request. `body` has exactly the bytes that are sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, frozen=True)
class Answer:
    """A complete HTTP response. Header names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether the HTTP status is a success. The body alone cannot make an answer a success."""
        return 200 <= self.status < 300


@dataclass(slots=True, frozen=True)
class Capabilities:
    """What a vendor's API can do. Calls are planned, and commands refused beforehand, by these values.

    - `commands`: the kinds that the vendor can carry out; without `LIST` no group can be looked up.
    - `numbers_per_call`: how many numbers a call may have.
    - `page_size`: how many groups a listing may request at once; at least two.
    - `results_per_number`: an answer may name the numbers that were rejected.
    - `idempotent`: an update that may have been carried out can be sent again.
    - `number_expiry`: numbers may leave a group at a given time.
    - `number_pattern`: a regular expression for whole numbers, if the vendor accepts fewer than the contract.
    - `normalize_number`: returns one form for all ways to write a number, if there are several. Commands are
      merged by that form, and the vendor is sent it.
    """

    commands: frozenset[CommandKind]
    numbers_per_call: int
    page_size: int = 1000
    results_per_number: bool = False
    idempotent: bool = True
    number_expiry: bool = False
    number_pattern: str | None = None
    normalize_number: Callable[[str], str] | None = None


class Provider(Protocol):
    """Turns calls into a vendor's requests, and its answers into outcomes."""

    @property
    def capabilities(self) -> Capabilities:
        """What the vendor's API can do for this account."""

    @property
    def acceptance_window_s(self) -> float:
        """For how long after it was signed the vendor may accept a request, in seconds."""

    @property
    def clock_codes(self) -> frozenset[str]:
        """The vendor's codes for a signature whose time differs from the vendor's clock."""

    @property
    def credential_codes(self) -> frozenset[str]:
        """The codes of an account's fault that other credentials may clear."""

    def check_command(self, command: Command, /) -> Fault | None:
        """Return why the vendor's documented limits forbid the command, or `None`."""

    def build_request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        """Return the request for `call`, signed with the time `wall_ms` (Unix milliseconds)."""

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        """Return the outcome of `call`. Never raises, whatever the vendor sends."""


@dataclass(slots=True, frozen=True)
class TokenRules:
    """The rules of a vendor's tokens. A new token revokes the tokens before it.

    `lifetime_s`: how long a token lasts, in seconds. `max_per_hour`: how many may be made within any hour.
    `codes`: the codes of an account's fault that say that the token is dead.
    """

    lifetime_s: float
    max_per_hour: int
    codes: frozenset[str]


@runtime_checkable
class TokenProvider(Provider, Protocol):
    """A vendor whose calls bear a token. `build_request` reads it from the credentials."""

    @property
    def token_rules(self) -> TokenRules | None:
        """The rules of the account's tokens; `None`: its calls bear none."""

    def build_token_request(self, credentials: Credentials) -> Request:
        """Return the request for a new token."""

    def parse_token(
        self, answer: Answer, credentials: Credentials
    ) -> str | AccountFault | Throttled | Unavailable:
        """Return the token in the answer to that request, or why there is none. Never raises."""
