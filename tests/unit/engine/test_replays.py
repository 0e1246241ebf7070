"""Replays: a letter that is tried again acts as if it stood where it first stood."""

from dataclasses import replace as but
from random import Random

import pytest
from engine_bench import Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete, delete_group, replace
from engine_strategies import NUMBERS, memberships, updates
from engine_wire import letters, results
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import ModelVendor, OneByOne
from profiles import examples
from replay_office import Office, nothing

from numbergroup.engine.calls import CallKind, Refused
from numbergroup.engine.commands import Command, CommandKey, CommandKind, GroupRef
from numbergroup.engine.events import LookupResult
from numbergroup.engine.partition import state
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.replays import LaterWrites
from numbergroup.engine.verdicts import Record
from numbergroup_contracts.results import Status


def lettered(*commands: Command, members: str = "", ref: GroupRef = BY_ID) -> Office:
    """All of them were refused; the vendor has mended since."""
    office = Office(ref, members, vendor=ModelVendor(poison=NUMBERS))
    office.publish(*commands)
    office.work()
    assert set(office.statuses.values()) == {"rejected"}
    office.vendor.poison = ()
    return office


@examples(300)
@given(
    st.data(),
    memberships,
    updates(),
    updates(),
    st.sampled_from(NUMBERS),
    st.lists(st.sampled_from(["publish", "stale", "again", "again", "step", "write", "turn"]), max_size=20),
)
def test_it_stands_where_it_first_stood(
    data: st.DataObject,
    members: set[str],
    early: list[Command],
    late: list[Command],
    poison: str,
    steps: list[str],
) -> None:
    """Whatever fails and is tried again, in any order, while more commands come: the group ends as if all
    that was carried out in the end had been, one by one, each in its first place."""
    late = [but(one, key=CommandKey("test", f"later-{one.key.id}")) for one in late]
    order = {command.key.id: place for place, command in enumerate([*early, *late])}
    for command in [*early, *late]:
        # Of what is refused, nothing may have been done with another command's call before.
        if command.kind is CommandKind.DELETE and poison in command.numbers:
            command.numbers = (poison,)
    office = Office(BY_ID, members, vendor=ModelVendor(poison=poison))
    office.publish(*early)
    office.work()
    waiting, facts = list(late), office.facts(BY_ID)
    for step in steps:
        if step == "publish" and waiting:
            office.publish(waiting.pop(0))
        elif step == "stale" and waiting:
            office.publish(waiting.pop(0), facts=facts)
        elif step == "write":
            # What waits was looked up before.
            facts = office.facts(BY_ID)
            office.write()
        elif step == "again" and office.letters:
            meanwhile = data.draw(st.sampled_from([office.step, nothing]))
            office.again(data.draw(st.sampled_from(sorted(office.letters))), meanwhile)
        elif step == "turn":
            office.vendor.poison = data.draw(st.sampled_from([poison, ""]))
        else:
            office.step()
    office.publish(*waiting)
    office.work()
    office.vendor.poison = ()
    for name in data.draw(st.permutations(sorted(office.letters))):
        if data.draw(st.booleans()):
            office.again(name)
        if data.draw(st.booleans()):
            office.work()
    office.work()
    expected = OneByOne.starting_with(BY_ID, members)
    done = [one for one in [*early, *late] if office.statuses[one.key.id] in ("applied", "superseded")]
    expected.apply_all(sorted(done, key=lambda one: order[one.key.id]))
    assert office.vendor.members("g-1") == expected.groups[BY_ID]
    assert len(done) + len(office.letters) == len(order)
    assert sum(office.book.lettered.values()) == len(office.letters)
    assert bool(office.book.since) <= bool(office.letters)


def test_a_number_that_was_decided_since_is_left_out() -> None:
    """A stale replay does not undo a newer command: of what it asks for only the rest is done."""
    office = lettered(add("c1", "ab"))
    office.publish(delete("c2", "a"))
    office.work()
    office.again("c1")
    office.work()
    assert office.vendor.members("g-1") == {"b"}
    assert office.vendor.calls[-1].numbers == ("b",)
    assert office.statuses == {"c1": "applied", "c2": "applied"}


