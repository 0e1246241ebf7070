"""Outcomes: decides a group's next step after one of its calls finished."""

from collections import deque
from dataclasses import replace
from typing import assert_never

from numbergroup.engine.calls import (
    CHANGING,
    UPDATES,
    AccountFault,
    Applied,
    Call,
    CallKind,
    Group,
    Refused,
    Throttled,
    Unavailable,
    Withheld,
)
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.events import CallFinished
from numbergroup.engine.group.attribution import same_verdict_for_all
from numbergroup.engine.group.batch import (
    close_batch,
    fail_batch,
    fail_lost_create,
    finish_batch,
    note_created,
    replan,
)
from numbergroup.engine.group.creation import find_possible_match, intent_of_call, is_created_by, strip_marker
from numbergroup.engine.group.lifecycle import Batch, InFlight
from numbergroup.engine.group.next_step import Finish, NextStep, Park, Queue
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.merging.vendor_view import UNKNOWN_EXPIRY
from numbergroup.engine.policy import MAX_RETRY_AFTER_S, AccountPolicy, RetryPolicy
from numbergroup.engine.replays import replays_of
from numbergroup.engine.verdicts import Fault, Verdict
from numbergroup_contracts.results import Status

_EFFECTIVE = (*CHANGING, CallKind.CREATE)
_LOOK_UPS = (CallKind.FIND_CREATED, CallKind.READ_MEMBERS)
_MAX_UNCLEAR_REFUSALS = 3
"""After so many refusals by an unknown code, each followed by a look-up, a create counts as refused."""


_NotApplied = Refused | Unavailable | Throttled | AccountFault
"""Outcomes that leave open whether an earlier request of the call was carried out."""


def resolve(
    group: GroupState, flight: InFlight, ended: CallFinished, policy: AccountPolicy, retry: RetryPolicy
) -> NextStep:
    """Apply the outcome of the group's call in flight, and return the group's next step."""
    outcome, batch, call = ended.outcome, flight.batch, flight.call
    if call.kind is CallKind.CREATE and ended.doubt_until is None:
        ended = _add_doubt_of_create(group, batch, ended)
    if ended.doubt_until is not None:
        _record_doubt(group, call, ended.doubt_until, answered=isinstance(outcome, Applied))
    if call.kind in _EFFECTIVE and (ended.doubt_until is not None or isinstance(outcome, Applied)):
        batch.mark_attempted()
    if isinstance(outcome, Refused | Unavailable):
        batch.note_failure(ended.now)
    elif isinstance(outcome, Applied) and outcome.rejected:
        if outcome.nothing_applied and _may_be_done_already(group, call, ended):
            outcome = replace(outcome, rejected=())
        batch.note_failure(ended.now, frozenset(outcome.rejected))
    if ended.doubt_until is not None and isinstance(outcome, _NotApplied):
        if call.kind is CallKind.CREATE and not policy.can_find_created:
            return fail_lost_create(group, batch, policy, code=outcome.code, why=outcome.message)
        if call.kind in UPDATES and not policy.idempotent:
            message = f"{outcome.message}: the change may have been made, and must not be sent twice"
            return fail_batch(group, batch, Fault("unavailable", outcome.code, message))
    match outcome:
        case Applied():
            return _applied(group, flight, ended, outcome, policy=policy, retry=retry)
        case Refused() if call.kind is CallKind.CREATE and ended.doubt_until is not None:
            # The group is looked up before a command is rejected.
            group.creation.refusal_count += 1 if not outcome.certain else _MAX_UNCLEAR_REFUSALS
            group.creation.refusal = outcome
            return Queue()
        case Refused() if call.kind in _LOOK_UPS:
            # No command requested the look-up, so none can be rejected for it.
            fault = Fault("unavailable", outcome.code, outcome.message)
            return _retry_later(group, batch, fault, ended, retry)
        case Refused() if call.kind is CallKind.DELETE_GROUP and policy.can_list:
            # An earlier request, perhaps of another worker, may have deleted the group already.
            batch.refusal = outcome
            batch.calls = deque([Call(CallKind.READ_MEMBERS, group_id=call.group_id)])
            return Queue(batch)
        case Refused():
            return _skip_doubtful_numbers(group, batch, call, outcome) or _refused(group, batch, outcome)
        case Unavailable():
            fault = Fault("unavailable", outcome.code, outcome.message)
            return _retry_later(group, batch, fault, ended, retry, retry_after_s=outcome.retry_after_s)
        case Throttled() | AccountFault() | Withheld():
            return Queue()
        case _:
            assert_never(outcome)


