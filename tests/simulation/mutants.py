"""Our load-bearing rules, each switched off: the simulation must notice within so many seeds.

Names that one module takes from another are changed where they are used.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from numbergroup.brokers.amqp.redelivery import Redeliveries, Settling
from numbergroup.brokers.amqp.settled_indexes import SettledIndexes
from numbergroup.engine import engine
from numbergroup.engine.account.account import Account
from numbergroup.engine.account.breaker import Breaker
from numbergroup.engine.calls import AccountFault, Applied, CallKind, Refused
from numbergroup.engine.events import PartitionAcquired
from numbergroup.engine.group import batch, outcome, state
from numbergroup.engine.group.attribution import same_verdict_for_all
from numbergroup.engine.group.batch import close_batch, finish_batch
from numbergroup.engine.group.creation_state import CreationState
from numbergroup.engine.group.lifecycle import Batch, InFlight
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.merging import plan
from numbergroup.engine.merging.vendor_view import VendorView
from numbergroup.engine.partition import delivery
from numbergroup.engine.partition.group_table import GroupTable
from numbergroup.engine.partition.poison_detection import CrashPolicy, History, InHand
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.policy import RetryPolicy
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.settling import results
from numbergroup.engine.settling.settlement import OpenSettlement
from numbergroup.engine.verdicts import Fault
from numbergroup.ledger.history import bound_to
from numbergroup.runtime import call_steps, recording
from numbergroup.runtime.call_steps import CallSteps
from numbergroup.runtime.committer import Committer
from numbergroup.runtime.lease import Lease
from numbergroup.runtime.owned_epochs import OwnedEpochs
from numbergroup.runtime.partition import PartitionRunner
from numbergroup.runtime.permits import PermitQueue
from numbergroup.runtime.poison_guard import PoisonGuard
from numbergroup.runtime.recording import CallRecord
from numbergroup.vendors import classification, client
from numbergroup.vendors.listing import Listing
from numbergroup.vendors.port import Answer
from numbergroup_contracts.results import Status
from simulation import poison, running, world
from simulation.broker import OneStepLog
from simulation.caught_by import CAUGHT_BY
from simulation.ledger import SimulatedLedger
from simulation.plans import Broken
from simulation.random_plans import make_plan
from simulation.running import run, simulating
from simulation.stepwise import StepwiseLog

Patch = tuple[Any, str, Any]


@dataclass(frozen=True)
class Mutant:
    """A rule that does not hold any more; `within` is how many seeds it may live."""

    name: str
    patches: Callable[[], list[Patch]]
    within: int = 800

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The rule is off while it lasts."""
        with ExitStack() as undo:
            for owner, name, value in self.patches():
                undo.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, value)
            yield


def caught(mutant: Mutant, seed: int) -> Broken | None:
    """What the simulation has against the mutant, with this seed."""
    try:
        return run(make_plan(seed)).broken
    except Exception as error:
        return Broken("error", repr(error))


def seeds_needed(mutant: Mutant, start: int, most: int | None = None) -> int | None:
    """How many seeds from `start` it took to catch the mutant; `None` when it survived."""
    with simulating(), mutant.at_work():
        for count in range(most or mutant.within):
            if caught(mutant, start + count) is not None:
                return count + 1
    return None


def is_caught(mutant: Mutant) -> bool:
    """Whether the simulation notices: in the world that has caught the mutant before, or within its seeds."""
    known = CAUGHT_BY.get(mutant.name)
    if known is not None:
        with simulating(), mutant.at_work():
            if caught(mutant, known) is not None:
                return True
    return seeds_needed(mutant, 0) is not None


# What stands in the place of the rules.


def _half_a_batch_settles() -> list[Patch]:
    later = outcome._retry_later

    def mutated(group: GroupState, unfinished: Batch, *rest: Any) -> Any:
        if group.vendor_view.last_writes:
            return finish_batch(group, unfinished)
        return later(group, unfinished, *rest)

    return [(outcome, "_retry_later", mutated)]


def _no_fence() -> list[Patch]:
    return [(GroupState, "blocked_until", lambda self, call, now: None)]


def _doubtful_is_believed() -> list[Patch]:
    return [(VendorView, "mark_uncertain", lambda self, call: self.apply(call, None))]


def _all_numbers_were_taken() -> list[Patch]:
    apply = VendorView.apply
    return [(VendorView, "apply", lambda self, call, request_id, *_: apply(self, call, request_id))]


