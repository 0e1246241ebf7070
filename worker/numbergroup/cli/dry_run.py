"""Plans commands with the worker's engine and a vendor that accepts everything, without I/O."""

import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.bootstrap.accounts import build_policy
from numbergroup.engine.calls import Applied, Call, CallKind, Group
from numbergroup.engine.commands import Command, CommandKind, GroupRef, HandleKind
from numbergroup.engine.effects import Effect, GroupDecisions, Settle, StartCall, WantPermit
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CallFinished, Delivered, Event, LookupResult, PermitGranted
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.verdicts import Verdict
from numbergroup.settings import Settings
from numbergroup.vendors.nxcloud import CAPABILITIES
from numbergroup_contracts.results import Status

_NEW_GROUP_ID = "new"


@dataclass(slots=True, frozen=True)
class PlannedCall:
    """`deciders` has for each number the command that decides it, if it is one of the batch."""

    call: Call
    deciders: dict[str, Command | None]


@dataclass(slots=True)
class PlannedGroup:
    """The plan of one group.

    `commands` counts all of them, with the `repeats` of earlier ones. `rejected` have a reason each.
    """

    ref: GroupRef
    first: Command
    commands: int = 0
    repeats: int = 0
    calls: list[PlannedCall] = field(default_factory=list)
    rejected: list[tuple[Command, str]] = field(default_factory=list)


def plan_groups(commands: Sequence[Command], settings: Settings) -> list[PlannedGroup]:
    """Return the plan of each group, in the order of their first commands.

    All commands wait before the first call. If commands use a groupKey that none of them creates, the group
    is assumed to exist.
    """
    engine = Engine(_make_policies(commands, settings), group_backlog=sys.maxsize, max_pending=sys.maxsize)
    run = _DryRun(engine, time.time())
    for command in commands:
        run.deliver(command)
    run.process_effects()
    return list(run.groups.values())


def _make_policies(commands: Sequence[Command], settings: Settings) -> Mapping[str, AccountPolicy]:
    """Return the policies of the configured accounts; if there are none, one for each account in use."""
    policies = {
        name: build_policy(account, account.create_provider()) for name, account in settings.accounts.items()
    }
    if policies:
        return policies
    default = AccountPolicy(CAPABILITIES.numbers_per_call, 1, CAPABILITIES.commands)
    return {command.group.account: default for command in commands}


@dataclass(slots=True)
class _DryRun:
    """Carries out the engine's effects, without time passing. `calls`: those of unsettled batches."""

    engine: Engine
    now: float
    groups: dict[GroupRef, PlannedGroup] = field(default_factory=dict)
    calls: defaultdict[GroupRef, list[Call]] = field(default_factory=lambda: defaultdict(list))
    effects: deque[Effect] = field(default_factory=deque)

    def deliver(self, command: Command) -> None:
        """Put a command into the engine."""
        ref = command.group
        group = self.groups.setdefault(ref, PlannedGroup(ref, command))
        group.commands += 1
        exists = ref.kind is HandleKind.KEY and group.first.kind is not CommandKind.CREATE
        # For a group with dead letters, the engine reports which command decided each number.
        facts = LookupResult(bindings={ref: ref.name} if exists else {}, with_dead_letters={ref})
        self._feed(Delivered(0, [command], facts, self.now))

    def process_effects(self) -> None:
        """Grant all permits and let all calls succeed, until nothing is left to do."""
        while self.effects:
            match self.effects.popleft():
                case WantPermit(account, probe):
                    self._feed(PermitGranted(account, self.now, probe))
                case StartCall() as start:
                    self.calls[start.ref].append(start.call)
                    self._feed(CallFinished(start.call_id, _make_success(start.call), self.now, jitter=0.0))
                case Settle() as settle:
                    self._record_settlement(settle)
                case _:
                    pass  # Timers and breakers have no effect, because no call fails.

    def _feed(self, event: Event) -> None:
        self.effects.extend(self.engine.handle(event))

    def _record_settlement(self, settle: Settle) -> None:
        verdicts = [verdict for verdict in settle.verdicts if isinstance(verdict, Verdict)]
        for verdict in verdicts:
            command, group = verdict.command, self.groups[verdict.command.group]
            group.repeats += len(command.origins) - (verdict.repeat_of is None)
            if verdict.status is Status.REJECTED and verdict.repeat_of is None:
                group.rejected.append((command, verdict.fault.message if verdict.fault else ""))
        if settle.decisions is not None:
            self._record_calls(settle.decisions, [verdict.command for verdict in verdicts])

    def _record_calls(self, decisions: GroupDecisions, commands: Sequence[Command]) -> None:
        """Record the calls of the settled batch, and which of its commands decided each number."""
        deciders = {number: commands[place] for number, _, place in decisions.numbers}
        self.groups[decisions.ref].calls += [
            PlannedCall(call, {number: deciders.get(number) for number in call.numbers})
            for call in self.calls.pop(decisions.ref, ())
        ]


def _make_success(call: Call) -> Applied:
    """Return the outcome of a call that succeeds, at a vendor whose groups are empty."""
    match call.kind:
        case CallKind.CREATE:
            return Applied(None, _NEW_GROUP_ID)
        case CallKind.READ_MEMBERS if call.group_id is not None:
            return Applied(None, groups=(Group(call.group_id, call.group_id, "", ()),))
        case _:
            return Applied(None, groups=())