def _add_doubt_of_create(group: GroupState, batch: Batch, ended: CallFinished) -> CallFinished:
    """Put a create in doubt that is refused because the group exists, if an earlier request may have made it.

    That is so for replays, and after a request whose failure left open whether the group was created.
    """
    outcome, create = ended.outcome, batch.create
    if isinstance(outcome, Refused) and outcome.already_exists:
        is_replay = create is not None and replays_of(create.retry_history) > 0
        return replace(ended, doubt_until=ended.now) if group.creation.has_failed or is_replay else ended
    if isinstance(outcome, Unavailable | Throttled | AccountFault) and outcome.code is not None:
        group.creation.has_failed = True
    return ended


def _may_be_done_already(group: GroupState, call: Call, ended: CallFinished) -> bool:
    """Whether an earlier request of the call, or of a similar call, is in doubt."""
    similar = [doubt.call.numbers for doubt in group.doubts if doubt.call.kind is call.kind]
    return ended.doubt_until is not None or any(
        not set(call.numbers).isdisjoint(numbers) for numbers in similar
    )


def _record_doubt(group: GroupState, call: Call, until: float, *, answered: bool) -> None:
    """Record that a request of `call` may take effect before `until` (Unix seconds)."""
    if call.kind is CallKind.CREATE:
        group.creation.intent = intent_of_call(call, until)
    elif call.kind in CHANGING:
        group.doubts.append(Doubt(call, until))
        if not answered:
            group.vendor_view.mark_uncertain(call)


def _applied(
    group: GroupState,
    flight: InFlight,
    ended: CallFinished,
    outcome: Applied,
    *,
    policy: AccountPolicy,
    retry: RetryPolicy,
) -> NextStep:
    """Apply a successful call to the group and its batch."""
    batch, call = flight.batch, flight.call
    if call.kind in _LOOK_UPS and not outcome.complete and _find_listed(group, call, outcome) is None:
        # An incomplete list does not prove that the group is absent.
        message = f"{outcome.incomplete_reason}: that does not prove whether the group exists"
        return _retry_later(group, batch, Fault("unavailable", None, message), ended, retry)
    match call.kind:
        case CallKind.LIST:
            (command,) = batch.commands
            ids = (outcome.request_id,) if outcome.request_id else ()
            groups = tuple(map(strip_marker, outcome.groups or ()))
            verdict = Verdict(command, Status.APPLIED, None, ids, 1, groups=groups, total=outcome.total)
            return Finish(batch, [verdict])
        case CallKind.DELETE_GROUP:
            return finish_batch(group, batch, outcome.request_id)
        case CallKind.FIND_CREATED:
            return _on_created_looked_up(group, flight, outcome, policy)
        case CallKind.READ_MEMBERS:
            listed = _find_listed(group, call, outcome)
            if listed is None and batch.refusal is not None:
                return finish_batch(group, batch, outcome.request_id)
            unlisted = Refused(None, "the vendor lists no such group", outcome.request_id)
            if listed is None or batch.refusal is not None:
                return _refused(group, batch, batch.refusal or unlisted)
            group.vendor_view.set_members(listed.numbers, outcome.request_id, _listed_expiry(policy))
            replan(group, batch, policy)
        case _:
            group.vendor_view.apply(call, outcome.request_id, outcome.rejected, outcome.details)
            batch.calls.popleft()
            if call.kind is CallKind.CREATE and batch.create is not None:
                note_created(group, batch.create, outcome.group_id, outcome.request_id)
    return _continue(group, batch)


def _continue(group: GroupState, batch: Batch) -> Queue | Finish:
    """Send the batch's next call with the next permit; finish the batch if there is none."""
    return Queue(batch) if batch.calls else finish_batch(group, batch)


def _find_listed(group: GroupState, call: Call, outcome: Applied) -> Group | None:
    """Return the group that `call` looked up, if it is listed."""
    groups, intent = outcome.groups or (), group.creation.intent
    if call.kind is CallKind.FIND_CREATED:
        return next(
            (listed for listed in groups if intent is not None and is_created_by(intent, listed)), None
        )
    return next((listed for listed in groups if listed.group_id == call.group_id), None)