def _refused_as_a_whole() -> list[Patch]:
    def mutated(group: GroupState, refused: Batch, refusal: Refused) -> Any:
        fault = Fault("refused", refusal.code, refusal.message)
        verdicts = same_verdict_for_all(group, refused, Status.REJECTED, fault, refusal.request_id)
        return close_batch(group, refused, verdicts)

    return [(outcome, "_refused", mutated)]


def _no_records() -> list[Patch]:
    admit = delivery.admit

    def mutated(command: Any, partition: Any, facts: Any, policies: Any) -> Any:
        return admit(command, partition, replace(facts, settled={}), policies)

    return [(delivery, "admit", mutated)]


def _no_memory() -> list[Patch]:
    return [(PartitionState, "remember", lambda self, verdict, now: None)]


def _no_epoch_at_settling() -> list[Patch]:
    write = SimulatedLedger.write

    def mutated(self: SimulatedLedger, unit: Any, epoch: int, serial: int) -> Any:
        latest, self.epochs[unit.partition] = self.epochs[unit.partition], epoch
        try:
            return write(self, unit, epoch, serial)
        finally:
            self.epochs[unit.partition] = latest

    return [(SimulatedLedger, "write", mutated)]


def _only_the_last_serial_at_settling() -> list[Patch]:
    write = SimulatedLedger.write

    def mutated(self: SimulatedLedger, unit: Any, epoch: int, serial: int) -> Any:
        if self.units.get(unit.partition) != (epoch, serial):
            self.units.pop(unit.partition, None)
        return write(self, unit, epoch, serial)

    return [(SimulatedLedger, "write", mutated)]


def _no_permit_for_a_retry() -> list[Patch]:
    make = client.Caller._call_with_retries

    async def mutated(self: Any, run: Any) -> Any:
        async def granted() -> None:
            return

        self._sender._permit = granted
        return await make(self, run)

    return [(client.Caller, "_call_with_retries", mutated)]


def _no_lease_before_a_request() -> list[Patch]:
    async def mutated(self: Lease, seconds: float) -> bool:
        return not self._closed

    return [(Lease, "outlives", mutated)]


def _no_intent() -> list[Patch]:
    async def mutated(self: CallRecord, until: float) -> bool:
        return True

    return [(CallRecord, "_write_intent", mutated)]


def _absence_is_proof_at_once() -> list[Patch]:
    intent_of = outcome.intent_of_call

    def mutated(call: Any, settled_after: float) -> Any:
        return intent_of(call, 0.0)

    return [(outcome, "intent_of_call", mutated), (recording, "intent_of_call", mutated)]


def _two_calls_for_a_group() -> list[Patch]:
    add = delivery.Delivery._add

    def mutated(self: Any, command: Any, partition: Any, event: Any) -> None:
        add(self, command, partition, event)
        group = partition.groups[command.group]
        if isinstance(group.state, InFlight):
            self.table.enqueue(group)

    return [(delivery.Delivery, "_add", mutated)]


def _not_seen_through() -> list[Patch]:
    return [(Batch, "mark_attempted", lambda self: None)]


def _not_flushed() -> list[Patch]:
    write = CallRecord._write_intent

    async def mutated(self: CallRecord, until: float) -> bool:
        async def at_once() -> None:
            return

        self._wait_until_flushed = at_once
        return await write(self, until)

    return [(CallRecord, "_write_intent", mutated)]


def _no_side_record() -> list[Patch]:
    close = OpenSettlement.close

    def mutated(self: OpenSettlement) -> Any:
        unit = close(self)
        unit.partial = []
        return unit

    return [(OpenSettlement, "close", mutated)]


def _hand_over_in_flight() -> list[Patch]:
    async def mutated(self: PartitionRunner, settler: Committer) -> None:
        await settler.wait_until_idle()

    return [(PartitionRunner, "_wait_until_drained", mutated)]


def _last_in_first_out() -> list[Patch]:
    def mutated(self: Committer) -> Any:
        return self._closed_units.pop()

    # What was decided at once is a unit for itself.
    return [(Committer, "_next_unit", mutated), *((log, "unit_size", 0) for log in (OneStepLog, StepwiseLog))]


def _calls_are_not_recorded() -> list[Patch]:
    async def mutated(self: CallRecord, until: float) -> bool:
        return True

    return [(CallRecord, "_write_call", mutated)]


