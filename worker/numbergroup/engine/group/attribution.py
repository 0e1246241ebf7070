"""Attribution: decides the verdict and the requestIds of each command of a resolved batch."""

from collections.abc import Iterable, Sequence

from numbergroup.engine.commands import CREATE, RENAME, Command, GroupRef, is_stale
from numbergroup.engine.effects import GroupDecisions
from numbergroup.engine.group.lifecycle import Batch
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.group.vendor_details import encode_details
from numbergroup.engine.merging.merge import Change, Op
from numbergroup.engine.merging.vendor_view import VendorView
from numbergroup.engine.records import DEAD_LETTERED
from numbergroup.engine.verdicts import Fault, Verdict
from numbergroup_contracts.results import Status

_APPLIED, _SUPERSEDED = Status.APPLIED, Status.SUPERSEDED
_EXPIRED = Fault("expired", None, "its expirytime had passed before the vendor took it")
_NONE_TAKEN = Fault("refused", None, "the vendor took none of its numbers")


def attribute_success(group: GroupState, batch: Batch, deletion_request: str | None = None) -> list[Verdict]:
    """Return the verdicts of a batch whose calls all succeeded, in the order of its commands."""
    change, commands, known = batch.change, batch.commands, group.vendor_view
    deciders = {by for _, by in change.winners.values()}
    deciders.update(change.texts.values())
    writes = [*known.last_writes.values(), *known.rejected.values()]
    request_ids = [write.request_id for write in writes] + [text.request_id for text in known.texts.values()]
    all_ids = _distinct([*request_ids, known.base_request])
    group_id, merged = group.group_id, len(commands)
    # Checked once per batch: most batches have no omitted command, and a check for each costs a tenth.
    has_omitted = change.outdated or change.refused or batch.expired_positions or any(map(is_stale, commands))
    verdicts = []
    for position, command in enumerate(commands):
        omitted = _verdict_if_omitted(group, batch, position) if has_omitted else None
        if omitted is not None:
            verdicts.append(omitted)
            continue
        rejected: tuple[str, ...] = ()
        if change.delete is not None:
            status = _APPLIED if position == change.delete else _SUPERSEDED
            ids = _distinct([deletion_request])
        else:
            based = position == change.base or command.kind is CREATE
            status = _APPLIED if based or position in deciders else _SUPERSEDED
            if known.rejected:
                accepted, rejected = _split_numbers(position, command, change, known)
                if rejected:
                    # A base decides all other numbers as well, so it is never rejected as a whole.
                    status = Status.PARTIAL if accepted or based else Status.REJECTED
            ids = all_ids if len(all_ids) == 1 else _request_ids(position, command, change, known, status)
            if command.kind is CREATE and group.creation.request_id not in ids:
                ids = _distinct([group.creation.request_id, *ids])
        verdict = Verdict(command, status, group_id, ids, merged)
        if known.has_details and change.delete is None:
            base = position == change.base or command.kind is CREATE
            calls = known.details_of(_decided_names(position, command, change, status), base=base)
            verdict.vendor = encode_details(calls, command, rejected)
        if rejected:
            verdict.rejected = rejected
            if status is Status.REJECTED:
                verdict.fault = _NONE_TAKEN
        verdicts.append(verdict)
    return verdicts


