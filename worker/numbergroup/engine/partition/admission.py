"""Admission: what can be answered without asking the vendor."""

import re
from collections.abc import Mapping

from numbergroup.engine.commands import DELETE, REPLACE, Command, CommandKind, Fault, Verdict
from numbergroup.engine.events import Facts
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.replays import replays_of
from numbergroup_contracts.results import Status

_OTHER_BODY = Fault(
    "conflict", None, "another command was accepted under the same source and id; this one was not applied"
)

_UNREADABLE = Fault(
    "unavailable", None, "what the worker has noted of this group cannot be read: its operator has to mend it"
)

_OPERATIONS = {
    CommandKind.CREATE: "create a group",
    CommandKind.ADD: "add numbers",
    CommandKind.DELETE: "delete numbers",
    CommandKind.REPLACE: "replace all numbers",
    CommandKind.DELETE_GROUP: "delete a group",
    CommandKind.RENAME: "rename a group",
    CommandKind.LIST: "list groups",
}


def admit(
    command: Command, partition: PartitionState, facts: Facts, policies: Mapping[str, AccountPolicy]
) -> Verdict | None:
    """The answer, if there is one already; `None` when the command has to be carried out.

    A repeat of a command that still waits joins it: it gets the same answer at the same time. What is tried
    again is no repeat of what was settled before, and its repeats get the answer that they had, until it is.
    """
    waiting = partition.commands.get(command.key)
    record = partition.settled.get(command.key) or facts.settled.get(command.key)
    if waiting is not None and not (
        record is not None and replays_of(command.past) < replays_of(waiting.past)
    ):
        if waiting.fingerprint != command.fingerprint:
            return Verdict(command, Status.REJECTED, fault=_OTHER_BODY, conflict=True)
        live = [origin for origin in waiting.origins if not origin.entry.void]
        partition.owed_answers -= len(waiting.origins) - len(live)
        waiting.origins[:] = live + command.origins
        return None
    if record is not None and record.replays >= replays_of(command.past):
        if record.fingerprint != command.fingerprint:
            return Verdict(command, Status.REJECTED, fault=_OTHER_BODY, conflict=True)
        return Verdict(command, record.status, repeat_of=record)
    if command.past is None and command.group in partition.quarantined:
        return Verdict(command, Status.FAILED, fault=partition.quarantined[command.group])
    if command.group in facts.unreadable and not partition.knows_group(command.group):
        # Neither "no such group" nor "never created" would be true: a second group might come of it.
        return Verdict(command, Status.FAILED, fault=_UNREADABLE)
    policy = policies.get(command.group.account)
    if policy is None:
        fault = Fault("invalid", None, f"no account named {command.group.account!r} is configured")
        return Verdict(command, Status.REJECTED, fault=fault)
    refused = _unsupported(command, policy)
    if refused is None and policy.number_pattern is not None:
        refused = _unfit(command, policy.number_pattern)
    if refused is None and policy.objection is not None:
        refused = policy.objection(command)
    if refused is not None:
        return Verdict(command, Status.REJECTED, fault=refused)
    return None


def _unsupported(command: Command, policy: AccountPolicy) -> Fault | None:
    """Why the vendor has no way to carry the command out."""
    if command.kind not in policy.supports:
        can = ", ".join(said for kind, said in _OPERATIONS.items() if kind in policy.supports)
        said = f"the account's vendor cannot {_OPERATIONS[command.kind]}; what it can: {can or 'nothing'}"
        return Fault("unsupported", None, said)
    if command.number_expiry is not None and not policy.number_expiry:
        return Fault("unsupported", None, "the account's vendor does not support expiresAt")
    if command.number_expiry is not None and command.kind is DELETE:
        return Fault("invalid", None, "expiresAt is for numbers that are added: a delete has none")
    if command.kind is REPLACE and not command.numbers and not policy.lists:
        said = "an empty replace takes a list of the group's members, and the account's vendor has none"
        return Fault("unsupported", None, said)
    return None


def _unfit(command: Command, pattern: str) -> Fault | None:
    """Which numbers the vendor does not take at all; by their places, for numbers are nobody's business."""
    fits = re.compile(pattern).fullmatch
    numbers = command.as_written(command.numbers)
    unfit = [place for place, number in enumerate(numbers, 1) if not fits(number)]
    if not unfit:
        return None
    count = f"{len(unfit)} of its {len(command.numbers)} numbers" if len(unfit) > 1 else "a number"
    said = f"phones: {count} (the first at place {unfit[0]}) cannot be one of the account's vendor"
    return Fault("invalid", None, f"{said}, which takes numbers like {pattern}")