def _cut_before_all_is_read() -> list[Patch]:
    async def mutated(self: PartitionRunner) -> None:
        return

    return [(PartitionRunner, "wait_until_caught_up", mutated)]


def _no_sequence() -> list[Patch]:
    return [(PartitionState, "note_sequence", lambda self, command, facts: None)]


def _no_crash_counts() -> list[Patch]:
    return [(History, "with_crash", lambda self, in_hand: self)]


async def _go_on(self: PoisonGuard, in_hand: InHand) -> None:
    return


def _to_wait_is_a_step() -> list[Patch]:
    async def mutated(self: CallSteps, exchange: Any) -> Any:
        return await exchange

    return [(CallSteps, "sent", mutated), (PoisonGuard, "pause_before", _go_on)]


def _suspects_in_company() -> list[Patch]:
    return [(Precautions, "batch_length", lambda self, digests, most: min(most, self.batch_limit))]


def _the_condemned_are_tried_again() -> list[Patch]:
    return [(Precautions, "crash_count", lambda self, digest: 0)]


def _all_calls_of_a_batch_are_one() -> list[Patch]:
    return [(call_steps, "make_in_hand", lambda step, digests, place=0: InHand(step, tuple({*digests})))]


def _nothing_is_condemned() -> list[Patch]:
    return [(CrashPolicy, "max_crashes", property(lambda self: 10**6))]


def _replays_undo() -> list[Patch]:
    return [(PartitionState, "record_decisions", lambda self, group, verdicts: None)]


def _everybody_probes() -> list[Patch]:
    async def mutated(self: PermitQueue, account: str) -> bool:
        return True

    return [(PermitQueue, "_may_probe", mutated)]


def _no_probe_is_the_first() -> list[Patch]:
    return [(Breaker, "count_slots", lambda self, now, most: most)]


def _others_are_not_believed() -> list[Patch]:
    return [(Breaker, "on_notice", lambda self, notice, now, jitter: None)]


def _no_pause_when_throttled() -> list[Patch]:
    return [(Account, "_pause_throttled", lambda self, now, retry_after_s: None)]


