"""Cutting a batch from a mailbox, and finding its next call."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress, islice, takewhile

from numbergroup.engine.commands import (
    CHANGING,
    CRASHED,
    Call,
    CallKind,
    Command,
    CommandKind,
    CreateIntent,
    Fault,
    GroupRef,
    HandleKind,
    Verdict,
    is_stale,
)
from numbergroup.engine.group.attribution import attribute_success, same_verdict_for_all
from numbergroup.engine.group.creation import add_marker, intent_after_create
from numbergroup.engine.group.next_step import Finish, Park, Send
from numbergroup.engine.group.state import Batch, GroupState, Phase
from numbergroup.engine.merging.merge import Change, batch_length, merge
from numbergroup.engine.merging.plan import plan
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.precautions import Precautions
from numbergroup_contracts.results import Status


def next_step(
    group: GroupState, policy: AccountPolicy, now: float, precautions: Precautions | None = None
) -> Send | Park | Finish:
    """The next call of the mailbox's batch, which is cut now if there is none.

    `Finish` when no call is needed; `Park` when an earlier call in doubt could undo the next one.
    """
    batch = group.batch
    if batch is None:
        if precautions is not None and (deaths := precautions.deaths_of(group.pending[0].digest)):
            return _given_up(group, deaths)
        batch = group.batch = form_batch(group, now, precautions)
        if group.suspected_creates:
            _suspect(group, batch)
        # Without a marker it is not known with which numbers a create was sent.
        finds = policy.marks if group.intent_is_guess else policy.finds
        if _is_open(group) and not finds and not _adopted(group):
            return fail_lost_create(group, policy)
        replan(group, policy)
    if not batch.calls:
        return finish_batch(group)
    call = batch.calls[0]
    if call.group_id is None and call.kind in (CallKind.ADD, CallKind.DELETE, CallKind.RENAME):
        # Planned behind a create, when the group had no id yet.
        call = replace(call, group_id=group.group_id)
    until = group.blocked_until(call, now)
    if until is not None:
        if not batch.is_started:
            group.discard_batch()
        return Park(until)
    batch.is_started = True
    batch.calls_started += 1
    group.attempted_count = max(group.attempted_count, len(batch.commands))
    group.sent_at = now
    group.intent_recorded |= call.kind is CallKind.CREATE
    if call.kind is CallKind.CREATE:
        group.created_group = None
    return Send(call, _instead_of_intent(group, call, policy))


def _instead_of_intent(group: GroupState, call: Call, policy: AccountPolicy) -> CreateIntent | None:
    """What the ledger is to know of the create that made the group before `call` changes it: its numbers tell
    that no more, where there is no marker; and a rename may take the marker away."""
    hides = call.kind in CHANGING and (not policy.marks or call.kind is CallKind.RENAME)
    return group.created_group if hides else None


def _given_up(group: GroupState, deaths: int) -> Finish:
    """The end of the mailbox's first command, of which so many workers died."""
    group.batch = Batch((group.pending[0],), Change(), frozenset())
    said = (
        f"workers died {deaths} times with this command in hand and nothing else: it is not tried any more. "
        "What it asks for may be done in part. Mend it, or the worker, then replay it"
    )
    return close_batch(group, same_verdict_for_all(group, Status.FAILED, Fault(CRASHED, None, said), None))


def next_commands(group: GroupState, precautions: Precautions | None) -> Sequence[Command]:
    """The commands of the mailbox's batch, or of the one that is formed next."""
    if group.batch is not None:
        return group.batch.commands
    return tuple(islice(group.pending, _length(group, precautions)))


def _length(group: GroupState, precautions: Precautions | None) -> int:
    """How many of the pending commands the next batch has."""
    length = batch_length(group.pending)
    if group.bisect_size is not None:
        length = min(length, group.bisect_size)
    if precautions is not None:
        length = precautions.batch_length((one.digest for one in group.pending), length)
    return length


def finish_expired_head(
    group: GroupState, now: float, precautions: Precautions | None = None
) -> Finish | None:
    """The end of those commands at the mailbox's head whose time is over, if any, and no call carries them.

    They need no permit: who waits for an account that is down is told in time.
    """
    if group.phase is Phase.IN_FLIGHT or (group.batch is not None and group.batch.is_started):
        return None
    head = tuple(takewhile(lambda command: _has_expired(command, now), group.pending))
    if precautions is not None:
        head = head[: precautions.batch_length((one.digest for one in head), len(head))]
    if not head:
        return None
    everyone = frozenset(range(len(head)))
    stale = frozenset(place for place in everyone if head[place].stale)
    group.batch = Batch(head, Change(), everyone - stale)
    return finish_batch(group)


