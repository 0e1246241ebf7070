"""A token in the memory of one process: whose it is, and until when it is used."""

from dataclasses import dataclass
from hashlib import blake2b

from numbergroup.ledger.token_state import SharedToken
from numbergroup.vendors.port import Credentials, TokenRules

_UNUSED_S = 1.0
"""At its end a token is not used, for the request takes time."""


@dataclass(slots=True, frozen=True)
class CachedToken:
    """A token, and three times on the clock that all workers share (Unix seconds).

    `read_at`: from then on the ledger may have a newer token. `renew_at`: from then on a new one is made.
    `until`: the token is used until then.
    """

    token: SharedToken
    read_at: float
    renew_at: float
    until: float

    @classmethod
    def schedule(cls, token: SharedToken, rules: TokenRules, chance: float) -> "CachedToken":
        """Return `token` with its times. `chance`, from 0 to 1, spreads the renewals of the workers."""
        until = token.since + rules.lifetime_s
        read_at, latest = until - rules.lifetime_s / 12, until - rules.lifetime_s / 30
        return cls(token, read_at, read_at + chance * (latest - read_at), until - _UNUSED_S)


def hash_credentials(credentials: Credentials) -> str:
    """Return a digest that identifies the credentials of a token: each secret of a user has its own."""
    both = f"{len(credentials.name)} {credentials.name}{credentials.secret}"
    return blake2b(both.encode(), digest_size=16).hexdigest()
