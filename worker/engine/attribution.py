"""Attribution: which command owes its fate to which call, once all calls of a batch are resolved."""

from collections.abc import Iterable

from contracts.results import Status
from worker.engine.mailbox import Mailbox
from worker.engine.merge import Change
from worker.engine.model import Command, CommandKind, Fault, Verdict
from worker.engine.plan import Known

_EXPIRED = Fault("expired", None, "its expirytime had passed before the vendor took it")


def carried_out(mailbox: Mailbox, deletion_request: str | None = None) -> list[Verdict]:
    """The verdicts of the mailbox's batch, all of whose calls went through, in order."""
    batch = mailbox.batch
    assert batch is not None
    change, commands, known = batch.change, batch.commands, mailbox.known
    deciders = {decision.by for decision in change.decided.values()}
    everything = _distinct([told.request_id for told in known.told.values()] + [known.base_request])
    merged = len(commands)
    verdicts = []
    for position, command in enumerate(commands):
        passed_over = _passed_over(mailbox, position)
        if passed_over is not None:
            verdicts.append(passed_over)
            continue
        if change.delete is not None:
            status = Status.APPLIED if position == change.delete else Status.SUPERSEDED
            ids = _distinct([deletion_request])
        else:
            decides = position in deciders or position == change.base or command.kind is CommandKind.CREATE
            status = Status.APPLIED if decides else Status.SUPERSEDED
            ids = everything if len(everything) == 1 else _requests(position, command, change, known, status)
            if command.kind is CommandKind.CREATE and mailbox.create_request not in ids:
                ids = _distinct([mailbox.create_request, *ids])
        verdicts.append(Verdict(command, status, mailbox.group_id, ids, merged))
    return verdicts


def _requests(
    position: int, command: Command, change: Change, known: Known, status: Status
) -> tuple[str, ...]:
    told, base = known.told, known.base_request
    ids: list[str | None] = []
    if position == change.base or not command.numbers:
        # An empty replace is in every call: it decided all numbers, or a later base did in its stead.
        ids.append(base)
    if position == change.base and not command.numbers:
        ids.extend(said.request_id for said in told.values())
    for number in command.numbers:
        decision = change.decided.get(number)
        if status is Status.APPLIED and decision is not None and decision.by != position:
            continue
        said = told.get(number)
        ids.append(said.request_id if said is not None else base)
    return _distinct(ids)


def all_with(mailbox: Mailbox, status: Status, fault: Fault, request_id: str | None) -> list[Verdict]:
    """The same verdict for every command of a batch that did not go through.

    What the vendor was told before it failed is not hidden: its requestIds are in the answer, and
    that of the refusal itself, if it had one, is the last.
    """
    batch = mailbox.batch
    assert batch is not None
    told = mailbox.known.told
    verdicts = []
    for position, command in enumerate(batch.commands):
        carried = [told[number].request_id for number in command.numbers if number in told]
        ids = _distinct([*carried, request_id])
        verdict = Verdict(command, status, mailbox.group_id, ids, len(batch.commands), fault)
        verdicts.append(_passed_over(mailbox, position) or verdict)
    return verdicts


def _passed_over(mailbox: Mailbox, position: int) -> Verdict | None:
    """The verdict on a command that was in no call, because it expired or could not apply where it stood."""
    batch = mailbox.batch
    assert batch is not None
    command, merged = batch.commands[position], len(batch.commands)
    if command.stale:
        # What its source said later has decided: in this batch, or in one that is settled since.
        told = mailbox.known.told
        ids = _distinct(told[number].request_id for number in command.numbers if number in told)
        return Verdict(command, Status.SUPERSEDED, mailbox.group_id, ids, merged)
    if position in batch.expired:
        return Verdict(command, Status.EXPIRED, mailbox.group_id, merged=merged, fault=_EXPIRED)
    fault = batch.change.refused.get(position)
    if fault is not None:
        return Verdict(command, Status.REJECTED, mailbox.group_id, merged=merged, fault=fault)
    return None


def _distinct(ids: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in ids if one is not None))
