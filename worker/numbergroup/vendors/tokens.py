"""Tokens that a vendor's calls bear. All workers share one token for an account.

A process caches the token, and reads nothing for most of the token's life. Near its end the process reads
the ledger before each call, for another worker may have stored a newer token. At a moment that differs from
worker to worker it claims the right to make one. A token that works is used until the new one is made. The
vendor then revokes it: a call that fails for that reason asks again with `dead`, and gets the new token.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from numbergroup.engine.calls import AccountFault, Throttled, Unavailable, Withheld
from numbergroup.ledger.port import LedgerUnavailable, TokenStore
from numbergroup.ledger.token_state import LONGEST_CLAIM_S, Claim, SharedToken, TokenState
from numbergroup.observability.logging import get_logger
from numbergroup.vendors.cached_token import CachedToken, hash_credentials
from numbergroup.vendors.http import MaySend, Transport, Withdrawn, always, try_exchange
from numbergroup.vendors.port import Credentials, Provider, Request, TokenProvider, TokenRules

TokenFailure = AccountFault | Throttled | Unavailable
"""Why there is no token; never in doubt, for the call was not sent."""

_MAX_ANSWER_BYTES = 64 * 1024
_PERMIT_LASTS_S = 0.05
_SEND_WITHIN_S = 2.0
"""After its permit: a process that was frozen for longer does not send the request."""
_LATE_S = 5.0
"""How long after its timeout a request may still reach the vendor [I]."""
_MAX_WAIT_S = 5.0
_POLL_S = (0.05, 0.8)
_RETRY_S = (10.0, 20.0)
_MAX_WRITES = 4

_MANY_MADE = (
    "a new token was made, for all workers, and there were many: does anybody else make some with this "
    "account's credentials?"
)

log = get_logger("tokens")


class Tokens:
    """Provides the tokens of one account in this process. Close it when done.

    `permit` and `transport` are the account's own. `timeout_s` is the longest time of one exchange. `now_s`
    is the clock that all workers share (Unix seconds). `chance` returns a random number from 0 to 1.
    """

    def __init__(
        self,
        account: str,
        provider: TokenProvider,
        *,
        rules: TokenRules,
        store: TokenStore,
        transport: Transport,
        permit: Callable[[], Awaitable[object]],
        timeout_s: float,
        now_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.rules = rules
        self._account = account
        self._provider = provider
        self._store = store
        self._transport = transport
        self._permit = permit
        self._claim_lasts_s = min(_SEND_WITHIN_S + timeout_s + _LATE_S, LONGEST_CLAIM_S)
        self._now_s = now_s
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._chance = chance
        self._cached: CachedToken | None = None
        self._next_read_at = 0.0
        self._dead: deque[str] = deque(maxlen=16)
        self._refreshes: dict[str, asyncio.Task[str | TokenFailure | Withheld]] = {}

    async def get_token(
        self, credentials: Credentials, dead: str | None = None, may_send: MaySend = always
    ) -> str | TokenFailure | Withheld:
        """Return the token to send with, for these credentials; never `dead`, which the vendor refused.

        Without a token it waits for some seconds until this worker or another one has made one. Returns
        `Throttled` when no more tokens may be made for a while, and `Withheld` when a new one is needed but
        `may_send` forbids to request it. Raises nothing.
        """
        if dead is not None and dead not in self._dead:
            self._dead.append(dead)
        digest = hash_credentials(credentials)
        while True:
            cached = self._get_usable(digest)
            refresh = self._refreshes.get(digest)
            now = self._now_s()
            if cached is not None and (refresh or now < max(cached.read_at, self._next_read_at)):
                return cached.token.value
            if refresh is None:
                # The call that began it may be cancelled, while others wait for it.
                refresh = self._refreshes[digest] = asyncio.create_task(
                    self._refresh(credentials, digest, may_send)
                )
                refresh.add_done_callback(lambda _: self._refreshes.pop(digest, None))
            found = await asyncio.shield(refresh)
            if not isinstance(found, str) or found not in self._dead:
                return found

    async def close(self) -> None:
        """Cancel all refreshes. A claim that is left expires."""
        refreshes = [*self._refreshes.values()]
        for task in refreshes:
            task.cancel()
        await asyncio.gather(*refreshes, return_exceptions=True)

    async def _refresh(
        self, credentials: Credentials, digest: str, may_send: MaySend
    ) -> str | TokenFailure | Withheld:
        """Return a new token, or the cached one while it works. Raises nothing."""
        try:
            found = await self._read_or_make(credentials, digest, may_send)
        except Withdrawn:
            cached = self._get_usable(digest)
            return Withheld() if cached is None else cached.token.value
        except LedgerUnavailable as error:
            found = Unavailable(f"no token: {error}", in_doubt=False, is_local=True)
        except Exception as error:
            # Its message is not logged, for it may quote the token.
            log.error("a token was looked for in vain", account=self._account, error=type(error).__name__)
            found = Unavailable(f"internal error: {type(error).__name__}", in_doubt=False, is_local=True)
        cached = self._get_usable(digest)
        if isinstance(found, str) or cached is None:
            return found
        # The cached token still works, so that no call has to wait.
        shortest_s, longest_s = _RETRY_S
        self._next_read_at = self._now_s() + shortest_s + self._chance() * (longest_s - shortest_s)
        log.warning("no new token yet", account=self._account, reason=found.message)
        return cached.token.value

    async def _read_or_make(
        self, credentials: Credentials, digest: str, may_send: MaySend
    ) -> str | TokenFailure:
        """Return the token of the ledger, or make one when this worker may."""
        deadline = self._monotonic_s() + _MAX_WAIT_S
        pause_s, longest_s = _POLL_S
        while True:
            state, now = await self._store.read(self._account), self._now_s()
            cached = self._adopt_stored(state, digest)
            if cached is not None and now < cached.renew_at:
                return cached.token.value
            busy_until = state.busy_until(now)
            next_at = state.next_at(now, self.rules.max_per_hour)
            if busy_until is None and next_at <= now:
                made = await self._make_token(credentials, digest, state, may_send)
                if made is not None:
                    return made
                continue
            if cached is not None:
                return cached.token.value
            left_s = deadline - self._monotonic_s()
            if busy_until is None and next_at - now > left_s:
                return self._report_exhausted(state, next_at, now)
            if left_s <= 0:
                return Unavailable("another worker is making a token", in_doubt=False, is_local=True)
            await self._sleep(min(pause_s * (0.5 + self._chance()), left_s))
            pause_s = min(2 * pause_s, longest_s)

    async def _make_token(
        self, credentials: Credentials, digest: str, seen: TokenState, may_send: MaySend
    ) -> str | TokenFailure | None:
        """Return a new token, or `None` when the ledger's state differs from `seen`."""
        # Before the claim: a worker that waits for a permit with a claim makes all others wait.
        await self._permit()
        permitted_at = self._monotonic_s()
        send_deadline, now = permitted_at + _SEND_WITHIN_S, self._now_s()
        claim = Claim(uuid4().hex, now + self._claim_lasts_s)
        claimed = await self._store.change(
            self._account, lambda state: state.claimed(claim, now) if state == seen else None
        )
        if claimed is None:
            return None
        if self._monotonic_s() - permitted_at > _PERMIT_LASTS_S:
            await self._permit()
        request = self._provider.build_token_request(credentials)
        try:
            found = await self._request_token(request, credentials, send_deadline, may_send)
        except Withdrawn:
            await self._release_claim(claim, made=False)
            raise
        if isinstance(found, str):
            return await self._publish(SharedToken(found, digest, now), claim, claimed)
        if not found.in_doubt:
            await self._release_claim(claim, made=isinstance(found, Throttled))
        return replace(found, in_doubt=False)

    async def _request_token(
        self, request: Request, credentials: Credentials, send_deadline: float, may_send: MaySend
    ) -> str | TokenFailure:
        """Request a token. An outcome is in doubt when the vendor may have made a token all the same."""
        answer = await try_exchange(request, self._transport, _MAX_ANSWER_BYTES, send_deadline, may_send)
        if isinstance(answer, Unavailable):
            return answer
        found = self._provider.parse_token(answer, credentials)
        if isinstance(found, Unavailable) and answer.status < 300:
            # A success that cannot be read may have made a token.
            return replace(found, in_doubt=True)
        return found

    async def _publish(self, token: SharedToken, claim: Claim, claimed: TokenState) -> str | None:
        """Store the token for all workers and return it.

        Returns `None` when the claim is lost: the ledger has the token already, or may have a newer one.
        """

        def write(state: TokenState) -> TokenState | None:
            return state.written(claim.id, token, self._now_s())

        for left in reversed(range(_MAX_WRITES)):
            try:
                if await self._store.change(self._account, write) is None:
                    return None
                break
            except LedgerUnavailable as error:
                if not left:
                    # The vendor refuses the other workers' token, so that they make another one.
                    log.error("a new token could not be shared", account=self._account, error=str(error))
                    break
                await self._sleep(_POLL_S[1])
        self._cache(token)
        number, allowed = claimed.made_lately(token.since), self.rules.max_per_hour
        if number > max(1, allowed // 2):
            log.warning(_MANY_MADE, account=self._account, within_an_hour=number, allowed=allowed)
        else:
            log.info("a new token was made, for all workers", account=self._account, within_an_hour=number)
        return token.value

    async def _release_claim(self, claim: Claim, *, made: bool) -> None:
        now = self._now_s()
        try:
            await self._store.change(self._account, lambda state: state.given_up(claim.id, now, made=made))
        except LedgerUnavailable as error:
            # The claim counts as a token that was made, and expires.
            log.warning("others wait for a token in vain", account=self._account, error=str(error))

    def _report_exhausted(self, state: TokenState, next_at: float, now: float) -> Throttled:
        number, allowed = state.made_lately(now), self.rules.max_per_hour
        at = datetime.fromtimestamp(next_at, UTC).isoformat(timespec="seconds")
        message = f"{number} of the {allowed} tokens of an hour are used up: the next one is made at {at}"
        return Throttled(next_at - now, None, message)

    def _adopt_stored(self, state: TokenState, digest: str) -> CachedToken | None:
        """Cache the ledger's token if it is newer. Returns the token that is usable now."""
        shared, cached = state.token, self._cached
        is_newer = shared and (
            cached is None or cached.token.of != digest or cached.token.since < shared.since
        )
        if shared is not None and is_newer and shared.of == digest and shared.value not in self._dead:
            self._cache(shared)
        return self._get_usable(digest)

    def _cache(self, token: SharedToken) -> None:
        self._cached, self._next_read_at = CachedToken.schedule(token, self.rules, self._chance()), 0.0

    def _get_usable(self, digest: str) -> CachedToken | None:
        cached = self._cached
        if cached is None or cached.token.of != digest or cached.token.value in self._dead:
            return None
        return cached if self._now_s() < cached.until else None


def build_tokens(
    account: str,
    provider: Provider,
    *,
    store: TokenStore,
    transport: Transport,
    permit: Callable[[], Awaitable[object]],
    timeout_s: float,
    now_s: Callable[[], float],
) -> Tokens | None:
    """Build the account's `Tokens`. Returns `None` if its vendor uses no tokens."""
    if not isinstance(provider, TokenProvider) or provider.token_rules is None:
        return None
    return Tokens(
        account,
        provider,
        rules=provider.token_rules,
        store=store,
        transport=transport,
        permit=permit,
        timeout_s=timeout_s,
        now_s=now_s,
    )
