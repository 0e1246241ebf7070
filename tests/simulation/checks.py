"""Every promise, checked on what a run has left behind."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import orjson

from numbergroup.engine.calls import Group
from numbergroup.engine.commands import (
    Command,
    CommandKey,
    CommandKind,
    Entry,
    GroupRef,
    HandleKind,
    SequenceKey,
)
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.group.creation import strip_marker
from numbergroup.engine.verdicts import CRASHED, Record, Refusal
from numbergroup.runtime.routing import partition_by_handle
from simulation.broker import SimulatedBroker
from simulation.ledger import SimulatedLedger
from simulation.one_by_one import Texts, apply, ends_full, fewest, is_conflict, is_stale, name_group
from simulation.plans import DEADLY, DOUBTFUL, HARMLESS, LOSSES, MAX_CRASHES, Plan, spellings, spelt
from simulation.poison import is_deadly
from simulation.vendor import SimulatedVendor, VendorGroup
from simulation.world import World

_MARKER_LENGTH = 24
_CREATED = ("applied", "partial", "superseded")
_MOST_MEMBERS = 8
"""How many numbers a group has at most."""
_MOST_DEATHS = 2 + 1 + MAX_CRASHES
"""Two before anything is noted, one to find the suspects, and those that condemn."""
_PLAIN = (CommandKind.ADD, CommandKind.DELETE, CommandKind.REPLACE)


@dataclass(slots=True)
class Taken:
    """What was published, as the engine must understand it: in the order of the partitions' logs.

    `answers` counts the answers that are owed, by id; `letters` the messages that are only dead-lettered.
    """

    firsts: dict[CommandKey, Command] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unanswerable: int = 0
    misrouted: set[str] = field(default_factory=set)
    deadly: set[str] = field(default_factory=set)
    """What may be condemned, by id."""


def taken_in(plan: Plan) -> Taken:
    """What intake makes of the plan's messages."""
    taken, belongs = Taken(), partition_by_handle(plan.partitions)
    for place, message in enumerate(sorted(plan.messages, key=lambda one: one.at)):
        deadly = is_deadly(plan, message.body)
        # An array that is refused unread has a letter for each event, and one for what may be behind them.
        taken.unanswerable += deadly and message.body.startswith(b"[")
        for item in Intake(spellings=spellings(plan)).read(
            Entry(message.partition, str(place), message.body)
        ):
            if isinstance(item, Command) and (deadly or DEADLY in item.numbers):
                taken.deadly.add(item.key.id)
            if deadly and item.key is not None:
                taken.answers[item.key.id] += 1
                taken.refused[item.key.id] += 1
                continue
            if isinstance(item, Refusal):
                if item.key is None:
                    taken.unanswerable += 1
                else:
                    taken.answers[item.key.id] += 1
                    taken.refused[item.key.id] += 1
                continue
            taken.answers[item.key.id] += 1
            if item.key not in taken.firsts and belongs(item) != message.partition:
                taken.refused[item.key.id] += 1
                taken.misrouted.add(item.key.id)
                continue
            taken.firsts.setdefault(item.key, item)
    return taken


