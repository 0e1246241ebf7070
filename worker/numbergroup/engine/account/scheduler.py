"""The scheduler: requests permits for accounts, and decides whether a granted permit may be used.

It appends its effects to the list that the engine returns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from numbergroup.engine.account.account import Account
from numbergroup.engine.account.breaker import BreakerState
from numbergroup.engine.calls import Outcome
from numbergroup.engine.commands import GroupRef
from numbergroup.engine.effects import Effect, PublishBreaker, WantPermit
from numbergroup.engine.events import ControlsUpdated, PermitGranted, ProbeDenied
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.policy import AccountPolicy, BreakerNotice
from numbergroup.engine.timers import Timers

_DENIED_S = 0.5
"""Seconds to wait after another worker got the probe."""


@dataclass(slots=True, frozen=True)
class Turn:
    """The group that would use the next permit, and the digests of the commands in its next batch.

    `call_index`: how many calls of the batch were started before.
    """

    partition: int
    ref: GroupRef
    digests: tuple[str, ...]
    call_index: int


@dataclass(slots=True)
class Scheduler:
    """Manages permits, pauses and breakers of all accounts of one engine."""

    policies: Mapping[str, AccountPolicy]
    effects: list[Effect]
    timers: Timers[GroupState]
    draining: bool = False
    accounts: dict[str, Account] = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = {name: Account(policy) for name, policy in self.policies.items()}

    def request_permits(self, names: Iterable[str], now: float) -> None:
        """Request as many permits as these accounts can use now. While the worker drains: none."""
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
        """Record that a requested permit was granted, and return whether it may be used.

        A permit that was not requested for a probe must not be used for one.
        """
        account = self.accounts[event.account]
        if event.probe:
            account.probes_wanted -= 1
        else:
            account.permits_wanted -= 1
        usable = event.probe or not account.is_probing
        return usable and not self.draining and account.free_slots(event.now) > 0

    def on_probe_denied(self, event: ProbeDenied) -> None:
        """Wait before the next probe is requested: another worker is probing the account."""
        account = self.accounts[event.account]
        account.probes_wanted -= 1
        account.probe_denied_until = event.now + _DENIED_S + event.jitter
        self.timers.schedule(account.probe_denied_until, None)

    def on_call_finished(
        self, group: GroupState, outcome: Outcome, now: float, jitter: float, *, sent_at: float, probe: bool
    ) -> Outcome:
        """Update the account after a call of the group; return the outcome as it counts for the group.

        See `Account.on_call_finished`.
        """
        name = group.ref.account
        account = self.accounts[name]
        old_notice, old_paused_until = account.breaker.notice, account.paused_until
        outcome = account.on_call_finished(group, outcome, now, jitter, sent_at=sent_at, probe=probe)
        if account.paused_until > old_paused_until:
            self.timers.schedule(account.paused_until, None)
        self._publish_breaker(name, account, old_notice)
        return outcome

    def update_controls(self, event: ControlsUpdated) -> list[GroupState]:
        """Apply the current controls to all accounts; return the groups that need not wait any longer."""
        recovered: list[GroupState] = []
        for name, account in self.accounts.items():
            account.pause_reason = event.controls.paused_accounts.get(name)
            old_state = account.breaker.state
            account.breaker.on_notice(event.controls.breakers.get(name), event.now, event.jitter)
            if old_state is BreakerState.OPEN and account.breaker.state is BreakerState.RAMPING:
                recovered += account.release_waiting()
            if name in event.resumed:
                # An operator who resumes the account has removed the cause.
                recovered += account.clear_fault()
                account.breaker.until = min(account.breaker.until, event.now)
            self._set_breaker_timer(account)
        return recovered

    def _publish_breaker(self, name: str, account: Account, old_notice: BreakerNotice | None) -> None:
        notice = account.breaker.notice
        if notice != old_notice:
            self._set_breaker_timer(account)
            self.effects.append(PublishBreaker(name, notice))

    def _set_breaker_timer(self, account: Account) -> None:
        if account.breaker.notice is not None:
            self.timers.schedule(account.breaker.until, None)
