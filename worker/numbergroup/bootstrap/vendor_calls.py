"""Makes single calls to a vendor outside of a worker."""

from contextlib import AsyncExitStack

from numbergroup.bootstrap.accounts import build_caller
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import connect
from numbergroup.engine.calls import Call, Outcome
from numbergroup.ledger.redis import RedisLedger
from numbergroup.ledger.tokens import RedisTokens
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock
from numbergroup.settings import Settings, require_accounts
from numbergroup.vendors.keyring import Keyring

log = get_logger("worker")


async def make_read_call(settings: Settings, name: str, ledger_url: str | None, call: Call) -> Outcome:
    """Make a call of the account `name` that changes nothing, and return its outcome.

    It counts against the rate limit that the workers keep in the ledger at `ledger_url`. Without a ledger,
    the rate limit is that of this process alone. Raises `LedgerUnavailable` when the ledger does not answer.
    """
    account = require_accounts(settings)[name]
    for warning in account.warnings:
        log.warning(warning, account=name)
    async with AsyncExitStack() as opened:
        if ledger_url is None:
            own = embedded.start()
            opened.callback(own.stop)
            ledger_url = own.url
        client = connect(ledger_url)
        opened.push_async_callback(client.aclose)
        ledger = RedisLedger(client)
        clock = Clock.starting_from(await ledger.time_s())
        limiter = ledger.limiter(name, account.calls_per_second)
        keyring = Keyring(name, account.credentials)
        caller, _ = build_caller(keyring, account, limiter, clock, token_store=RedisTokens(client))
        opened.push_async_callback(caller.close)
        await limiter.acquire()
        result = await caller.run(call, _NoLease(), _record_nothing)
    return result.outcome


class _NoLease:
    """Stands in for the lease of a partition: a call that changes nothing needs none."""

    async def outlives(self, _: float) -> bool:
        return True


async def _record_nothing(_: float) -> bool:
    return True
