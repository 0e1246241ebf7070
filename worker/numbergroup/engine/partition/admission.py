"""Admission: answers commands that need no call."""

import re
from collections.abc import Mapping

from numbergroup.engine.commands import DELETE, REPLACE, Command, CommandKind
from numbergroup.engine.events import LookupResult
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.replays import replays_of
from numbergroup.engine.verdicts import Fault, Verdict
from numbergroup_contracts.results import Status

_OTHER_BODY = Fault(
    "conflict", None, "another command was accepted under the same source and id; this one was not applied"
)

_UNREADABLE = Fault(
    "unavailable", None, "the worker's record of this group cannot be read: an operator has to repair it"
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
    command: Command, partition: PartitionState, facts: LookupResult, policies: Mapping[str, AccountPolicy]
) -> Verdict | None:
    """Return the answer if no call is needed; `None` if the command is pending or has to be carried out.

    A repeat of a pending command joins it, and gets the same answer at the same time. A replay is not a
    repeat of its settled command. Until the replay is settled, repeats get the earlier answer.
    """
    waiting = partition.commands.get(command.key)
    record = partition.settled.get(command.key) or facts.settled.get(command.key)
    if waiting is not None and not (
        record is not None and replays_of(command.retry_history) < replays_of(waiting.retry_history)
    ):
        if waiting.fingerprint != command.fingerprint:
            return Verdict(command, Status.REJECTED, fault=_OTHER_BODY, conflict=True)
        live = [origin for origin in waiting.origins if not origin.entry.awaits_redelivery]
        partition.owed_answers -= len(waiting.origins) - len(live)
        waiting.origins[:] = live + command.origins
        return None
    if record is not None and record.replays >= replays_of(command.retry_history):
        if record.fingerprint != command.fingerprint:
            return Verdict(command, Status.REJECTED, fault=_OTHER_BODY, conflict=True)
        return Verdict(command, record.status, repeat_of=record)
    if command.retry_history is None and command.group in partition.quarantined:
        return Verdict(command, Status.FAILED, fault=partition.quarantined[command.group])
    if command.group in facts.unreadable and not partition.knows_group(command.group):
        # Whether the group exists is unknown, so a call could create it a second time.
        return Verdict(command, Status.FAILED, fault=_UNREADABLE)
    policy = policies.get(command.group.account)
    if policy is None:
        fault = Fault("invalid", None, f"no account named {command.group.account!r} is configured")
        return Verdict(command, Status.REJECTED, fault=fault)
    problem = _check_support(command, policy)
    if problem is None and policy.number_pattern is not None:
        problem = _check_numbers(command, policy.number_pattern)
    if problem is None and policy.precheck is not None:
        problem = policy.precheck(command)
    if problem is not None:
        return Verdict(command, Status.REJECTED, fault=problem)
    return None


def _check_support(command: Command, policy: AccountPolicy) -> Fault | None:
    """Return the error if the vendor cannot carry the command out; else `None`."""
    if command.kind not in policy.supports:
        supported = ", ".join(name for kind, name in _OPERATIONS.items() if kind in policy.supports)
        message = (
            f"the account's vendor cannot {_OPERATIONS[command.kind]}; what it can: {supported or 'nothing'}"
        )
        return Fault("unsupported", None, message)
    if command.number_expiry is not None and not policy.number_expiry:
        return Fault("unsupported", None, "the account's vendor does not support expiresAt")
    if command.number_expiry is not None and command.kind is DELETE:
        return Fault("invalid", None, "expiresAt is for numbers that are added: a delete has none")
    if command.kind is REPLACE and not command.numbers and not policy.can_list:
        message = "an empty replace needs a list of the group's members, and the account's vendor has none"
        return Fault("unsupported", None, message)
    return None


def _check_numbers(command: Command, pattern: str) -> Fault | None:
    """Return the error if the vendor does not accept some of the numbers; else `None`.

    The message names their places, not the numbers: those must not reach logs.
    """
    matches = re.compile(pattern).fullmatch
    numbers = command.as_received(command.numbers)
    invalid = [place for place, number in enumerate(numbers, 1) if not matches(number)]
    if not invalid:
        return None
    count = f"{len(invalid)} of its {len(command.numbers)} numbers" if len(invalid) > 1 else "a number"
    subject = f"phones: {count} (the first at place {invalid[0]}) cannot be used with the account's vendor"
    return Fault("invalid", None, f"{subject}, which takes numbers like {pattern}")
