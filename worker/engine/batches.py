"""Cutting a batch from a mailbox, and finding its next call."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from worker.engine.accounts import AccountPolicy
from worker.engine.attribution import carried_out
from worker.engine.creation import marked
from worker.engine.decisions import Finish, Park, Send
from worker.engine.mailbox import Batch, Mailbox
from worker.engine.merge import Change, batch_length, merge
from worker.engine.model import CHANGING, Call, CallKind, CommandKind, GroupRef, HandleKind, Verdict
from worker.engine.plan import plan


def next_step(mailbox: Mailbox, policy: AccountPolicy, now: float) -> Send | Park | Finish:
    """The next call of the mailbox's batch, which is cut now if there is none.

    `Finish` when no call is needed; `Park` when an earlier call in doubt could undo the next one.
    """
    batch = mailbox.batch
    if batch is None:
        batch = mailbox.batch = _cut(mailbox, now)
        replan(mailbox, policy)
    if not batch.calls:
        return finished(mailbox)
    call = batch.calls[0]
    if call.group_id is None and call.kind in (CallKind.ADD, CallKind.DELETE):
        # Planned behind a create, when the group had no id yet.
        call = replace(call, group_id=mailbox.group_id)
    until = mailbox.wait_for_doubt(call, now)
    if until is not None:
        if not batch.started:
            mailbox.uncut()
        return Park(until)
    batch.started = True
    mailbox.begun = max(mailbox.begun, len(batch.commands))
    mailbox.sent_at = now
    mailbox.intent_recorded |= call.kind is CallKind.CREATE
    if call.kind is CallKind.CREATE:
        mailbox.made = None
    return Send(call, None if policy.marker or call.kind not in CHANGING else mailbox.made)


def replan(mailbox: Mailbox, policy: AccountPolicy) -> None:
    """Plan what is still needed for the batch, from what is known of the group by now."""
    batch = mailbox.batch
    assert batch is not None
    first = batch.commands[0]
    if first.kind is CommandKind.LIST:
        listing = Call(CallKind.LIST, limit=first.limit, offset=first.offset)
        batch.calls = deque([] if batch.expired else [listing])
        return
    change = batch.change
    unanswered = mailbox.intent is not None and mailbox.group_id is None
    if unanswered and (change.create is not None or change.delete is not None):
        batch.calls = deque([Call(CallKind.FIND_CREATED)])
        return
    calls = plan(
        change,
        batch.commands,
        mailbox.known,
        group_id=mailbox.group_id,
        numbers_per_call=policy.numbers_per_call,
    )
    if calls and calls[0].kind is CallKind.CREATE and policy.marker:
        assert change.create is not None
        calls[0] = marked(calls[0], batch.commands[change.create])
    batch.calls = deque(calls)


def finished(mailbox: Mailbox, deletion_request: str | None = None) -> Finish:
    """The end of a batch all of whose calls went through."""
    assert mailbox.batch is not None
    gone = mailbox.batch.change.delete is not None
    return closed(mailbox, carried_out(mailbox, deletion_request), gone=gone)


def closed(mailbox: Mailbox, verdicts: Sequence[Verdict], *, gone: bool = False) -> Finish:
    """The end of a batch, however it ended, with what the ledger must learn: whether the group is gone,
    or was made (also by a create that failed half-way: its key leads to what there is of it)."""
    batch = mailbox.batch
    assert batch is not None
    bindings: dict[GroupRef, str | None] = {}
    if mailbox.ref.kind is HandleKind.KEY and (gone or mailbox.created_by in batch.commands):
        bindings[mailbox.ref] = None if gone else mailbox.group_id
    # A create that failed in doubt keeps its intent: replaying the letter must look for the group first.
    intents_done = [mailbox.ref] if mailbox.intent_recorded and mailbox.intent is None else []
    mailbox.intent_recorded = mailbox.intent is not None
    return Finish(verdicts, bindings, intents_done)


def _cut(mailbox: Mailbox, now: float) -> Batch:
    length = batch_length(mailbox.pending)
    if mailbox.isolation is not None:
        length = min(length, mailbox.isolation)
    commands = tuple(islice(mailbox.pending, length))
    stale = frozenset(position for position, command in enumerate(commands) if command.stale)
    expired = frozenset(
        position
        for position, command in enumerate(commands)
        # What may have taken effect is seen through: "expired" promises that the vendor did nothing.
        if command.expires_at is not None and command.expires_at <= now and not command.attempted
    )
    if commands[0].kind is CommandKind.LIST:
        return Batch(commands, Change(), expired)
    change = merge(commands, exists=mailbox.exists, created_by=mailbox.created_by, skip=expired | stale)
    return Batch(commands, change, expired - stale)
