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
from numbergroup.vendors.tokens import tokens_of


def build_caller(
    keyring: Keyring, account: AccountSettings, limiter: Limiter, clock: Clock, store: TokenStore
) -> tuple[Caller, AccountPolicy]:
    """Return the account's caller and its policy."""
    provider = account.vendor()
    transport = HttpTransport(account.max_in_flight, account.connect_timeout_s, account.timeout_s)
    caller = Caller(
        provider,
        keyring,
        transport,
        Limits(account.connect_timeout_s, account.timeout_s, account.retry_attempts),
        limiter.acquire,
        clock.wall,
        now_s=clock.now,
        tokens=tokens_of(
            *(keyring.account, provider, store, transport, limiter.acquire, account.timeout_s, clock.now)
        ),
    )
    return caller, build_policy(account, provider)


def build_policy(account: AccountSettings, provider: Provider) -> AccountPolicy:
    """Return the policy from the vendor's capabilities and the account's limits."""
    can = provider.capabilities
    return AccountPolicy(
        can.numbers_per_call,
        account.max_in_flight,
        can.commands,
        allows_marker=account.marks_creates,
        breaker=BreakerPolicy(share=account.breaker_share, open_s=_open_s(account.breaker_max_open_s)),
        isolation_per_second=account.isolation_share * account.calls_per_second,
        number_expiry=can.number_expiry,
        idempotent=can.idempotent,
        number_pattern=can.number_pattern,
        precheck=provider.objection,
        results_per_number=can.results_per_number,
    )


def _open_s(longest: float) -> tuple[float, float]:
    return min(BreakerPolicy().open_s[0], longest), longest