def test_nothing_is_left_of_it() -> None:
    """All of its numbers were decided since: superseded, and no call."""
    office = lettered(add("c1", "ab"))
    office.publish(delete("c2", "abc"))
    office.work()
    calls = len(office.vendor.calls)
    office.again("c1")
    office.work()
    assert (office.statuses["c1"], len(office.vendor.calls)) == ("superseded", calls)
    assert not office.book.lettered
    assert not office.book.since


def test_a_replace_since_has_decided_everything() -> None:
    """Whatever numbers it had."""
    office = lettered(add("c1", "ab"), replace("c2", "e"), delete("c3", "d"))
    office.publish(replace("c4", "d"))
    office.work()
    for name in ("c3", "c1", "c2"):
        office.again(name)
    office.work()
    assert office.vendor.members("g-1") == {"d"}
    assert {office.statuses[name] for name in ("c1", "c2", "c3")} == {"superseded"}


def test_a_replace_keeps_what_was_decided_since() -> None:
    """Its own numbers without those that were deleted since, and those that were added."""
    office = lettered(replace("c1", "abc"), members="f")
    office.publish(add("c2", "d"), delete("c3", "ae"))
    office.work()
    office.again("c1")
    office.work()
    assert office.vendor.members("g-1") == {"b", "c", "d"}
    assert office.statuses["c1"] == "applied"


def test_what_waits_in_the_mailbox_came_later() -> None:
    """It is not settled yet, and decides all the same, also when it is cut apart from the replay."""
    office = lettered(add("c1", "ab"))
    office.publish(delete("c2", "a"), delete("c3", "f"))
    office.vendor.poison = "f"
    office.again("c1")
    office.work()
    assert office.statuses == {"c1": "applied", "c2": "applied", "c3": "rejected"}
    assert office.vendor.members("g-1") == {"b"}


def test_what_came_later_and_failed_decides_nothing() -> None:
    """A refused command is as if it had not been."""
    office = lettered(add("c1", "ab"))
    office.publish(delete("c2", "af"))
    office.vendor.poison = "f"
    office.again("c1")
    office.work()
    assert (office.statuses["c2"], office.vendor.members("g-1")) == ("rejected", {"a", "b"})


def test_what_is_settled_while_it_is_looked_up() -> None:
    """The look-up may be older than a settlement: what was decided in between is known all the same."""
    office = lettered(add("c1", "ab"))
    office.publish(delete("c2", "a"))
    office.bench.call()
    office.again("c1", meanwhile=office.step)
    assert not office.bench.flights, "the delete was answered before the replay came"
    office.work()
    assert office.vendor.members("g-1") == {"b"}


def test_by_force() -> None:
    """With force nothing is left out: it acts as a new command, and is remembered as one."""
    office = lettered(add("c1", "ab"), add("c2", "f"))
    office.publish(replace("c3", "d"))
    office.work()
    office.again("c1", force=True)
    office.work()
    assert office.vendor.members("g-1") == {"a", "b", "d"}
    assert office.statuses["c1"] == "applied"
    office.again("c2")
    office.work()
    assert office.statuses["c2"] == "superseded"


@pytest.mark.parametrize("since", [add("n1", "e"), replace("n1", "e")])
def test_deleting_a_group_that_was_changed_since(since: Command) -> None:
    """It would undo what was decided since: superseded."""
    office = Office(BY_ID, "a")
    office.publish(delete_group("c1"))
    kept = Refused("1002", "the group is in use")
    office.bench.run(
        lambda call: kept if call.kind is CallKind.DELETE_GROUP else office.vendor.carry_out(call)
    )
    office.write()
    office.publish(since)
    office.work()
    office.again("c1")
    office.work()
    assert office.statuses["c1"] == "superseded"
    assert "e" in office.vendor.members("g-1")


def test_creating_a_group_that_was_created_since() -> None:
    """Another create has decided everything."""
    office = Office(BY_KEY, None, vendor=ModelVendor(poison="a"))
    office.publish(create("c1", "ab"), create("c2", "b"))
    office.work()
    assert office.statuses == {"c1": "rejected", "c2": "applied"}
    office.again("c1")
    office.work()
    assert office.statuses["c1"] == "superseded"
    assert len(office.vendor.groups) == 1


