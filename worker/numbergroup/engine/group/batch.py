"""Batches: forms a group's next batch, finds its next call, and ends it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress, islice, takewhile

from numbergroup.engine.calls import CHANGING, Call, CallKind
from numbergroup.engine.commands import Command, CommandKind, GroupRef, HandleKind, is_stale
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.group.attribution import attribute_success, same_verdict_for_all
from numbergroup.engine.group.creation import add_marker
from numbergroup.engine.group.lifecycle import Batch
from numbergroup.engine.group.next_step import Finish, Park, Send
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.merging.merge import Change, batch_length, merge
from numbergroup.engine.merging.plan import plan
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.verdicts import CRASHED, Fault, Verdict
from numbergroup_contracts.results import Status


def next_step(
    group: GroupState,
    batch: Batch | None,
    policy: AccountPolicy,
    now: float,
    precautions: Precautions | None = None,
) -> Send | Park | Finish:
    """Return the next call of the group's batch, which is formed now if there is none.

    Returns `Finish` when no call is needed, and `Park` when an earlier call in doubt could undo the next one.
    """
    is_new = batch is None
    if batch is None:
        if precautions is not None and (deaths := precautions.crash_count(group.pending[0].digest)):
            return _finish_condemned(group, deaths)
        batch = form_batch(group, now, precautions)
        if batch.create is not None and group.group_id is None:
            group.creation.guess_intent(batch.create)
        # An unrecorded create can only be found by its marker: its numbers are not known.
        finds = policy.writes_marker if group.creation.is_guess else policy.can_find_created
        if _open_create(group, batch) is not None and not finds and not _adopt_created_group(group, batch):
            return fail_lost_create(group, batch, policy)
        replan(group, batch, policy)
    if not batch.calls:
        return finish_batch(group, batch)
    call = batch.calls[0]
    if call.group_id is None and call.kind in (CallKind.ADD, CallKind.DELETE, CallKind.RENAME):
        # The call was planned after a create, before the group had an id.
        call = replace(call, group_id=group.group_id)
    until = group.blocked_until(call, now)
    if until is not None:
        return Park(until, None if is_new else batch)
    batch.calls_started += 1
    group.attempted_count = max(group.attempted_count, len(batch.commands))
    group.creation.is_recorded |= call.kind is CallKind.CREATE
    if call.kind is CallKind.CREATE:
        group.creation.created_group = None
    return Send(batch, call, _instead_of_intent(group, call, policy))


def _instead_of_intent(group: GroupState, call: Call, policy: AccountPolicy) -> CreateIntent | None:
    """Return the intent to record in place of the create's, if `call` makes the group unrecognisable.

    Without a marker the group is recognised by its numbers, which `call` changes; and a rename may remove the
    marker.
    """
    hides = call.kind in CHANGING and (not policy.writes_marker or call.kind is CallKind.RENAME)
    return group.creation.created_group if hides else None


def _finish_condemned(group: GroupState, deaths: int) -> Finish:
    """Fail the group's first command, because it crashed workers `deaths` times."""
    batch = Batch((group.pending[0],), Change(), frozenset())
    message = (
        f"workers died {deaths} times while they processed only this command, so it is not tried again. "
        "It may have been carried out in part. Fix the command or the worker, then replay it"
    )
    fault = Fault(CRASHED, None, message)
    return fail_batch(group, batch, fault)


def fail_batch(group: GroupState, batch: Batch, fault: Fault) -> Finish:
    """Finish a batch whose commands all failed with `fault`."""
    return close_batch(group, batch, same_verdict_for_all(group, batch, Status.FAILED, fault, None))


def next_commands(group: GroupState, precautions: Precautions | None) -> Sequence[Command]:
    """Return the commands of the group's batch, or of the batch that would be formed now."""
    if group.state.batch is not None:
        return group.state.batch.commands
    return tuple(islice(group.pending, _next_batch_length(group, precautions)))


def _next_batch_length(group: GroupState, precautions: Precautions | None) -> int:
    """Return how many of the pending commands the next batch has."""
    length = batch_length(group.pending)
    if group.bisect_size is not None:
        length = min(length, group.bisect_size)
    if precautions is not None:
        length = precautions.batch_length((command.digest for command in group.pending), length)
    return length


def finish_expired_head(
    group: GroupState, now: float, precautions: Precautions | None = None
) -> Finish | None:
    """Finish the expired commands at the group's head; `None` if there are none, or a batch is under way.

    No permit is needed: commands also expire in time while their account is down.
    """
    if group.state.batch is not None:
        return None
    head = tuple(takewhile(lambda command: _has_expired(command, now), group.pending))
    if precautions is not None:
        head = head[: precautions.batch_length((command.digest for command in head), len(head))]
    if not head:
        return None
    positions = frozenset(range(len(head)))
    stale = frozenset(position for position in positions if head[position].stale)
    return finish_batch(group, Batch(head, Change(), positions - stale))