def _a_fault_is_a_refusal() -> list[Patch]:
    take = Account.on_call_finished

    def mutated(self: Account, group: Any, outcome: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(outcome, AccountFault):
            outcome = Refused(outcome.code, outcome.message)
        return take(self, group, outcome, *rest, **more)

    return [(Account, "on_call_finished", mutated)]


def _an_outage_is_given_up() -> list[Patch]:
    return [(RetryPolicy, "is_exhausted", lambda self, first_failed_at, now: now - first_failed_at > 60)]


def _a_list_is_answered_under_its_first_id() -> list[Patch]:
    return [(results, "_digest", lambda content: "")]


def _doubt_is_no_default() -> list[Patch]:
    in_doubt = classification.is_in_doubt

    def mutated(status: int | None, known: Any = None, **more: Any) -> bool:
        # Whatever the body states is believed, and of what it does not, only a server error is not.
        return in_doubt(status, known, **more) and (status is None or (known is None and status >= 500))

    return [(classification, "is_in_doubt", mutated)]


def _a_success_counts_with_any_status() -> list[Patch]:
    return [(Answer, "is_success", True)]


def _a_create_in_doubt_is_sent_again() -> list[Patch]:
    return [(client.Caller, "_is_unrepeatable", lambda self, call, outcome: False)]


def _a_refusal_in_doubt_is_a_refusal() -> list[Patch]:
    def mutated(group: GroupState, flight: InFlight, ended: Any, policy: Any, retry: Any) -> Any:
        if isinstance(ended.outcome, Refused) and flight.call.kind is CallKind.CREATE:
            ended = replace(ended, doubt_until=None)
        return resolve(group, flight, ended, policy, retry)

    resolve = engine.resolve
    return [(engine, "resolve", mutated)]


def _a_short_page_is_the_last() -> list[Patch]:
    return [(Listing, "_is_whole", property(lambda self: True))]


def _every_total_counts_all() -> list[Patch]:
    count = Listing._update_total

    def mutated(self: Listing, total: int | None, rows: int) -> None:
        count(self, total, rows)
        self._total_counts_all = total is not None

    return [(Listing, "_update_total", mutated)]


def _the_marker_stands_at_the_end() -> list[Patch]:
    marked = batch.add_marker

    def mutated(call: Any, create: Any) -> Any:
        ours = marked(call, create)
        return replace(ours, remark=f"{call.remark or ''} [{ours.marker}]")

    return [(batch, "add_marker", mutated)]


def _a_list_with_gaps_proves_absence() -> list[Patch]:
    take = Listing.add_page

    def mutated(self: Listing, outcome: Any) -> Any:
        ended = take(self, outcome)
        return replace(ended, complete=True) if isinstance(ended, Applied) else ended

    return [(Listing, "add_page", mutated)]


def _an_unknown_code_goes_before_the_status() -> list[Patch]:
    return [(classification, "_is_decisive", lambda status: False), (running, "_FORGIVING", running._CLASSES)]


def _retry_after_is_for_429_only() -> list[Patch]:
    return [(Account, "_pause_whole_service", lambda self, now, retry_after_s: None)]


def _nothing_is_noted_of_what_waits() -> list[Patch]:
    changes = SettledIndexes.collect_changes

    def mutated(self: SettledIndexes, unit: Any, leaving: Any) -> Any:
        self._due.clear()
        return changes(self, unit, leaving)

    return [(SettledIndexes, "collect_changes", mutated)]


def _notes_outlive_their_messages() -> list[Patch]:
    changes = SettledIndexes.collect_changes

    def mutated(self: SettledIndexes, unit: Any, leaving: Any) -> Any:
        found = changes(self, unit, leaving)
        if found is not None:
            found.forgotten = []
        return found

    return [(SettledIndexes, "collect_changes", mutated)]


def _equal_messages_are_one() -> list[Patch]:
    claim = Redeliveries.match

    def mutated(self: Redeliveries, digest: str) -> Any:
        found = claim(self, digest)
        if found is not None:
            self.expect(*found)
        return found

    return [(Redeliveries, "match", mutated)]


def _what_is_in_settlements_is_worked_at_again() -> list[Patch]:
    note = Redeliveries.expect

    def mutated(self: Redeliveries, tag: str, state: Any) -> None:
        if not isinstance(state, Settling):
            note(self, tag, state)

    return [(Redeliveries, "expect", mutated)]


def _any_history_will_do() -> list[Patch]:
    return [(world, "required_history", lambda: None)]


def _a_lease_of_any_history() -> list[Patch]:
    async def mutated(self: Lease, seconds: float) -> bool:
        while not self._closed and self._expires_at - self._clock.monotonic() < seconds:
            await self._changed.wait()
        return not self._closed

    return [(Lease, "outlives", mutated), (recording, "bound_to", lambda history: bound_to(None))]


def _what_was_lost_is_believed_to_be_there() -> list[Patch]:
    return [(OwnedEpochs, "remove_missing", lambda self, kept: [])]


def _no_quiet_after_an_unknown_loss() -> list[Patch]:
    inherit = GroupTable.take_over

    def mutated(self: GroupTable, event: PartitionAcquired) -> None:
        inherit(self, replace(event, quiet_until=None))

    return [(GroupTable, "take_over", mutated)]


def _creates_are_not_suspected() -> list[Patch]:
    return [(CreationState, "suspect", lambda self, command, until: None)]


def _renames_are_forgotten() -> list[Patch]:
    return [(plan, "_rename_calls", lambda *_, **__: [])]


def _a_marker_may_go() -> list[Patch]:
    known = batch._instead_of_intent

    def mutated(group: Any, call: Any, policy: Any) -> Any:
        return None if policy.marks else known(group, call, policy)

    return [(batch, "_instead_of_intent", mutated)]


def _a_late_rename_is_harmless() -> list[Patch]:
    undoes = state.undoes

    def mutated(late: Any, call: Any) -> bool:
        renames = late.kind is call.kind is CallKind.RENAME
        return not renames and undoes(late, call)

    return [(state, "undoes", mutated)]


def _a_list_shows_the_marker() -> list[Patch]:
    return [(outcome, "strip_marker", lambda group: group)]


def _numbers_are_as_they_are_written() -> list[Patch]:
    return [(poison, "spellings", lambda plan: {})]


MUTANTS = (
    Mutant("a number has one spelling", _numbers_are_as_they_are_written),
    Mutant("a rename is carried out", _renames_are_forgotten),
    Mutant("a rename waits for one that may come late", _a_late_rename_is_harmless, 3_000),
    Mutant("a group whose marker a rename takes away is known by its id", _a_marker_may_go, 6_000),
    Mutant("a list does not show our marker", _a_list_shows_the_marker),
    Mutant("a batch settles as a whole", _half_a_batch_settles),
    Mutant("a call waits for what is in doubt", _no_fence),
    Mutant("what is in doubt is not believed", _doubtful_is_believed),
    Mutant("numbers that were not taken are told", _all_numbers_were_taken),
    Mutant("a refused batch is halved", _refused_as_a_whole),
    Mutant("a repeat is known from the ledger", _no_records),
    Mutant("a repeat is known from memory, when the look-up is older", _no_memory),
    Mutant("a stale epoch settles nothing", _no_epoch_at_settling, 2_000),
    Mutant("a settlement that comes late is not written again", _only_the_last_serial_at_settling, 3_000),
    Mutant("every request has a permit", _no_permit_for_a_retry, 2_000),
    Mutant("the lease outlives a request", _no_lease_before_a_request, 2_000),
    Mutant("an intent is recorded before a create", _no_intent),
    Mutant("absence is proof only after the signature's time", _absence_is_proof_at_once),
    Mutant("a group has one call in flight", _two_calls_for_a_group),
    Mutant("what may have taken effect is seen through", _not_seen_through),
    Mutant("settlements are written before an intent", _not_flushed, 2_000),
    Mutant("partly settled arrays have a side record", _no_side_record),
    Mutant("a hand-over waits for calls in flight", _hand_over_in_flight, 2_000),
    Mutant("settlements are written in order", _last_in_first_out),
    Mutant("a call is recorded before it is sent", _calls_are_not_recorded, 2_000),
    Mutant("nothing is cut before all that waits is read", _cut_before_all_is_read),
    Mutant("a command with a lower sequence is superseded", _no_sequence),
    Mutant("crashes are counted", _no_crash_counts),
    Mutant("what is alone in its step at the last crash is put away", _nothing_is_condemned),
    Mutant("suspects go alone", _suspects_in_company),
    Mutant("a condemned command is not tried again", _the_condemned_are_tried_again),
    Mutant("the calls of a batch are told apart", _all_calls_of_a_batch_are_one),
    Mutant("what is tried again does not undo what was decided since", _replays_undo, 1_200),
    Mutant("one worker at a time probes", _everybody_probes, 2_000),
    Mutant("an open breaker lets one call through", _no_probe_is_the_first),
    Mutant("a breaker that another worker opened is open", _others_are_not_believed),
    Mutant("who is told to wait waits", _no_pause_when_throttled),
    Mutant("a fault of the account is no command's", _a_fault_is_a_refusal),
    Mutant("an outage is not given up", _an_outage_is_given_up),
    Mutant("a list that is made again has another id", _a_list_is_answered_under_its_first_id),
    Mutant("a failure is in doubt unless it is certain", _doubt_is_no_default),
    Mutant("a success counts only with a status of success", _a_success_counts_with_any_status),
    Mutant("a create in doubt is not sent again within its call", _a_create_in_doubt_is_sent_again),
    Mutant("a create that was refused in doubt is looked for", _a_refusal_in_doubt_is_a_refusal),
    Mutant("a listing goes on until its total is found", _a_short_page_is_the_last),
    Mutant("a total that the page itself has does not end a listing", _every_total_counts_all),
    Mutant("no vendor cuts the marker off", _the_marker_stands_at_the_end),
    Mutant("a list that does not show all proves no absence", _a_list_with_gaps_proves_absence),
    Mutant("an unknown code does not go before a server error", _an_unknown_code_goes_before_the_status),
    Mutant("the time that a server error names is waited for", _retry_after_is_for_429_only),
    Mutant("what is answered and waits is noted", _nothing_is_noted_of_what_waits),
    Mutant("a note is removed before its message leaves", _notes_outlive_their_messages, 3_000),
    Mutant("a note stands for one message", _equal_messages_are_one, 3_000),
    Mutant("what a settlement has is not answered again", _what_is_in_settlements_is_worked_at_again, 3_000),
    Mutant("a cursor and an epoch hold for one history of the server", _any_history_will_do),
    Mutant("a request needs a lease of the present history", _a_lease_of_any_history, 3_000),
    Mutant("what the ledger has lost is written again", _what_was_lost_is_believed_to_be_there),
    Mutant("a create that may have been sent is looked for", _creates_are_not_suspected, 3_000),
    Mutant("no call begins while lost calls may take effect", _no_quiet_after_an_unknown_loss, 3_000),
)

WAITING = Mutant("to wait for the vendor is no step, and a suspect waits", _to_wait_is_a_step)
"""It takes many kills in a row: see `test_kills`."""