def _find_possibly_created(batch: Batch, intent: CreateIntent, outcome: Applied) -> Group | None:
    """Return a listed group that the create may have created."""
    remarks = [command.remark for command in batch.commands]
    return find_possible_match(intent, outcome.groups or (), remarks)


def _listed_expiry(policy: AccountPolicy) -> float | None:
    return UNKNOWN_EXPIRY if policy.number_expiry else None


def _on_created_looked_up(
    group: GroupState, flight: InFlight, outcome: Applied, policy: AccountPolicy
) -> NextStep:
    batch, intent, create = flight.batch, group.creation.intent, flight.batch.create
    listed = _find_listed(group, flight.call, outcome)
    if intent is None or create is None:
        # No create is open any more.
        pass
    elif listed is not None:
        note_created(group, create, listed.group_id, outcome.request_id)
        group.vendor_view.set_members(listed.numbers, outcome.request_id, _listed_expiry(policy))
        group.vendor_view.set_texts(strip_marker(listed), outcome.request_id)
        for doubt in group.doubts:
            # A call that another worker sent may take effect after the look-up.
            if doubt.call.group_id == listed.group_id:
                group.vendor_view.mark_uncertain(doubt.call)
        batch.mark_attempted()
    elif flight.sent_at < intent.request_expires_at:
        # The create may have taken effect after the look-up began.
        return Park(intent.request_expires_at)
    elif (candidate := _find_possibly_created(batch, intent, outcome)) is not None:
        why = f"group {candidate.group_id} has the create's numbers, but nothing shows which command made it"
        return fail_lost_create(group, batch, policy, why=why)
    else:
        group.creation.intent = None
        group.creation.clear_suspicion(batch.commands)
        refusal = group.creation.refusal
        if refusal is not None and group.creation.refusal_count >= _MAX_UNCLEAR_REFUSALS:
            # The vendor refused the create, and the group does not exist.
            group.creation.forget_failures()
            return _refused(group, batch, refusal)
    replan(group, batch, policy)
    return _continue(group, batch)


def _skip_doubtful_numbers(group: GroupState, batch: Batch, call: Call, outcome: Refused) -> NextStep | None:
    """Go on without refused numbers that the batch's only command does not name; `None` if there are none.

    Such numbers may be in the group only because of a call in doubt for later commands, and the refused call
    was to remove them. The command is not rejected for them. They are separated by halving the call, and left
    to the commands that name them.
    """
    known = group.vendor_view
    if len(batch.commands) > 1 or call.kind is not CallKind.DELETE:
        return None
    named = set(batch.commands[0].numbers)
    others = tuple(
        number for number in call.numbers if number not in named and known.is_present_by_doubt(number)
    )
    if not others:
        return None
    batch.calls.popleft()
    if len(call.numbers) == 1:
        known.apply(call, outcome.request_id, rejected=call.numbers)
    else:
        first = tuple(number for number in call.numbers if number not in others) or others[: len(others) // 2]
        second = tuple(number for number in call.numbers if number not in first)
        batch.calls.extendleft([replace(call, numbers=second), replace(call, numbers=first)])
    return _continue(group, batch)


def _refused(group: GroupState, batch: Batch, outcome: Refused) -> NextStep:
    """Halve the refused batch, or reject its only command."""
    if len(batch.commands) > 1:
        group.bisect_size = len(batch.commands) // 2
        return Queue()
    fault = Fault("refused", outcome.code, outcome.message)
    verdicts = same_verdict_for_all(group, batch, Status.REJECTED, fault, outcome.request_id)
    return close_batch(group, batch, verdicts)


def _retry_later(
    group: GroupState,
    batch: Batch,
    fault: Fault,
    ended: CallFinished,
    retry: RetryPolicy,
    *,
    retry_after_s: float | None = None,
) -> NextStep:
    if group.failures == 0:
        group.first_failed_at = ended.now
    group.failures += 1
    group.last_fault = fault
    if retry.is_exhausted(group.first_failed_at, ended.now):
        return fail_batch(group, batch, fault)
    asked_s = min(retry_after_s or 0.0, MAX_RETRY_AFTER_S)
    return Park(ended.now + max(asked_s, retry.delay_s(group.failures, ended.jitter)))
