"""Delivery: takes decoded commands into their groups, or answers them at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from numbergroup.engine.commands import Command
from numbergroup.engine.effects import Settle
from numbergroup.engine.events import Delivered
from numbergroup.engine.group.lifecycle import Idle
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.partition.admission import admit
from numbergroup.engine.partition.group_table import GroupTable
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.records import round_to_milliseconds
from numbergroup.engine.verdicts import CRASHED, Refusal, Verdict


@dataclass(slots=True, frozen=True)
class Delivery:
    """Delivers to the groups of `table`. `linger_s`: seconds that an idle group waits for more commands."""

    table: GroupTable
    policies: Mapping[str, AccountPolicy]
    linger_s: float

    def deliver(self, event: Delivered) -> Collection[str]:
        """Add the event's commands to their groups, and return the names of these groups' accounts.

        Refusals, repeats and commands that are not admitted are settled at once.
        """
        partition = self.table.partitions.setdefault(event.partition, PartitionState())
        answered: list[Verdict | Refusal] = []
        touched: dict[str, None] = {}
        partition.note_dead_letters(event.facts.with_dead_letters)
        for item in event.items:
            partition.owed_answers += 1
            if isinstance(item, Refusal):
                answered.append(item)
                if item.kind == CRASHED and item.group is not None:
                    partition.note_dead_letters((item.group,))
                continue
            verdict = admit(item, partition, event.facts, self.policies)
            if verdict is not None:
                answered.append(verdict)
                if verdict.repeat_of is None:
                    partition.remember(verdict, round_to_milliseconds(event.now))
            elif item.key not in partition.commands:
                self._add(item, partition, event)
                touched[item.group.account] = None
        partition.writes_during_lookup.clear()
        if answered:
            self.table.emit_settle(partition, Settle(event.partition, answered, event.now))
        return touched

    def _add(self, command: Command, partition: PartitionState, event: Delivered) -> None:
        """Add the command to its group's queue; an idle group is queued, or lingers."""
        table, facts = self.table, event.facts
        group = partition.groups.get(command.group)
        if group is None:
            group = partition.groups[command.group] = GroupState(command.group, event.partition)
        if not group.pending:
            group.group_id = partition.find_group_id(command.group, facts)
            group.creation.created_group = partition.created_groups.get(command.group)
        partition.note_order(command, group, facts)
        if partition.attempted or group.doubts:
            late = group.has_call_in_doubt(command, event.now)
            command.attempted = late or command.key in partition.attempted
        if event.uncertain_until is not None:
            group.creation.suspect(command, event.uncertain_until)
        intent = facts.intents.get(command.group) if facts.intents else None
        if intent is not None:
            # Once this engine bound or freed the key, the look-up in the ledger may be outdated.
            may_be_older = not (group.pending or command.group in partition.bindings)
            group.creation.adopt_intent(intent, command, may_be_older=may_be_older)
        table.serial += 1
        command.arrival, command.arrived_at = table.serial, event.now
        partition.track(command)
        group.pending.append(command)
        if len(group.pending) == 1:
            table.set_expiry_timer(group)
        if isinstance(group.state, Idle):
            if self.linger_s:
                table.park(group, event.now + self.linger_s, event.now)
            else:
                table.enqueue(group)
        # Checked inline: this runs for every command, and a function call would double its cost.
        if (
            len(group.pending) > table.group_backlog
            or partition.owed_answers + partition.extra_weight >= table.max_pending
        ):
            table.quarantine_if_stuck(group, event.now)