@dataclass(slots=True)
class Checks:
    plan: Plan
    world: World
    ledger: SimulatedLedger
    broker: SimulatedBroker
    vendor: SimulatedVendor
    taken: Taken

    def check(self) -> None:
        """Find the first promise that is broken, if any."""
        promises = (self._answers, self._records, self._letters, self._order, self._groups, self._pending)
        for check in (*promises, self._given_up, self._rejected, self._condemned):
            check()
            if self.world.failure is not None:
                return
        if self.plan.is_calm:
            self._calls()
        if self.plan.is_still:
            self._fewest_calls()

    def _answers(self) -> None:
        """Exactly one answer each; over AMQP it may repeat, word for word."""
        broken = self.world.broken
        by_id: dict[str, list[Any]] = defaultdict(list)
        for reply in self.broker.replies:
            by_id[reply["data"]["command"]["id"]].append(reply)
        for name, owed in self.taken.answers.items():
            got = len(by_id[name])
            if got < owed or (self.plan.transactional and got > owed):
                broken("answers", f"{name} has {got} answers, and should have {owed}")
        repeated = sum(len(by_id[name]) - owed for name, owed in self.taken.answers.items())
        # A ledger that has lost writes has lost what was noted of messages that wait, answered.
        is_bounded = not any(fault.kind in LOSSES for fault in self.plan.faults)
        if not self.plan.transactional and is_bounded and repeated > self.broker.may_repeat:
            said = f"{repeated} answers were repeated, and {self.broker.may_repeat} were in flight at losses"
            broken("repeats", said)
        for name in by_id.keys() - self.taken.answers.keys():
            broken("answers", f"an answer to nobody's command {name}")
        for name, replies in by_id.items():
            same: dict[str, Any] = {}
            for reply in replies:
                self._check_requests(name, reply["data"])
                if any("[ng:" in group["remark"] for group in reply["data"].get("groups") or ()):
                    broken("markers", f"{name} shows a create's marker: {reply['data']['groups']}")
                said = reply
                if name in self.taken.refused or is_conflict(reply):
                    # It is not remembered: the time is another, and on Redis each message has its own letter.
                    data = {**reply["data"], "deadLetterId": None}
                    said = {**reply, "time": None, "data": data}
                first = same.setdefault(reply["id"], said)
                if first != said:
                    broken("repeats", f"{name} was answered differently: {first} and {said}")

    def _check_requests(self, name: str, data: dict[str, Any]) -> None:
        invented = [one for one in data["requestIds"] if one not in self.vendor.request_ids]
        if invented and data["status"] in _CREATED:
            self.world.broken(
                "request ids", f"{name} names requests that the vendor never carried out: {data}"
            )

    def _records(self) -> None:
        for key, command in self.taken.firsts.items():
            if command.kind is not CommandKind.LIST and key not in self.ledger.first:
                self.world.broken("outcome", f"{key.id} has no outcome in the ledger")

    def _letters(self) -> None:
        written = Counter(letter.id for letter in self.ledger.letters)
        commands = {letter.id: orjson.loads(letter.description)["command"] for letter in self.ledger.letters}
        named: Counter[str | None] = Counter()
        total: Counter[str | None] = Counter()
        for name, command in commands.items():
            named[command and command["id"]] += 1
            total[command and command["id"]] += written[name]
        owed: Counter[str | None] = Counter(self.taken.refused)
        if self.taken.unanswerable:
            owed[None] = self.taken.unanswerable
        for key, count in self.ledger.failures.items():
            if key in self.taken.firsts:
                owed[key.id] += count
        conflicts = Counter(
            reply["data"]["command"]["id"] for reply in self.broker.replies if is_conflict(reply)
        )
        for name in owed | named:
            # A repeat with another body has a letter of its own. Over AMQP a letter may be written again, and
            # messages that say the same share their letters' id.
            if not (owed[name] <= total[name] and named[name] <= owed[name] + conflicts[name or ""]):
                self.world.broken("letters", f"{name} has {total[name]} dead letters, not {owed[name]}")
        if self.plan.transactional and any(count > 1 for count in written.values()):
            self.world.broken("letters", f"a dead letter was written twice: {written.most_common(1)}")

    def _given_up(self) -> None:
        """However long the vendor is in trouble, nobody's command is given up because of it."""
        for key, record in self.ledger.first.items():
            if record.status == "failed" and record.fault is not None and record.fault.kind == "unavailable":
                self.world.broken("given up", f"{key.id} is {record}")

    def _condemned(self) -> None:
        """However often workers are killed, nothing is condemned but what kills them; and that, soon."""
        for reply in self.broker.replies:
            error, name = reply["data"].get("error"), reply["data"]["command"]["id"]
            if error is not None and error["kind"] == CRASHED and name not in self.taken.deadly:
                self.world.broken("condemned", f"{name} is an innocent: {error['message']}")
        for letter in self.ledger.letters:
            said = orjson.loads(letter.description)
            named = said["command"] is not None and said["command"]["type"] is not None
            if said["error"]["kind"] == CRASHED and named and said["group"] is None and not self.plan.killer:
                self.world.broken("condemned", f"the letter of {said['command']['id']} has no group")
        deaths = self.world.fired["killed by a message"]
        if deaths > _MOST_DEATHS:
            self.world.broken("condemned", f"{deaths} workers died of one message")

    def _order(self) -> None:
        arrivals: dict[GroupRef, list[CommandKey]] = defaultdict(list)
        for key, command in self.taken.firsts.items():
            if command.kind is not CommandKind.LIST:
                arrivals[command.group].append(key)
        for ref, keys in arrivals.items():
            settled = self.ledger.order[ref]
            if settled != keys:
                names = [key.id for key in keys], [key.id for key in settled]
                self.world.broken("order", f"{ref.name}: arrived as {names[0]}, settled as {names[1]}")

    def _pending(self) -> None:
        if self.ledger.intents:
            self.world.broken("intents", f"a create was left open: {self.ledger.intents}")
        # Over AMQP marks of what is acknowledged go with the next unit.
        if self.plan.transactional and any(self.ledger.partial.values()):
            self.world.broken("marks", f"marks of settled arrays were left: {dict(self.ledger.partial)}")

    def _groups(self) -> None:
        """The vendor's groups are those of the commands one by one."""
        model: dict[GroupRef, dict[str, None]] = {}
        ids: dict[GroupRef, str] = {}
        for account, group_id, numbers in self.plan.initial:
            ref = GroupRef(account, HandleKind.ID, group_id)
            model[ref], ids[ref] = dict.fromkeys(numbers), group_id
        texts: dict[GroupRef, Texts] = {}
        latest: dict[SequenceKey, int] = {}
        # Of a refused command, some numbers may have gone out before with those of others, as long as it was
        # known that the bad one need not.
        loose: set[str] = {DEADLY, HARMLESS}
        firsts = list(self.taken.firsts.items())
        for place, (key, command) in enumerate(firsts):
            record, ref = self.ledger.first.get(key), command.group
            if is_stale(command, latest):
                if record is None or record.status != "superseded":
                    self.world.broken("sequence", f"{key.id} came after a later one, and is {record}")
                continue
            if record is None or command.kind is CommandKind.LIST or record.status in ("expired", "failed"):
                continue
            if command.group.account not in self.vendor.groups:
                continue
            reason = record.fault.kind if record.fault else None
            if reason == "refused" and self._may_be_refused(command):
                forgotten = not self.plan.is_calm or self._doubts()
                loose.update(command.numbers if self.plan.poison and forgotten else ())
                continue
            possible = apply(model, command, self.plan.rejects)
            if possible:
                name_group(texts, command)
            if record.rejected:
                self._check_rejected(key, command, record, possible)
            elif reason == "refused":
                later = [one.kind for _, one in firsts[place:] if one.group == ref]
                # A worker died that had deleted the group, and its successor had not read so far yet.
                if possible and CommandKind.DELETE_GROUP not in later:
                    self.world.broken("groups", f"{key.id} was refused, and should have been applied")
            elif ref.kind is not HandleKind.ID and possible != (record.status in _CREATED):
                self.world.broken("groups", f"{key.id} is {record.status}, one by one possible: {possible}")
            if ref.kind is HandleKind.OWN and record.group_id is not None:
                ids[ref] = record.group_id
        ids |= self.ledger.bindings
        for account, groups in self.vendor.groups.items():
            found = {group_id: set(group.numbers) - loose for group_id, group in groups.items()}
            expected = {
                ids.get(ref): {*some} - loose for ref, some in model.items() if ref.account == account
            }
            if found != expected:
                self.world.broken("groups", f"{account} has {found}, one by one gives {expected}")
            for ref in (ref for ref in model if ref.account == account and ids.get(ref) in groups):
                self._check_texts(ref, groups[ids[ref]], texts.get(ref, (None, "")), ids[ref])

    def _check_texts(self, ref: GroupRef, group: VendorGroup, expected: Texts, group_id: str) -> None:
        label, remark = expected
        shown = strip_marker(Group(group_id, group.name, group.remark, ()))
        # What is beside the marker is cut off the sooner.
        kept = remark[: max(0, self.plan.remark_length - _MARKER_LENGTH)]
        is_kept = remark.startswith(shown.remark) and shown.remark.startswith(kept)
        if shown.name != (label or group_id) or not is_kept:
            said = f"{ref.name} is {shown.name!r}, {shown.remark!r}, one by one gives {expected}"
            self.world.broken("texts", said)

    def _check_rejected(self, key: CommandKey, command: Command, record: Record, possible: bool) -> None:
        """Only its own numbers, that the vendor has not taken, are told to a producer."""
        named = set(map(spelt, record.rejected))
        if not set(record.rejected) <= set(command.as_received(command.numbers)):
            self.world.broken("rejected", f"{key.id} is told of numbers as it did not write them: {record}")
        if not (possible and named <= self.plan.rejects & set(command.numbers)):
            self.world.broken("rejected", f"{key.id} was told that {named} were not taken")
        if record.status not in ("partial", "rejected"):
            self.world.broken("rejected", f"{key.id} is {record.status}, and {named} were not taken")

    def _rejected(self) -> None:
        """Who adds only what the vendor does not take is not told that it was done."""
        for key, record in self.ledger.first.items():
            command = self.taken.firsts.get(key)
            if command is None or command.kind is not CommandKind.ADD or record.status != "applied":
                continue
            if set(command.numbers) <= self.plan.rejects:
                self.world.broken("rejected", f"{key.id} is applied, and none of its numbers was taken")

    def _doubts(self) -> int:
        return sum(
            count for kind, count in self.world.fired.items() if kind in DOUBTFUL or kind == "too slow"
        )

    def _may_be_refused(self, command: Command) -> bool:
        flukes = any(fault.kind in ("refused", "unknown code") for fault in self.plan.faults)
        return flukes or not self.plan.poison.isdisjoint(command.numbers)

    def _fewest_calls(self) -> None:
        """Everything waited and nothing went wrong: the calls are as few as can be."""
        size = {account.name: account.numbers_per_call for account in self.plan.accounts}
        by_group: dict[GroupRef, list[Command]] = defaultdict(list)
        for command in self.taken.firsts.values():
            by_group[command.group].append(command)
        for ref, commands in by_group.items():
            renames = [command for command in commands if command.kind is CommandKind.RENAME]
            commands = [command for command in commands if command.kind is not CommandKind.RENAME]
            plain = all(command.kind in _PLAIN and command.numbers for command in commands)
            if not plain or ref.kind is not HandleKind.ID or ref.account not in size:
                continue
            if any(command.kind is CommandKind.REPLACE for command in commands) and not ends_full(commands):
                continue
            cost, least = self.vendor.changes[ref.account, ref.name], fewest(commands, size[ref.account])
            least += bool(renames)
            if cost > least:
                self.world.broken("fewest calls", f"{ref.name} cost {cost} calls, and {least} were enough")

    def _calls(self) -> None:
        """Nothing was lost or done twice: then no group costs more calls than its commands would alone."""
        size = {account.name: account.numbers_per_call for account in self.plan.accounts}
        alone: Counter[tuple[str, str]] = Counter()
        for key, command in self.taken.firsts.items():
            record = self.ledger.first.get(key)
            ref = command.group
            group_id = record.group_id if record is not None and ref.kind is not HandleKind.ID else ref.name
            if group_id is not None and ref.account in size:
                chunks = -(-len(command.numbers) // size[ref.account])
                # An empty group is made by taking out what is known to be in it, or what is found there.
                emptied = command.kind is CommandKind.REPLACE and not command.numbers
                extra = 3 + -(-_MOST_MEMBERS // size[ref.account]) if emptied else 0
                alone[ref.account, group_id] += max(1, chunks) + extra + (command.kind is CommandKind.CREATE)
        again = self._doubts()
        for group, count in self.vendor.changes.items():
            # After a lost answer a replace in several calls begins anew.
            if count > alone[group] * (1 + again):
                said = f"{group} cost {count} calls, its commands alone {alone[group]}, doubts {again}"
                self.world.broken("calls", said)
