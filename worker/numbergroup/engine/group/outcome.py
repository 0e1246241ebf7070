"""What an outcome means for the mailbox whose call it was."""

from collections import deque
from dataclasses import replace
from typing import assert_never

from numbergroup.engine.commands import (
    CHANGING,
    UPDATES,
    AccountFault,
    Applied,
    Call,
    CallKind,
    CreateIntent,
    Fault,
    Group,
    Refused,
    Throttled,
    Unavailable,
    Verdict,
    Withheld,
)
from numbergroup.engine.doubt import Doubt
from numbergroup.engine.events import CallFinished
from numbergroup.engine.group.attribution import same_verdict_for_all
from numbergroup.engine.group.batch import close_batch, fail_lost_create, finish_batch, note_created, replan
from numbergroup.engine.group.creation import find_possible_match, intent_of_call, is_created_by, strip_marker
from numbergroup.engine.group.next_step import Finish, NextStep, Park, Queue
from numbergroup.engine.group.state import Batch, GroupState
from numbergroup.engine.merging.vendor_view import UNLISTED
from numbergroup.engine.policy import LONGEST_RETRY_AFTER_S, AccountPolicy, RetryPolicy
from numbergroup.engine.replays import replays_of
from numbergroup_contracts.results import Status

_EFFECTIVE = (*CHANGING, CallKind.CREATE)
_LOOKING = (CallKind.FIND_CREATED, CallKind.READ_MEMBERS)
_REFUSALS = 3
"""So often a create may be refused by a code that nobody knows, the group being looked for each time, until
it counts as refused."""


_Unsure = Refused | Unavailable | Throttled | AccountFault
"""What does not say that the call was carried out, whatever came of its earlier requests."""


def resolve(
    group: GroupState, call: Call, ended: CallFinished, policy: AccountPolicy, retry: RetryPolicy
) -> NextStep:
    """Take the outcome in and say what comes next: another turn, a pause, or the end of the batch."""
    outcome = ended.outcome
    assert group.batch is not None
    if call.kind is CallKind.CREATE and ended.doubt_until is None:
        ended = _reconsidered(group, ended)
    if ended.doubt_until is not None:
        _take_doubt(group, call, ended.doubt_until, answered=isinstance(outcome, Applied))
    if call.kind in _EFFECTIVE and (ended.doubt_until is not None or isinstance(outcome, Applied)):
        group.batch.mark_attempted()
    if isinstance(outcome, Refused | Unavailable):
        group.batch.note_failure(ended.now)
    elif isinstance(outcome, Applied) and outcome.rejected:
        if outcome.names_none and _may_have_been_done(group, call, ended):
            outcome = replace(outcome, rejected=())
        group.batch.note_failure(ended.now, frozenset(outcome.rejected))
    if ended.doubt_until is not None and isinstance(outcome, _Unsure):
        if call.kind is CallKind.CREATE and not policy.finds:
            return fail_lost_create(group, policy, outcome.code, outcome.message)
        if call.kind in UPDATES and not policy.idempotent:
            said = f"{outcome.message}: it may have been done, and the vendor must not be asked for it twice"
            return _end_with(group, Status.FAILED, Fault("unavailable", outcome.code, said), None)
    match outcome:
        case Applied():
            return _applied(group, call, ended, outcome, policy, retry)
        case Refused() if call.kind is CallKind.CREATE and ended.doubt_until is not None:
            # Before anybody is blamed, the group is looked for.
            group.create_refusals += 1 if not outcome.certain else _REFUSALS
            group.create_refusal = outcome
            group.discard_batch()
            return Queue()
        case Refused() if call.kind in _LOOKING:
            # Nobody asked for the look-up, so no command can be blamed for it.
            fault = Fault("unavailable", outcome.code, outcome.message)
            return _retry_later(group, fault, ended, retry)
        case Refused() if call.kind is CallKind.DELETE_GROUP and policy.lists:
            # It may be gone: deleted by a request whose answer was lost, perhaps a dead worker's.
            group.batch.refusal = outcome
            group.batch.calls = deque([Call(CallKind.READ_MEMBERS, group_id=call.group_id)])
            return Queue()
        case Refused():
            return _left_as_they_are(group, call, outcome) or _refused(group, outcome)
        case Unavailable():
            fault = Fault("unavailable", outcome.code, outcome.message)
            return _retry_later(group, fault, ended, retry, outcome.retry_after_s)
        case Throttled() | AccountFault() | Withheld():
            group.discard_batch()
            return Queue()
        case _:
            assert_never(outcome)