def _split_numbers(
    position: int, command: Command, change: Change, known: VendorView
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the numbers that the command has decided: those that the vendor accepted, and the rejected."""
    accepted, rejected = list[str](), list[str]()
    for number in command.numbers:
        decision = change.winners.get(number)
        if decision is not None and decision.position == position:
            present = decision.op is Op.ADD
            is_rejected = known.was_rejected(number, present, command.number_expiry if present else None)
            (rejected if is_rejected else accepted).append(number)
    return tuple(accepted), tuple(rejected)


def _request_ids(
    position: int, command: Command, change: Change, known: VendorView, status: Status
) -> tuple[str, ...]:
    """Return the requestIds of the calls that decided the command's numbers or texts."""
    last_writes, base = known.last_writes, known.base_request
    ids: list[str | None] = []
    if command.kind is RENAME:
        return _distinct(
            request_id
            for name in _decided_names(position, command, change, status)
            for request_id in known.request_ids(name)
        )
    if position == change.base or not command.numbers:
        # An empty replace decided all numbers, or a later base did so in its place.
        ids.append(base)
    if position == change.base and not command.numbers:
        ids.extend(write.request_id for write in last_writes.values())
    for number in _decided_names(position, command, change, status):
        ids += known.request_ids(number) or [base]
    return _distinct(ids)


def _decided_names(position: int, command: Command, change: Change, status: Status) -> list[str]:
    """Return the numbers (of a rename: the texts) whose calls belong into the command's result.

    These are the ones that the command decided; for a superseded command, all of its own.
    """
    superseded, decided = status is Status.SUPERSEDED, change.winners
    if command.kind is RENAME:
        return [name for name in command.text_fields if superseded or change.texts.get(name) == position]
    return [
        number
        for number in command.numbers
        if superseded or (decision := decided.get(number)) is None or decision.position == position
    ]


def same_verdict_for_all(
    group: GroupState, batch: Batch, status: Status, fault: Fault, request_id: str | None
) -> list[Verdict]:
    """Return the same verdict for every command of a batch that failed.

    The verdicts list the requestIds of calls that succeeded before; the failed request's `request_id`, if
    there is one, is the last.
    """
    known = group.vendor_view
    verdicts = []
    for position, command in enumerate(batch.commands):
        earlier_ids = [earlier_id for number in command.targets for earlier_id in known.request_ids(number)]
        ids = _distinct([*earlier_ids, request_id])
        verdict = Verdict(command, status, group.group_id, ids, len(batch.commands), fault)
        verdicts.append(_verdict_if_omitted(group, batch, position) or verdict)
    return verdicts


def _verdict_if_omitted(group: GroupState, batch: Batch, position: int) -> Verdict | None:
    """Return the verdict of a command that was left out of all calls; `None` if it was not.

    Commands are left out that are outdated, expired, or not applicable in their place.
    """
    command, merged = batch.commands[position], len(batch.commands)
    if command.stale or position in batch.change.outdated:
        # A later command of this batch, or of one that is settled already, decided instead.
        known = group.vendor_view
        ids = _distinct(request_id for number in command.targets for request_id in known.request_ids(number))
        return Verdict(command, Status.SUPERSEDED, group.group_id, ids, merged)
    if position in batch.expired_positions:
        return Verdict(command, Status.EXPIRED, group.group_id, merged=merged, fault=_EXPIRED)
    fault = batch.change.refused.get(position)
    if fault is not None:
        return Verdict(command, Status.REJECTED, group.group_id, merged=merged, fault=fault)
    return None


def summarize_decisions(ref: GroupRef, batch: Batch, verdicts: Sequence[Verdict]) -> GroupDecisions:
    """Return what the batch's successful commands decided, for replays that must not undo it.

    `verdicts` has one verdict for each command of the batch, in the same order.
    """
    change = batch.change
    succeeded = [verdict.status not in DEAD_LETTERED for verdict in verdicts]
    if change.delete is not None and succeeded[change.delete]:
        return GroupDecisions(ref, change.delete, ())
    everything = change.base if change.base is not None and succeeded[change.base] else None
    rejected = {
        position: frozenset(verdict.rejected) for position, verdict in enumerate(verdicts) if verdict.rejected
    }
    numbers = [
        (number, decision.op is Op.ADD, decision.position)
        for number, decision in change.winners.items()
        if succeeded[decision.position] and number not in rejected.get(decision.position, ())
    ]
    texts = [(name, True, position) for name, position in change.texts.items() if succeeded[position]]
    return GroupDecisions(ref, everything, numbers + texts)


def _distinct(ids: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(request_id for request_id in ids if request_id is not None))
