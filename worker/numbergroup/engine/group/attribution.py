"""Attribution: which command owes its fate to which call, once all calls of a batch are resolved."""

from collections.abc import Iterable, Sequence

from numbergroup.engine.commands import CREATE, RENAME, Command, Fault, GroupRef, Verdict, is_stale
from numbergroup.engine.effects import Decided
from numbergroup.engine.group.state import Batch, GroupState
from numbergroup.engine.group.vendor_details import encode_details
from numbergroup.engine.merging.merge import Change, Op
from numbergroup.engine.merging.vendor_view import VendorView
from numbergroup.engine.records import DEAD_LETTERED
from numbergroup_contracts.results import Status

_APPLIED, _SUPERSEDED = Status.APPLIED, Status.SUPERSEDED
_EXPIRED = Fault("expired", None, "its expirytime had passed before the vendor took it")
_NONE_TAKEN = Fault("refused", None, "the vendor took none of its numbers")


def attribute_success(group: GroupState, deletion_request: str | None = None) -> list[Verdict]:
    """The verdicts of the mailbox's batch, all of whose calls went through, in order."""
    batch = group.batch
    assert batch is not None
    change, commands, known = batch.change, batch.commands, group.vendor_view
    deciders = {by for _, by in change.decided.values()}
    deciders.update(change.names.values())
    told = [*known.last_writes.values(), *known.rejected.values()]
    told_ids = [one.request_id for one in told] + [one.request_id for one in known.texts.values()]
    everything = _distinct([*told_ids, known.base_request])
    group_id, merged = group.group_id, len(commands)
    # Nearly always there is none: to ask for each is a tenth of the time that a batch takes.
    any_passed_over = (
        change.outdated or change.refused or batch.expired_positions or any(map(is_stale, commands))
    )
    verdicts = []
    for position, command in enumerate(commands):
        passed_over = _passed_over(group, position) if any_passed_over else None
        if passed_over is not None:
            verdicts.append(passed_over)
            continue
        rejected: tuple[str, ...] = ()
        if change.delete is not None:
            status = _APPLIED if position == change.delete else _SUPERSEDED
            ids = _distinct([deletion_request])
        else:
            based = position == change.base or command.kind is CREATE
            status = _APPLIED if based or position in deciders else _SUPERSEDED
            if known.rejected:
                taken, rejected = _by_fate(position, command, change, known)
                if rejected:
                    # A base has decided all other numbers as well.
                    status = Status.PARTIAL if taken or based else Status.REJECTED
            ids = everything if len(everything) == 1 else _requests(position, command, change, known, status)
            if command.kind is CREATE and group.create_request_id not in ids:
                ids = _distinct([group.create_request_id, *ids])
        verdict = Verdict(command, status, group_id, ids, merged)
        if known.has_details and change.delete is None:
            base = position == change.base or command.kind is CREATE
            calls = known.details_of(_decided(position, command, change, status), base=base)
            verdict.vendor = encode_details(calls, command, rejected)
        if rejected:
            verdict.rejected = rejected
            if status is Status.REJECTED:
                verdict.fault = _NONE_TAKEN
        verdicts.append(verdict)
    return verdicts


def _by_fate(
    position: int, command: Command, change: Change, known: VendorView
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The numbers that the command has decided: those that the vendor took, and those that it did not."""
    taken, rejected = list[str](), list[str]()
    for number in command.numbers:
        decision = change.decided.get(number)
        if decision is not None and decision.by == position:
            present = decision.op is Op.ADD
            left_out = known.rejects(number, present, command.number_expiry if present else None)
            (rejected if left_out else taken).append(number)
    return tuple(taken), tuple(rejected)


def _requests(
    position: int, command: Command, change: Change, known: VendorView, status: Status
) -> tuple[str, ...]:
    told, base = known.last_writes, known.base_request
    ids: list[str | None] = []
    if command.kind is RENAME:
        return _distinct(
            one for name in _decided(position, command, change, status) for one in known.requests(name)
        )
    if position == change.base or not command.numbers:
        # An empty replace is in every call: it decided all numbers, or a later base did in its stead.
        ids.append(base)
    if position == change.base and not command.numbers:
        ids.extend(said.request_id for said in told.values())
    for number in _decided(position, command, change, status):
        ids += known.requests(number) or [base]
    return _distinct(ids)


def _decided(position: int, command: Command, change: Change, status: Status) -> list[str]:
    """The numbers (of a rename: the texts) by whose calls the command is answered: those that it has decided;
    of one that is superseded, all."""
    superseded, decided = status is Status.SUPERSEDED, change.decided
    if command.kind is RENAME:
        return [name for name in command.names if superseded or change.names.get(name) == position]
    return [
        number
        for number in command.numbers
        if superseded or (decision := decided.get(number)) is None or decision.by == position
    ]


def same_verdict_for_all(
    group: GroupState, status: Status, fault: Fault, request_id: str | None
) -> list[Verdict]:
    """The same verdict for every command of a batch that did not go through.

    What the vendor was told before it failed is not hidden: its requestIds are in the answer, and
    that of the refusal itself, if it had one, is the last.
    """
    batch = group.batch
    assert batch is not None
    known = group.vendor_view
    verdicts = []
    for position, command in enumerate(batch.commands):
        carried = [one for number in command.decides for one in known.requests(number)]
        ids = _distinct([*carried, request_id])
        verdict = Verdict(command, status, group.group_id, ids, len(batch.commands), fault)
        verdicts.append(_passed_over(group, position) or verdict)
    return verdicts


def _passed_over(group: GroupState, position: int) -> Verdict | None:
    """The verdict on a command that was in no call, because it expired or could not apply where it stood."""
    batch = group.batch
    assert batch is not None
    command, merged = batch.commands[position], len(batch.commands)
    if command.stale or position in batch.change.outdated:
        # What was said later has decided: in this batch, or in one that is settled since.
        known = group.vendor_view
        ids = _distinct(one for number in command.decides for one in known.requests(number))
        return Verdict(command, Status.SUPERSEDED, group.group_id, ids, merged)
    if position in batch.expired_positions:
        return Verdict(command, Status.EXPIRED, group.group_id, merged=merged, fault=_EXPIRED)
    fault = batch.change.refused.get(position)
    if fault is not None:
        return Verdict(command, Status.REJECTED, group.group_id, merged=merged, fault=fault)
    return None


def summarize_decisions(ref: GroupRef, batch: Batch, verdicts: Sequence[Verdict]) -> Decided:
    """What the batch's commands have decided that were carried out, as `verdicts` tell, one each."""
    change = batch.change
    carried = [verdict.status not in DEAD_LETTERED for verdict in verdicts]
    if change.delete is not None and carried[change.delete]:
        return Decided(ref, change.delete, ())
    everything = change.base if change.base is not None and carried[change.base] else None
    left_out = {place: frozenset(one.rejected) for place, one in enumerate(verdicts) if one.rejected}
    numbers = [
        (number, decision.op is Op.ADD, decision.by)
        for number, decision in change.decided.items()
        if carried[decision.by] and number not in left_out.get(decision.by, ())
    ]
    texts = [(name, True, by) for name, by in change.names.items() if carried[by]]
    return Decided(ref, everything, numbers + texts)


def _distinct(ids: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in ids if one is not None))