def replan(group: GroupState, policy: AccountPolicy) -> None:
    """Plan what is still needed for the batch, from what is known of the group by now."""
    batch = group.batch
    assert batch is not None
    first = batch.commands[0]
    if first.kind is CommandKind.LIST:
        listing = Call(CallKind.LIST, limit=first.limit, offset=first.offset)
        batch.calls = deque([] if batch.expired_positions else [listing])
        return
    change = batch.change
    if group.intent is not None and _is_open(group):
        batch.calls = deque([_look_for(group.intent)])
        return
    calls = plan(
        change,
        batch.commands,
        group.vendor_view,
        group_id=group.group_id,
        numbers_per_call=policy.numbers_per_call,
        replaces=CommandKind.REPLACE in policy.supports,
        marks=policy.marks,
    )
    if calls and calls[0].kind is CallKind.CREATE and policy.marks:
        assert change.create is not None
        calls[0] = add_marker(calls[0], batch.commands[change.create])
    batch.calls = deque(calls)


def _look_for(intent: CreateIntent) -> Call:
    """The look-up of the group that the create of `intent` may have made."""
    return Call(CallKind.FIND_CREATED, group_id=intent.group_id, marker=intent.marker)


def _is_open(group: GroupState) -> bool:
    """Whether the batch is about a group that an earlier create, unanswered, may have made."""
    assert group.batch is not None
    change = group.batch.change
    unanswered = group.intent is not None and group.group_id is None
    return unanswered and (change.create is not None or change.delete is not None)


def _suspect(group: GroupState, batch: Batch) -> None:
    """Take in that the batch's create may have been sent."""
    if batch.change.create is not None:
        group.guess_intent(batch.commands[batch.change.create])


def _adopted(group: GroupState) -> bool:
    """Take the group for the batch's own that a dead worker's create was answered with, if it was."""
    assert group.batch is not None
    if group.intent is None or group.intent.group_id is None or group.batch.change.create is None:
        return False
    note_created(group, group.intent.group_id, None)
    group.batch.mark_attempted()
    return True


def note_created(group: GroupState, group_id: str | None, request_id: str | None) -> None:
    """Take in that the batch's create has made the group."""
    batch = group.batch
    assert batch is not None
    assert batch.change.create is not None
    group.group_id = group_id
    group.created_by = batch.commands[batch.change.create]
    group.created_group = intent_after_create(group.created_by, group_id)
    group.create_request_id = request_id
    group.intent = None
    group.forget_creation()


def fail_lost_create(
    group: GroupState, policy: AccountPolicy, code: str | None = None, why: str = "no answer is known"
) -> Finish:
    """The end of a batch whose create may have been carried out, where nobody can find out.

    Its intent is closed: who lets it be tried again has looked, and means it.
    """
    cannot = "does not tell which it is" if policy.lists else "has no list to look it up in"
    said = f"{why}: the group may have been made, and the vendor {cannot}"
    verdicts = same_verdict_for_all(group, Status.FAILED, Fault("unavailable", code, said), None)
    group.intent = None
    return close_batch(group, verdicts, gone=True)


def finish_batch(group: GroupState, deletion_request: str | None = None) -> Finish:
    """The end of a batch all of whose calls went through."""
    assert group.batch is not None
    gone = group.batch.change.delete is not None
    return close_batch(group, attribute_success(group, deletion_request), gone=gone)


def close_batch(group: GroupState, verdicts: Sequence[Verdict], *, gone: bool = False) -> Finish:
    """The end of a batch, however it ended, with what the ledger must learn: whether the group is gone,
    or was made (also by a create that failed half-way: its key leads to what there is of it)."""
    batch = group.batch
    assert batch is not None
    bindings: dict[GroupRef, str | None] = {}
    if group.ref.kind is HandleKind.KEY and (gone or group.created_by in batch.commands):
        bindings[group.ref] = None if gone else group.group_id
    # A create that failed in doubt keeps its intent: replaying the letter must look for the group first.
    intents_done = [group.ref] if group.intent_recorded and group.intent is None else []
    group.intent_recorded = group.intent is not None
    return Finish(verdicts, bindings, intents_done)


def form_batch(group: GroupState, now: float, precautions: Precautions | None = None) -> Batch:
    """A batch of what waits: all of it, as far as it can be merged."""
    length = _length(group, precautions)
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
        created_by=group.created_by,
        skip=expired | stale,
        since=group.later_writes,
    )
    return Batch(commands, change, expired - stale)


def _has_expired(command: Command, now: float) -> bool:
    # What may have taken effect is seen through: "expired" promises that the vendor did nothing.
    return command.expires_at is not None and command.expires_at <= now and not command.attempted
