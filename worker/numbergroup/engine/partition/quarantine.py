"""Quarantine: a group that is stuck by itself must not fill the memory that all groups share.

When more commands wait for it than they may, while others are served, all of them are put away in order,
into the dead letters, and so is what comes after them, until an operator lets the group go on. Then what was
put away can be replayed: it stands where it first stood, and undoes nothing that came later.
"""

from numbergroup.engine.account.account import Account
from numbergroup.engine.commands import QUARANTINED, Fault
from numbergroup.engine.group.attribution import same_verdict_for_all
from numbergroup.engine.group.batch import close_batch, form_batch
from numbergroup.engine.group.next_step import Finish
from numbergroup.engine.group.state import GroupState, Phase
from numbergroup.engine.precautions import Precautions
from numbergroup_contracts.results import Status

ADVICE = "numbergroup resume group lets it go on, numbergroup dead-letters replay brings this back"


def is_stuck(group: GroupState, account: Account, now: float) -> bool:
    """Whether the group waits for something that only it has to wait for, for who knows how long.

    When an outage begins, every group looks like that. So others must have been served since the group's
    trouble began, or the breaker must have had the time to find out.
    """
    if not account.is_healthy or (group.batch is not None and group.batch.is_started):
        return False
    if group.phase is Phase.PAUSED:
        return True
    if group.phase is not Phase.PARKED or not group.failures:
        return False
    began = group.first_failed_at
    return account.served_at > began or now - began >= account.policy.breaker.window_s


def quarantine_fault(group: GroupState) -> Fault:
    """Why it is put away."""
    if group.last_fault is None:
        return Fault(QUARANTINED, None, f"its group is paused, and too many commands wait for it: {ADVICE}")
    said = f"its group is stuck ({group.last_fault.message}), and too many commands wait for it: {ADVICE}"
    return Fault(QUARANTINED, group.last_fault.code, said)


def dead_letter_pending(
    group: GroupState, fault: Fault, now: float, precautions: Precautions | None = None
) -> Finish:
    """The end of the mailbox's next commands, as many as one batch may have."""
    group.bisect_size = None
    group.batch = form_batch(group, now, precautions)
    return close_batch(group, same_verdict_for_all(group, Status.FAILED, fault, None))