def test_one_that_fails_again_keeps_its_history() -> None:
    """A new letter, in the old place: how often it was tried, when it failed first, and how."""
    office = lettered(add("c1", "ab"))
    ((old, before),) = office.book.letters.values()
    office.bench.wait(60)
    office.vendor.poison = "a"
    office.again("c1")
    office.work()
    ((order, letter),) = office.book.letters.values()
    first, again = (one for unit in office.units for one in letters(unit))
    assert letter.id != before.id
    assert order == old
    assert (first.replays, first.attempts, first.history) == (0, 1, [])
    assert (again.replays, again.attempts, again.firstTime) == (1, 2, first.firstTime)
    assert [(one.time, one.error) for one in again.history] == [(first.time, first.error)]
    assert again.time > first.time
    assert sum(office.book.lettered.values()) == 1


def test_every_replay_has_an_answer_of_its_own() -> None:
    """Consumers drop what comes twice under one id: a replay's result has another."""
    office = lettered(add("c1", "a"))
    office.vendor.poison = "a"
    office.again("c1")
    office.work()
    office.vendor.poison = ()
    office.again("c1")
    office.work()
    answers = [answer for unit in office.units for answer in results(unit)]
    assert [answer.data.status for answer in answers] == ["rejected", "rejected", "applied"]
    assert len({answer.id for answer in answers}) == 3


def test_a_replay_is_no_repeat_of_what_failed() -> None:
    """Its own record answers it, when it comes again after a crash; that of fewer replays does not."""
    office = lettered(add("c1", "a"))
    tried = office.again("c1")
    office.work()
    ((again, record),) = office.units[-1].records
    assert (record.status, record.replays) == (Status.APPLIED, 1)
    fresh = Bench()
    tried.origins[0].entry.settled = frozenset()
    fresh.deliver(tried, facts=LookupResult({again.key: record}))
    assert [(one.repeat_of, one.status) for one in fresh.verdicts.values()] == [(record, Status.APPLIED)]


def test_a_repeat_of_what_was_tried_again() -> None:
    """It gets the last answer, as a repetition of that: never another answer under the id of the first."""
    office = lettered(add("c1", "a"))
    office.again("c1")
    office.work()
    office.publish(add("c1", "a"))
    office.work()
    rejected, applied, repeated = (answer for unit in office.units for answer in results(unit))
    assert (rejected.data.status, applied.data.status) == ("rejected", "applied")
    assert repeated == applied


def test_a_repeat_while_it_is_tried_again() -> None:
    """Its producer's repetition gets the first answer still, and does not wait."""
    office = lettered(add("c1", "a"))
    office.again("c1")
    first = Record(office.commands["c1"].fingerprint, Status.REJECTED, "g-1", (), 1, None, "l", 1.0)
    office.bench.deliver(add("c1", "a"), facts=LookupResult({CommandKey("test", "c1"): first}))
    assert office.bench.verdicts["c1"].status is Status.REJECTED
    office.work()
    assert office.vendor.members("g-1") == {"a"}


def test_groups_without_letters_write_nothing_down() -> None:
    """What is decided is noted only where it may matter."""
    office = Office(BY_ID, "")
    office.publish(add("c1", "a"), delete("c2", "b"))
    office.work()
    assert [unit.decisions for unit in office.units] == [[]]


def test_memory_of_lettered_groups_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It forgets the oldest ones, but none of whose commands still wait: they were looked up before."""
    monkeypatch.setattr(state, "_DEAD_LETTERED_KEPT", 10)
    partition = PartitionState()
    bench = Bench()
    bench.deliver(add("c1", "a"))
    (engine_memory,) = bench.engine._groups.partitions.values()
    partition.groups = engine_memory.groups
    refs = [BY_ID, *(BY_ID._replace(name=f"g-{n}") for n in range(2, 40))]
    for ref in refs:
        partition.note_dead_letters([ref])
    assert len(partition.with_dead_letters) == 10
    assert BY_ID in partition.with_dead_letters


said = st.tuples(st.sampled_from(NUMBERS), st.booleans(), st.integers(0, 9))


@given(st.lists(said, unique_by=lambda one: (one[0], one[2])), st.randoms())
def test_what_was_decided_since_is_heard_in_any_order(
    decided: list[tuple[str, bool, int]], random: Random
) -> None:
    """The latest word on a number counts, whenever it is heard."""
    since, shuffled = LaterWrites(), LaterWrites()
    since.add(-1, sorted(decided, key=lambda one: one[2]))
    random.shuffle(decided)
    for one in decided:
        shuffled.add_all(LaterWrites(-1, {one[0]: one[1:]}))
    assert since == shuffled
