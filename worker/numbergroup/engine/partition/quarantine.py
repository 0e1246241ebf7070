"""Quarantine: one stuck group must not exhaust the memory that all groups share.

If too many commands wait for a stuck group, all of them are dead-lettered in order. So are its later
commands, until an operator resumes the group. Then the dead letters can be replayed: they keep their first
place in the order, and undo nothing that later commands decided.
"""

from numbergroup.engine.account.account import Account
from numbergroup.engine.group.batch import fail_batch, form_batch
from numbergroup.engine.group.lifecycle import Parked, Paused
from numbergroup.engine.group.next_step import Finish
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.verdicts import QUARANTINED, Fault

ADVICE = "numbergroup resume group ends the quarantine, then numbergroup dead-letters replay tries it again"


def is_stuck(group: GroupState, account: Account, now: float) -> bool:
    """Whether the group is paused, or fails while other groups of its account succeed.

    When an outage begins, every group fails. So a call of another group must have been answered since the
    group began to fail, or the breaker's window must be over without opening it.
    """
    if not account.is_well or group.state.batch is not None:
        return False
    if isinstance(group.state, Paused):
        return True
    if not isinstance(group.state, Parked) or not group.failures:
        return False
    failing_since = group.first_failed_at
    return account.queue.served_at > failing_since or now - failing_since >= account.policy.breaker.window_s


def quarantine_fault(group: GroupState) -> Fault:
    """Return the error for the group's commands while it is in quarantine."""
    if group.last_fault is None:
        return Fault(QUARANTINED, None, f"its group is paused, and too many commands wait for it: {ADVICE}")
    message = f"its group is stuck ({group.last_fault.message}), and too many commands wait for it: {ADVICE}"
    return Fault(QUARANTINED, group.last_fault.code, message)


def dead_letter_pending(
    group: GroupState, fault: Fault, now: float, precautions: Precautions | None = None
) -> Finish:
    """Fail the group's next commands with `fault`, as many as one batch may have."""
    group.bisect_size = None
    return fail_batch(group, form_batch(group, now, precautions), fault)
