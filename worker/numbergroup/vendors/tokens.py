"""Tokens: what an account's calls bear, where the vendor wants that. All workers share one.

A process keeps the token in memory, and asks nobody for most of its life. Near its end it looks into the
ledger before each call, where another worker's may be; at a moment that differs from worker to worker it
claims the right to make a new one. A token that works is used while the next is made. The vendor kills it at
that instant: a call that meets this comes back with `dead`, and has the new one.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import uuid4

from numbergroup.engine.calls import AccountFault, Throttled, Unavailable, Withheld
from numbergroup.ledger.port import LedgerUnavailable, TokenStore
from numbergroup.ledger.token_state import LONGEST_CLAIM_S, Claim, SharedToken, TokenState
from numbergroup.observability.logging import get_logger
from numbergroup.vendors.http import MayGo, Transport, Withdrawn, always, answer_to
from numbergroup.vendors.port import Credentials, Provider, Request, TokenProvider, TokenRules

Missing = AccountFault | Throttled | Unavailable
"""Why there is no token; never in doubt, for the call was not sent."""

_ANSWER_BYTES = 64 * 1024
_PERMIT_LASTS_S = 0.05
_SEND_WITHIN_S = 2.0
"""Of the claim: a process that was frozen since sends nothing any more."""
_LATE_S = 5.0
"""How long after we stopped waiting for its answer a request may still come to the vendor [I]."""
_PATIENCE_S = 5.0
_LOOK_S = (0.05, 0.8)
_AGAIN_S = (10.0, 20.0)
_LAST_S = 1.0
_WRITES = 4

_MANY = (
    "a new token was made, for all workers, and there were many: does anybody else make some with this "
    "account's credentials?"
)

log = get_logger("tokens")


@dataclass(slots=True, frozen=True)
class _Held:
    """A token, and on the common clock: from when on there may be a newer one, from when on one is made, and
    until when this one is used."""

    token: SharedToken
    look_at: float
    renew_at: float
    until: float

    @classmethod
    def of(cls, token: SharedToken, rules: TokenRules, chance: float) -> "_Held":
        until = token.since + rules.lasts_s
        look_at, latest = until - rules.lasts_s / 12, until - rules.lasts_s / 30
        return cls(token, look_at, look_at + chance * (latest - look_at), until - _LAST_S)


class Tokens:
    """The tokens of one account, for this process. Close it when done.

    `permit` and `transport` are the account's own, `timeout_s` what one exchange may take. `now_s` is the
    common clock of all workers (Unix seconds), `chance` a random number from 0 to 1.
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
        self._held: _Held | None = None
        self._look_again_at = 0.0
        self._dead: deque[str] = deque(maxlen=16)
        self._looking: dict[str, asyncio.Task[str | Missing | Withheld]] = {}

    async def current(
        self, credentials: Credentials, dead: str | None = None, may_ask: MayGo = always
    ) -> str | Missing | Withheld:
        """The token to send with, for these credentials; not the one that the vendor calls `dead`.

        Where there is none it waits for a few seconds until one is made, by this worker or by another one.
        `Throttled`: no more may be made for a while. `Withheld`: a new one is needed, and at the moment of
        sending the vendor may not be asked for it. Raises nothing.
        """
        if dead is not None and dead not in self._dead:
            self._dead.append(dead)
        of = _digest(credentials)
        while True:
            held = self._good(of)
            looking = self._looking.get(of)
            now = self._now_s()
            if held is not None and (looking or now < max(held.look_at, self._look_again_at)):
                return held.token.value
            if looking is None:
                # Whose call it was may be cancelled: others wait for it, too.
                looking = self._looking[of] = asyncio.create_task(self._look(credentials, of, may_ask))
                looking.add_done_callback(lambda _: self._looking.pop(of, None))
            found = await asyncio.shield(looking)
            if not isinstance(found, str) or found not in self._dead:
                return found

    async def close(self) -> None:
        """Stop looking for tokens. A claim that is left ends by itself."""
        looking = [*self._looking.values()]
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    async def _look(self, credentials: Credentials, of: str, may_ask: MayGo) -> str | Missing | Withheld:
        try:
            found = await self._find(credentials, of, may_ask)
        except Withdrawn:
            held = self._good(of)
            return Withheld() if held is None else held.token.value
        except LedgerUnavailable as error:
            found = Unavailable(f"no token: {error}", in_doubt=False, is_local=True)
        except Exception as error:
            # Told without what it says, which may quote the token.
            log.error("a token was looked for in vain", account=self._account, error=type(error).__name__)
            found = Unavailable(f"internal error: {type(error).__name__}", in_doubt=False, is_local=True)
        held = self._good(of)
        if isinstance(found, str) or held is None:
            return found
        # What is there works still: nobody has to wait.
        least, most = _AGAIN_S
        self._look_again_at = self._now_s() + least + self._chance() * (most - least)
        log.warning("no new token yet", account=self._account, reason=found.message)
        return held.token.value

    async def _find(self, credentials: Credentials, of: str, may_ask: MayGo) -> str | Missing:
        give_up_at = self._monotonic_s() + _PATIENCE_S
        pause_s, longest_s = _LOOK_S
        while True:
            state, now = await self._store.read(self._account), self._now_s()
            held = self._take(state, of)
            if held is not None and now < held.renew_at:
                return held.token.value
            busy_until = state.busy_until(now)
            next_at = state.next_at(now, self.rules.an_hour)
            if busy_until is None and next_at <= now:
                made = await self._make(credentials, of, state, may_ask)
                if made is not None:
                    return made
                continue
            if held is not None:
                return held.token.value
            left_s = give_up_at - self._monotonic_s()
            if busy_until is None and next_at - now > left_s:
                return self._spent(state, next_at, now)
            if left_s <= 0:
                return Unavailable("another worker is making a token", in_doubt=False, is_local=True)
            await self._sleep(min(pause_s * (0.5 + self._chance()), left_s))
            pause_s = min(2 * pause_s, longest_s)

    async def _make(
        self, credentials: Credentials, of: str, seen: TokenState, may_ask: MayGo
    ) -> str | Missing | None:
        """A new token, unless the state is not the one `seen` any more: `None`."""
        # First: whoever waits for a permit with a claim keeps all others waiting.
        await self._permit()
        permitted_at = self._monotonic_s()
        send_by, now = permitted_at + _SEND_WITHIN_S, self._now_s()
        claim = Claim(uuid4().hex, now + self._claim_lasts_s)
        claimed = await self._store.change(
            self._account, lambda state: state.claimed(claim, now) if state == seen else None
        )
        if claimed is None:
            return None
        if self._monotonic_s() - permitted_at > _PERMIT_LASTS_S:
            await self._permit()
        request = self._provider.token_request(credentials)
        try:
            found = await self._ask(request, credentials, send_by, may_ask)
        except Withdrawn:
            await self._give_up(claim, made=False)
            raise
        if isinstance(found, str):
            return await self._share(SharedToken(found, of, now), claim, claimed)
        if not found.in_doubt:
            await self._give_up(claim, made=isinstance(found, Throttled))
        return replace(found, in_doubt=False)

    async def _ask(
        self, request: Request, credentials: Credentials, send_by: float, may_ask: MayGo
    ) -> str | Missing:
        """What the vendor says. In doubt: it may have made a token, or may yet, which nobody will see."""
        answer = await answer_to(request, self._transport, _ANSWER_BYTES, send_by, may_ask)
        if isinstance(answer, Unavailable):
            return answer
        found = self._provider.token(answer, credentials)
        if isinstance(found, Unavailable) and answer.status < 300:
            # A success that cannot be read is one all the same.
            return replace(found, in_doubt=True)
        return found

    async def _share(self, token: SharedToken, claim: Claim, claimed: TokenState) -> str | None:
        """Let the others have it; `None`: it is in the ledger by now, or somebody else may have made a newer
        one meanwhile."""

        def written(state: TokenState) -> TokenState | None:
            return state.written(claim.id, token, self._now_s())

        for left in reversed(range(_WRITES)):
            try:
                if await self._store.change(self._account, written) is None:
                    return None
                break
            except LedgerUnavailable as error:
                if not left:
                    # The others will find theirs dead, and make another one.
                    log.error("a new token could not be shared", account=self._account, error=str(error))
                    break
                await self._sleep(_LOOK_S[1])
        self._hold(token)
        number, allowed = claimed.made_lately(token.since), self.rules.an_hour
        if number > max(1, allowed // 2):
            log.warning(_MANY, account=self._account, within_an_hour=number, allowed=allowed)
        else:
            log.info("a new token was made, for all workers", account=self._account, within_an_hour=number)
        return token.value

    async def _give_up(self, claim: Claim, *, made: bool) -> None:
        now = self._now_s()
        try:
            await self._store.change(self._account, lambda state: state.given_up(claim.id, now, made=made))
        except LedgerUnavailable as error:
            # It counts, and ends by itself.
            log.warning("others wait for a token in vain", account=self._account, error=str(error))

    def _spent(self, state: TokenState, next_at: float, now: float) -> Throttled:
        number, allowed = state.made_lately(now), self.rules.an_hour
        at = datetime.fromtimestamp(next_at, UTC).isoformat(timespec="seconds")
        message = f"{number} of the {allowed} tokens of an hour are used up: the next one is made at {at}"
        return Throttled(next_at - now, None, message)

    def _take(self, state: TokenState, of: str) -> _Held | None:
        """Use what is in the ledger, if it is newer; what there is now to use."""
        there, held = state.token, self._held
        is_newer = there and (held is None or held.token.of != of or held.token.since < there.since)
        if there is not None and is_newer and there.of == of and there.value not in self._dead:
            self._hold(there)
        return self._good(of)

    def _hold(self, token: SharedToken) -> None:
        self._held, self._look_again_at = _Held.of(token, self.rules, self._chance()), 0.0

    def _good(self, of: str) -> _Held | None:
        held = self._held
        if held is None or held.token.of != of or held.token.value in self._dead:
            return None
        return held if self._now_s() < held.until else None


def tokens_of(
    account: str,
    provider: Provider,
    *,
    store: TokenStore,
    transport: Transport,
    permit: Callable[[], Awaitable[object]],
    timeout_s: float,
    now_s: Callable[[], float],
) -> Tokens | None:
    """The account's tokens, if its vendor wants such; see `Tokens`."""
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


def _digest(credentials: Credentials) -> str:
    """Whose token it is: other credentials of the same user make another one."""
    both = f"{len(credentials.name)} {credentials.name}{credentials.secret}"
    return blake2b(both.encode(), digest_size=16).hexdigest()