def replan(group: GroupState, batch: Batch, policy: AccountPolicy) -> None:
    """Plan the calls that the batch still needs, from the current view of the group."""
    first = batch.commands[0]
    if first.kind is CommandKind.LIST:
        listing = Call(CallKind.LIST, limit=first.limit, offset=first.offset)
        batch.calls = deque([] if batch.expired_positions else [listing])
        return
    change = batch.change
    open_create = _open_create(group, batch)
    if open_create is not None:
        batch.calls = deque([_find_created(open_create)])
        return
    calls = plan(
        change,
        batch.commands,
        group.vendor_view,
        group_id=group.group_id,
        numbers_per_call=policy.numbers_per_call,
        has_replace=CommandKind.REPLACE in policy.supports,
        writes_marker=policy.writes_marker,
    )
    if batch.create is not None and policy.writes_marker and calls and calls[0].kind is CallKind.CREATE:
        calls[0] = add_marker(calls[0], batch.create)
    batch.calls = deque(calls)


def _find_created(intent: CreateIntent) -> Call:
    """Return the look-up of the group that the create of `intent` may have created."""
    return Call(CallKind.FIND_CREATED, group_id=intent.group_id, marker=intent.marker)


def _open_create(group: GroupState, batch: Batch) -> CreateIntent | None:
    """Return the intent of an earlier, unanswered create that may have created the batch's group."""
    return group.creation.intent if group.group_id is None and batch.create is not None else None


def _adopt_created_group(group: GroupState, batch: Batch) -> bool:
    """Adopt the group that an earlier worker created for this batch; return whether there was one."""
    if group.creation.intent is None or group.creation.intent.group_id is None or batch.create is None:
        return False
    note_created(group, batch.create, group.creation.intent.group_id, None)
    batch.mark_attempted()
    return True


def note_created(group: GroupState, create: Command, group_id: str | None, request_id: str | None) -> None:
    """Record that the command `create` has created the group."""
    group.group_id = group_id
    group.creation.note_created(create, group_id, request_id)


def fail_lost_create(
    group: GroupState,
    batch: Batch,
    policy: AccountPolicy,
    *,
    code: str | None = None,
    why: str = "no answer is known",
) -> Finish:
    """Fail a batch whose create may have been carried out, when that cannot be looked up.

    Its intent is closed: an operator who replays the create is expected to have checked at the vendor.
    """
    obstacle = "does not show which group it is" if policy.can_list else "has no list to look it up in"
    message = f"{why}: the group may have been made, and the vendor {obstacle}"
    fault = Fault("unavailable", code, message)
    verdicts = same_verdict_for_all(group, batch, Status.FAILED, fault, None)
    group.creation.intent = None
    return close_batch(group, batch, verdicts, is_deleted=True)


def finish_batch(group: GroupState, batch: Batch, deletion_request: str | None = None) -> Finish:
    """Finish a batch whose calls all succeeded."""
    verdicts = attribute_success(group, batch, deletion_request)
    return close_batch(group, batch, verdicts, is_deleted=batch.change.delete is not None)


def close_batch(
    group: GroupState, batch: Batch, verdicts: Sequence[Verdict], *, is_deleted: bool = False
) -> Finish:
    """Finish a batch with these verdicts, and with what the ledger must learn of the group.

    The group key is bound to a created group, also when the batch failed after the create; with `is_deleted`,
    the key is freed.
    """
    bindings: dict[GroupRef, str | None] = {}
    if group.ref.kind is HandleKind.KEY and (is_deleted or group.creation.created_by in batch.commands):
        bindings[group.ref] = None if is_deleted else group.group_id
    # A create that failed in doubt keeps its intent: its replay must look the group up first.
    intents_done = [group.ref] if group.creation.is_recorded and group.creation.intent is None else []
    group.creation.is_recorded = group.creation.intent is not None
    return Finish(batch, verdicts, bindings, intents_done)


def form_batch(group: GroupState, now: float, precautions: Precautions | None = None) -> Batch:
    """Form a batch of the pending commands: as many as can be merged."""
    length = _next_batch_length(group, precautions)
    commands = tuple(islice(group.pending, length))
    stale = frozenset(compress(range(length), map(is_stale, commands)))
    expired = frozenset(
        {
            position
            for position, command in enumerate(commands)
            if command.expires_at is not None and _has_expired(command, now)
        }
    )
    if commands[0].kind is CommandKind.LIST:
        return Batch(commands, Change(), expired)
    change = merge(
        commands,
        exists=group.exists,
        created_by=group.creation.created_by,
        skip=expired | stale,
        later_writes=group.later_writes,
    )
    return Batch(commands, change, expired - stale)


def _has_expired(command: Command, now: float) -> bool:
    # "expired" promises that the vendor did nothing, so an attempted command never expires.
    return command.expires_at is not None and command.expires_at <= now and not command.attempted