def _reconsidered(group: GroupState, ended: CallFinished) -> CallFinished:
    """How a create ended that is not in doubt by itself, in the light of what its earlier requests met.

    "It exists already", after a request of the same create that was answered, but with nothing that is
    certain, says that this one may have made the group.
    """
    outcome = ended.outcome
    assert group.batch is not None
    if isinstance(outcome, Refused) and outcome.exists:
        create = group.batch.change.create
        again = create is not None and replays_of(group.batch.commands[create].past) > 0
        return replace(ended, doubt_until=ended.now) if group.create_failed or again else ended
    if isinstance(outcome, Unavailable | Throttled | AccountFault) and outcome.code is not None:
        group.create_failed = True
    return ended


def _may_have_been_done(group: GroupState, call: Call, ended: CallFinished) -> bool:
    """Whether an earlier request of the call, or of one like it, is in doubt."""
    alike = [doubt.call.numbers for doubt in group.doubts if doubt.call.kind is call.kind]
    return ended.doubt_until is not None or any(not set(call.numbers).isdisjoint(some) for some in alike)


def _take_doubt(group: GroupState, call: Call, until: float, *, answered: bool) -> None:
    if call.kind is CallKind.CREATE:
        group.intent = intent_of_call(call, until)
    elif call.kind in CHANGING:
        group.doubts.append(Doubt(call, until))
        if not answered:
            group.vendor_view.doubt(call)


def _applied(
    group: GroupState,
    call: Call,
    ended: CallFinished,
    outcome: Applied,
    policy: AccountPolicy,
    retry: RetryPolicy,
) -> NextStep:
    batch = group.batch
    assert batch is not None
    if call.kind in _LOOKING and not outcome.complete and _sought(group, call, outcome) is None:
        # What is not among the groups that were shown may be among those that were not.
        shown = f"{outcome.shortfall}: that proves nothing"
        return _retry_later(group, Fault("unavailable", None, shown), ended, retry)
    match call.kind:
        case CallKind.LIST:
            (command,) = batch.commands
            ids = (outcome.request_id,) if outcome.request_id else ()
            groups = tuple(map(strip_marker, outcome.groups or ()))
            verdict = Verdict(command, Status.APPLIED, None, ids, 1, groups=groups, total=outcome.total)
            return Finish([verdict])
        case CallKind.DELETE_GROUP:
            return finish_batch(group, outcome.request_id)
        case CallKind.FIND_CREATED:
            return _looked_for_created(group, call, outcome, policy)
        case CallKind.READ_MEMBERS:
            listed = _sought(group, call, outcome)
            if listed is None and batch.refusal is not None:
                return finish_batch(group, outcome.request_id)
            unlisted = Refused(None, "the vendor lists no such group", outcome.request_id)
            if listed is None or batch.refusal is not None:
                return _refused(group, batch.refusal or unlisted)
            group.vendor_view.learn_all(listed.numbers, outcome.request_id, _listed_expiry(policy))
            replan(group, policy)
        case _:
            group.vendor_view.apply(call, outcome.request_id, outcome.rejected, outcome.details)
            batch.calls.popleft()
            if call.kind is CallKind.CREATE:
                note_created(group, outcome.group_id, outcome.request_id)
    return Queue() if batch.calls else finish_batch(group)


def _sought(group: GroupState, call: Call, outcome: Applied) -> Group | None:
    """The group that was looked for, if it is listed."""
    groups, intent = outcome.groups or (), group.intent
    if call.kind is CallKind.FIND_CREATED:
        return next((one for one in groups if intent is not None and is_created_by(intent, one)), None)
    return next((one for one in groups if one.group_id == call.group_id), None)


