"""Admission: what can be answered without asking the vendor."""

from collections.abc import Mapping

from contracts.results import Status
from worker.engine.accounts import AccountPolicy
from worker.engine.memory import Partition
from worker.engine.messages import Facts
from worker.engine.model import Command, Fault, Verdict

_OTHER_BODY = Fault(
    "conflict", None, "another command was accepted under the same source and id; this one was not applied"
)

_UNREADABLE = Fault(
    "unavailable", None, "what the worker has noted of this group cannot be read: its operator has to mend it"
)


def admit(
    command: Command, partition: Partition, facts: Facts, policies: Mapping[str, AccountPolicy]
) -> Verdict | None:
    """The answer, if there is one already; `None` when the command has to be carried out.

    A repeat of a command that still waits joins it: it gets the same answer at the same time.
    """
    waiting = partition.commands.get(command.key)
    if waiting is not None:
        if waiting.fingerprint != command.fingerprint:
            return Verdict(command, Status.REJECTED, fault=_OTHER_BODY, conflict=True)
        live = [origin for origin in waiting.origins if not origin.entry.void]
        partition.waiting -= len(waiting.origins) - len(live)
        waiting.origins[:] = live + command.origins
        return None
    record = partition.settled.get(command.key) or facts.settled.get(command.key)
    if record is not None:
        if record.fingerprint != command.fingerprint:
            return Verdict(command, Status.REJECTED, fault=_OTHER_BODY, conflict=True)
        return Verdict(command, record.status, repeat_of=record)
    if command.group in facts.unreadable and not partition.knows(command.group):
        # Neither "no such group" nor "never created" would be true: a second group might come of it.
        return Verdict(command, Status.FAILED, fault=_UNREADABLE)
    policy = policies.get(command.group.account)
    if policy is None:
        fault = Fault("invalid", None, f"no account named {command.group.account!r} is configured")
        return Verdict(command, Status.REJECTED, fault=fault)
    if command.kind not in policy.supports:
        fault = Fault(
            "unsupported", None, f"the account's vendor has no {command.kind.name.lower()} operation"
        )
        return Verdict(command, Status.REJECTED, fault=fault)
    if command.number_expiry is not None and not policy.number_expiry:
        fault = Fault("unsupported", None, "the account's vendor does not support expiresAt")
        return Verdict(command, Status.REJECTED, fault=fault)
    return None
