"""What the runtime asks of a ledger. Every method may raise `LedgerUnavailable`; none half-does its work."""

from collections.abc import Sequence
from typing import Protocol

from worker.engine.messages import Facts
from worker.engine.model import Command, CreateIntent, GroupRef


class LedgerUnavailable(Exception):
    """The ledger did not answer, or refused for a reason that may pass (memory, disk, failover)."""


class Limiter(Protocol):
    """The rate limit of one account, one for all workers."""

    async def acquire(self) -> None:
        """Return when one call may be made, and count it."""


class Ledger(Protocol):
    async def lookup(self, commands: Sequence[Command]) -> Facts:
        """What is known of these commands, in one round trip."""

    async def record_intent(self, ref: GroupRef, intent: CreateIntent) -> None:
        """Make it durable that a create is about to be sent. An earlier intent of `ref` is replaced."""

    async def drop_intent(self, ref: GroupRef, intent: CreateIntent) -> None:
        """The create of this very intent was answered, and made nothing. A later intent of `ref` stays."""

    async def acquire_lease(self, partition: int, owner: str, ttl_s: float) -> int | None:
        """Become the partition's owner: the new epoch, or `None` while somebody else is."""

    async def renew_lease(self, partition: int, owner: str, epoch: int, ttl_s: float) -> bool:
        """Stay the owner for another `ttl_s`. False: somebody else was it since."""

    async def release_lease(self, partition: int, owner: str, epoch: int) -> None:
        """Stop being the owner, so that whoever stands by takes over at once."""

    def limiter(self, account: str, calls_per_second: float) -> Limiter:
        """The account's shared rate limit."""