def _possibly_created(batch: Batch, intent: CreateIntent, outcome: Applied) -> Group | None:
    """A listed group that the create may have made, as far as can be told."""
    remarks = [command.remark for command in batch.commands]
    return find_possible_match(intent, outcome.groups or (), remarks)


def _listed_expiry(policy: AccountPolicy) -> float | None:
    return UNLISTED if policy.number_expiry else None


def _looked_for_created(group: GroupState, call: Call, outcome: Applied, policy: AccountPolicy) -> NextStep:
    intent, batch = group.intent, group.batch
    assert intent is not None
    assert batch is not None
    listed = _sought(group, call, outcome)
    if listed is not None:
        note_created(group, listed.group_id, outcome.request_id)
        group.vendor_view.learn_all(listed.numbers, outcome.request_id, _listed_expiry(policy))
        group.vendor_view.learn_texts(strip_marker(listed), outcome.request_id)
        for doubt in group.doubts:
            # What a dead worker has sent to the group may arrive after it was looked at.
            if doubt.call.group_id == listed.group_id:
                group.vendor_view.doubt(doubt.call)
        batch.mark_attempted()
    elif group.sent_at < intent.settled_after:
        # What was not there when the look began may have come since.
        group.discard_batch()
        return Park(intent.settled_after)
    elif (perhaps := _possibly_created(batch, intent, outcome)) is not None:
        why = f"group {perhaps.group_id} has the create's numbers, and nothing in it tells who made it"
        return fail_lost_create(group, policy, why=why)
    else:
        group.intent = None
        group.clear_suspected_creates()
        refusal = group.create_refusal
        if refusal is not None and group.create_refusals >= _REFUSALS:
            # The vendor said no, and made nothing.
            group.forget_creation()
            return _refused(group, refusal)
    replan(group, policy)
    return Queue() if batch.calls else finish_batch(group)


def _left_as_they_are(group: GroupState, call: Call, outcome: Refused) -> NextStep | None:
    """A command that stands alone is not to blame for numbers that it does not name and that nothing but a
    call in doubt for later ones may have brought in. They were to leave again, with others or alone, and the
    vendor refuses that: which of them it is is found by halving, and those are left to who names them."""
    batch, known = group.batch, group.vendor_view
    assert batch is not None
    if len(batch.commands) > 1 or call.kind is not CallKind.DELETE:
        return None
    named = set(batch.commands[0].numbers)
    others = tuple(one for one in call.numbers if one not in named and known.is_there_by_doubt(one))
    if not others:
        return None
    batch.calls.popleft()
    if len(call.numbers) == 1:
        known.apply(call, outcome.request_id, rejected=call.numbers)
    else:
        rest = tuple(one for one in call.numbers if one not in others) or others[: len(others) // 2]
        parts = rest, tuple(one for one in call.numbers if one not in rest)
        batch.calls.extendleft(replace(call, numbers=some) for some in reversed(parts))
    return Queue() if batch.calls else finish_batch(group)


def _refused(group: GroupState, outcome: Refused) -> NextStep:
    batch = group.batch
    assert batch is not None
    if len(batch.commands) > 1:
        group.bisect_size = len(batch.commands) // 2
        group.discard_batch()
        return Queue()
    fault = Fault("refused", outcome.code, outcome.message)
    return _end_with(group, Status.REJECTED, fault, outcome.request_id)


def _retry_later(
    group: GroupState,
    fault: Fault,
    ended: CallFinished,
    retry: RetryPolicy,
    retry_after_s: float | None = None,
) -> NextStep:
    if group.failures == 0:
        group.first_failed_at = ended.now
    group.failures += 1
    group.last_fault = fault
    if retry.is_over(group.first_failed_at, ended.now):
        return _end_with(group, Status.FAILED, fault, None)
    group.discard_batch()
    asked_s = min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
    return Park(ended.now + max(asked_s, retry.delay_s(group.failures, ended.jitter)))


def _end_with(group: GroupState, status: Status, fault: Fault, request_id: str | None) -> Finish:
    batch = group.batch
    assert batch is not None
    return close_batch(group, same_verdict_for_all(group, status, fault, request_id))
