"""A dry run: the worker's engine carries commands out, and a vendor that grants everything answers."""

import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.bootstrap.accounts import build_policy
from numbergroup.engine.commands import (
    Applied,
    Call,
    CallKind,
    Command,
    CommandKind,
    Group,
    GroupRef,
    HandleKind,
    Verdict,
)
from numbergroup.engine.effects import Effect, GroupDecisions, Settle, StartCall, WantPermit
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CallFinished, Delivered, Event, Facts, PermitGranted
from numbergroup.engine.policy import AccountPolicy
from numbergroup.settings import Settings
from numbergroup.vendors.nxcloud import CAPABILITIES
from numbergroup_contracts.results import Status

_NEW_GROUP_ID = "new"


@dataclass(slots=True, frozen=True)
class PlannedCall:
    """`deciders` has the command behind each number."""

    call: Call
    deciders: dict[str, Command | None]


@dataclass(slots=True)
class PlannedGroup:
    """`commands` counts all of the group's; of those, `repeats` came again, and `rejected` cannot be
    carried out."""

    ref: GroupRef
    first: Command
    commands: int = 0
    repeats: int = 0
    calls: list[PlannedCall] = field(default_factory=list)
    rejected: list[tuple[Command, str]] = field(default_factory=list)


def plan_groups(commands: Sequence[Command], settings: Settings) -> list[PlannedGroup]:
    """The plan of each group, in the order of their first commands.

    All commands wait before the first call. A group whose key the commands use but do not create is taken to
    exist.
    """
    engine = Engine(_policies(commands, settings), group_backlog=sys.maxsize, max_pending=sys.maxsize)
    run = _DryRun(engine, time.time())
    for command in commands:
        run.deliver(command)
    run.work()
    return list(run.groups.values())


def _policies(commands: Sequence[Command], settings: Settings) -> Mapping[str, AccountPolicy]:
    """Those of the configured accounts; before any is configured, every account is taken to be there."""
    policies = {name: build_policy(account, account.vendor()) for name, account in settings.accounts.items()}
    if policies:
        return policies
    default = AccountPolicy(CAPABILITIES.numbers_per_call, 1, CAPABILITIES.commands)
    return {command.group.account: default for command in commands}


@dataclass(slots=True)
class _DryRun:
    """Carries the engine's effects out at one moment: time stands still. `calls` has those of batches that
    are not settled yet."""

    engine: Engine
    now: float
    groups: dict[GroupRef, PlannedGroup] = field(default_factory=dict)
    calls: defaultdict[GroupRef, list[Call]] = field(default_factory=lambda: defaultdict(list))
    effects: deque[Effect] = field(default_factory=deque)

    def deliver(self, command: Command) -> None:
        ref = command.group
        group = self.groups.setdefault(ref, PlannedGroup(ref, command))
        group.commands += 1
        exists = ref.kind is HandleKind.KEY and group.first.kind is not CommandKind.CREATE
        # Of a group with dead letters the engine reports which command has decided each number.
        facts = Facts(bindings={ref: ref.name} if exists else {}, with_dead_letters={ref})
        self._feed(Delivered(0, [command], facts, self.now))

    def work(self) -> None:
        """Grant every permit and every call until nothing waits."""
        while self.effects:
            match self.effects.popleft():
                case WantPermit(account, probe):
                    self._feed(PermitGranted(account, self.now, probe))
                case StartCall() as start:
                    self.calls[start.ref].append(start.call)
                    self._feed(CallFinished(start.call_id, _granted(start.call), self.now, jitter=0.0))
                case Settle() as settle:
                    self._take_answers(settle)
                case _:
                    pass  # No call fails, so nothing waits for a time or a breaker.

    def _feed(self, event: Event) -> None:
        self.effects.extend(self.engine.handle(event))

    def _take_answers(self, settle: Settle) -> None:
        verdicts = [verdict for verdict in settle.verdicts if isinstance(verdict, Verdict)]
        for verdict in verdicts:
            command, group = verdict.command, self.groups[verdict.command.group]
            group.repeats += len(command.origins) - (verdict.repeat_of is None)
            if verdict.status is Status.REJECTED and verdict.repeat_of is None:
                group.rejected.append((command, verdict.fault.message if verdict.fault else ""))
        if settle.decisions is not None:
            self._attribute(settle.decisions, [verdict.command for verdict in verdicts])

    def _attribute(self, decided: GroupDecisions, commands: Sequence[Command]) -> None:
        """Note the calls of the batch that is settled, and which of its commands are behind their numbers."""
        deciders = {number: commands[place] for number, _, place in decided.numbers}
        self.groups[decided.ref].calls += [
            PlannedCall(call, {number: deciders.get(number) for number in call.numbers})
            for call in self.calls.pop(decided.ref, ())
        ]


def _granted(call: Call) -> Applied:
    """The answer of a vendor that does what it is asked for; nothing is in its groups yet."""
    match call.kind:
        case CallKind.CREATE:
            return Applied(None, _NEW_GROUP_ID)
        case CallKind.READ_MEMBERS if call.group_id is not None:
            return Applied(None, groups=(Group(call.group_id, call.group_id, "", ()),))
        case _:
            return Applied(None, groups=())
