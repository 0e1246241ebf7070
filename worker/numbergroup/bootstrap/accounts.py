"""Builds an account's caller, and the policy that the engine applies to it."""

from numbergroup.engine.policy import AccountPolicy, BreakerPolicy
from numbergroup.ledger.port import Limiter, TokenStore
from numbergroup.runtime.clock import Clock
from numbergroup.settings import AccountSettings
from numbergroup.vendors.attempt import Limits
from numbergroup.vendors.client import Caller
from numbergroup.vendors.http import HttpTransport
from numbergroup.vendors.keyring import Keyring
from numbergroup.vendors.port import Provider
from numbergroup.vendors.tokens import build_tokens


def build_caller(
    keyring: Keyring, account: AccountSettings, limiter: Limiter, clock: Clock, *, token_store: TokenStore
) -> tuple[Caller, AccountPolicy]:
    """Return the account's caller and its policy. `keyring` and `limiter` are the account's."""
    provider = account.create_provider()
    transport = HttpTransport(account.max_in_flight, account.connect_timeout_s, account.timeout_s)
    caller = Caller(
        provider,
        keyring,
        transport,
        Limits(account.connect_timeout_s, account.timeout_s, account.retry_attempts),
        permit=limiter.acquire,
        wall_s=clock.wall,
        now_s=clock.now,
        tokens=build_tokens(
            account=keyring.account,
            provider=provider,
            store=token_store,
            transport=transport,
            permit=limiter.acquire,
            timeout_s=account.timeout_s,
            now_s=clock.now,
        ),
    )
    return caller, build_policy(account, provider)


def build_policy(account: AccountSettings, provider: Provider) -> AccountPolicy:
    """Return the policy from the vendor's capabilities and the account's limits."""
    capabilities = provider.capabilities
    return AccountPolicy(
        capabilities.numbers_per_call,
        account.max_in_flight,
        capabilities.commands,
        allows_marker=account.marks_creates,
        breaker=BreakerPolicy(share=account.breaker_share, open_s=_open_interval(account.breaker_max_open_s)),
        isolation_per_second=account.isolation_share * account.calls_per_second,
        number_expiry=capabilities.number_expiry,
        idempotent=capabilities.idempotent,
        number_pattern=capabilities.number_pattern,
        precheck=provider.check_command,
        results_per_number=capabilities.results_per_number,
    )


def _open_interval(max_s: float) -> tuple[float, float]:
    """Return the shortest and the longest time, in seconds, for which the breaker stays open."""
    return min(BreakerPolicy().open_s[0], max_s), max_s
