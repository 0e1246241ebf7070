"""Turns: which account is asked a permit for, and what becomes of one that was granted.

Effects go to the list that the engine hands out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from numbergroup.engine.account.account import Account
from numbergroup.engine.account.breaker import BreakerState
from numbergroup.engine.commands import GroupRef, Outcome
from numbergroup.engine.effects import Effect, TellBreaker, WantPermit
from numbergroup.engine.events import ControlsUpdated, PermitGranted, ProbeDenied
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.policy import AccountPolicy, BreakerNotice
from numbergroup.engine.timers import Timers

_DENIED_S = 0.5


@dataclass(slots=True, frozen=True)
class Turn:
    """The group that uses the next permit, and the digests of the commands that its batch may have.

    `place`: which of the batch's calls is next.
    """

    partition: int
    ref: GroupRef
    digests: tuple[str, ...]
    call_index: int


@dataclass(slots=True)
class Scheduler:
    """The accounts of one engine."""

    policies: Mapping[str, AccountPolicy]
    effects: list[Effect]
    timers: Timers[GroupState]
    draining: bool = False
    accounts: dict[str, Account] = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = {name: Account(policy) for name, policy in self.policies.items()}

    def request_permits(self, names: Iterable[str], now: float) -> None:
        """Ask for as many permits as these accounts have a use for."""
        if self.draining:
            return
        for name in names:
            account = self.accounts[name]
            probe = account.is_probing
            for _ in range(account.permits_to_request(now)):
                if probe:
                    account.probes_wanted += 1
                else:
                    account.permits_wanted += 1
                self.effects.append(WantPermit(name, probe))

    def accept_permit(self, event: PermitGranted) -> bool:
        """Whether the permit may be used. What was no probe when it was asked for must not become one."""
        account = self.accounts[event.account]
        if event.probe:
            account.probes_wanted -= 1
        else:
            account.permits_wanted -= 1
        usable = event.probe or not account.is_probing
        return usable and not self.draining and account.free_slots(event.now) > 0

    def on_probe_denied(self, event: ProbeDenied) -> None:
        account = self.accounts[event.account]
        account.probes_wanted -= 1
        account.probe_denied_until = event.now + _DENIED_S + event.jitter
        self.timers.set(account.probe_denied_until, None)

    def on_call_finished(
        self, group: GroupState, outcome: Outcome, now: float, jitter: float, *, probe: bool
    ) -> Outcome:
        """A call of the mailbox's ended so; what that means for its group: see `Account.take`."""
        name = group.ref.account
        account = self.accounts[name]
        before, paused = account.breaker.notice, account.paused_until
        outcome = account.on_call_finished(group, outcome, now, jitter, probe=probe)
        if account.paused_until > paused:
            self.timers.set(account.paused_until, None)
        self._publish_breaker(name, account, before)
        return outcome

    def update_controls(self, event: ControlsUpdated) -> list[GroupState]:
        """Take in what is in force now; who need not wait for trouble of its account any more."""
        mended: list[GroupState] = []
        for name, account in self.accounts.items():
            account.pause_reason = event.controls.paused_accounts.get(name)
            was = account.breaker.state
            account.breaker.on_notice(event.controls.breakers.get(name), event.now, event.jitter)
            if was is BreakerState.OPEN and account.breaker.state is BreakerState.RAMPING:
                mended += account.release_waiting()
            if name in event.resumed:
                # Whoever lets it go on has seen to what was wrong.
                mended += account.clear_fault()
                account.breaker.until = min(account.breaker.until, event.now)
            self._set_breaker_timer(account)
        return mended

    def _publish_breaker(self, name: str, account: Account, before: BreakerNotice | None) -> None:
        notice = account.breaker.notice
        if notice != before:
            self._set_breaker_timer(account)
            self.effects.append(TellBreaker(name, notice))

    def _set_breaker_timer(self, account: Account) -> None:
        if account.breaker.notice is not None:
            self.timers.set(account.breaker.until, None)
