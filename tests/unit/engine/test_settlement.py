"""Settling: verdicts become answers, records, letters and acknowledgements, as one unit."""

import json

import pytest
from engine_bench import Bench
from engine_wire import commands, entry, event, letters, read, results
from settlements import settlement_of

from numbergroup.engine.calls import Applied, Group
from numbergroup.engine.commands import Command, Entry, GroupRef, HandleKind
from numbergroup.engine.effects import Settle
from numbergroup.engine.events import LookupResult
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Fault, Refusal, Verdict
from numbergroup_contracts.results import RESULT_ADAPTER, Status

NOW = 1_800_000_000.1234
REFUSED = Fault("refused", "1002", "parameter error")


def applied(command: Command) -> Verdict:
    return Verdict(command, Status.APPLIED, "g-1", ("r1", "r2"), 3)


def rejected(command: Command) -> Verdict:
    return Verdict(command, Status.REJECTED, "g-1", ("r9",), 1, REFUSED)


def settled(*verdicts: Verdict | Refusal, reply_queues: tuple[str, ...] = ()) -> Settlement:
    return settlement_of([Settle(0, verdicts, NOW)], NOW + 1, reply_queues)


def test_a_result_says_what_became_of_the_command() -> None:
    """Status, group, requestIds and the size of the batch, under the command's own name."""
    message = entry("1-0", event("c1", correlationid="x-1", traceparent="00-aa-bb-01"))
    (result,) = results(settled(*map(applied, commands(message))))
    assert (result.data.command.id, result.data.command.source) == ("c1", "test")
    assert (result.data.status, result.data.groupId, result.subject) == (Status.APPLIED, "g-1", "g-1")
    assert (result.data.requestIds, result.data.mergedCommands) == (["r1", "r2"], 3)
    assert (result.correlationid, result.traceparent) == ("x-1", "00-aa-bb-01")


def test_alone_answered_alone_in_an_array_answered_in_an_array() -> None:
    """Commands that came alone get a reply each; those of one array that settle together share one."""
    lone, other = entry("1-0", event("c1")), entry("2-0", event("c2"))
    several, single = entry("3-0", event("c3"), event("c4")), entry("4-0", event("c5"), array=True)
    verdicts = [applied(command) for one in (lone, several, other, single) for command in commands(one)]
    shapes = [json.loads(reply.body) for reply in settled(*verdicts).replies]
    ids = [
        [one["data"]["command"]["id"] for one in shape]
        if isinstance(shape, list)
        else shape["data"]["command"]["id"]
        for shape in shapes
    ]
    assert ids == ["c1", "c2", ["c3", "c4"], ["c5"]]


def test_a_message_leaves_when_its_last_command_is_settled() -> None:
    """Until then what is settled of it is kept beside it, and what is settled is read no more."""
    message = entry("1-0", *(event(f"c{n}") for n in range(3)))
    first, second, third = commands(message)
    unit = settled(applied(second))
    assert (unit.done, unit.partial, unit.answered) == ([], [("1-0", [1])], 1)
    again = Entry(0, "1-0", message.body, settled={1})
    assert [command.key.id for command in commands(again)] == ["c0", "c2"]
    unit = settled(applied(third), applied(first))
    assert (unit.done, unit.partial, unit.answered) == (["1-0"], [], 2)


def test_a_message_that_settles_in_two_steps_of_one_unit_is_done() -> None:
    """Several settlements are one unit: a message is not both done and in part."""
    message = entry("1-0", event("c1"), event("c2"))
    steps = [Settle(0, [applied(command)], NOW) for command in commands(message)]
    unit = settlement_of(steps, NOW)
    assert (unit.done, unit.partial) == (["1-0"], [])
    assert [len(json.loads(reply.body)) for reply in unit.replies] == [2]


def test_a_repeat_gets_the_same_answer() -> None:
    """The same event, id, time, status and requestIds: from memory, from the ledger, and for a twin in the
    same message; only the correlation is the repeat's own."""
    bench = Bench()
    bench.now = NOW
    (twin, same) = commands(entry("1-0", event("c1"), event("c1")))
    bench.deliver(twin, same)
    bench.call()
    bench.answer(Applied("r1"))
    first = settlement_of(bench.settles, NOW + 5)
    ((again, record),) = first.records
    bench.settles.clear()
    bench.wait(7)
    bench.deliver(*commands(entry("2-0", event("c1", correlationid="x-2"))))
    bench.deliver(*commands(entry("3-0", event("c1"))))
    from_memory = settlement_of(bench.settles, NOW + 9)
    fresh = Bench()
    fresh.deliver(*commands(entry("4-0", event("c1"))), facts=LookupResult({again.key: record}))
    from_ledger = settlement_of(fresh.settles, NOW + 11)

    answers = [*results(first), *results(from_memory), *results(from_ledger)]
    assert len(answers) == 5
    assert answers[2].correlationid == "x-2"
    assert {answer.model_copy(update={"correlationid": None}).model_dump_json() for answer in answers} == {
        answers[0].model_dump_json()
    }
    assert from_memory.records == from_memory.dead_letters == from_ledger.records == []
    assert (from_memory.done, from_ledger.done) == (["2-0", "3-0"], ["4-0"])


def test_a_repeat_of_a_rejected_command_names_the_first_letter() -> None:
    """One letter for one command, however often it is repeated."""
    first = settled(*map(rejected, commands(entry("1-0", event("c1")))))
    ((_, record),) = first.records
    (again,) = commands(entry("2-0", event("c1")))
    unit = settled(Verdict(again, record.status, repeat_of=record))
    assert unit.dead_letters == []
    assert (
        results(unit)[0].data.deadLetterId == first.dead_letters[0].id == results(first)[0].data.deadLetterId
    )


def test_a_conflict_has_an_id_and_a_letter_of_its_own() -> None:
    """Another command under the same name: its result cannot be taken for the first one's, nor does it
    overwrite what is remembered."""
    (first,) = commands(entry("1-0", event("c1")))
    (other,) = commands(entry("2-0", event("c1", ["8522222222"])))
    (another,) = commands(entry("3-0", event("c1", ["8523333333"])))
    conflicts = [Verdict(c, Status.REJECTED, fault=REFUSED, conflict=True) for c in (other, another)]
    unit = settled(applied(first), *conflicts)
    assert len({result.id for result in results(unit)}) == 3
    assert [record.status for _, record in unit.records] == [Status.APPLIED]
    assert [letter.entry for letter in letters(unit)] == ["2-0", "3-0"]


@pytest.mark.parametrize("status", [Status.REJECTED, Status.FAILED])
def test_what_could_not_succeed_is_kept_whole(status: Status) -> None:
    """A letter says who, what, where and why; the bytes are as they arrived."""
    message = entry("1-0", event("c1", account="default"))
    (command,) = commands(message)
    unit = settled(Verdict(command, status, "g-1", ("r1",), 1, REFUSED))
    (letter,), (result,) = letters(unit), results(unit)
    assert unit.dead_letters[0].body == message.body
    assert (letter.partition, letter.entry, letter.index, letter.group) == (0, "1-0", None, "id:g-1")
    assert (letter.command.id, letter.account, letter.requestIds) == ("c1", "default", ["r1"])
    assert letter.error == result.data.error
    assert result.data.deadLetterId == letter.id


@pytest.mark.parametrize("status", [Status.APPLIED, Status.SUPERSEDED, Status.EXPIRED])
def test_what_is_no_failure_has_no_letter(status: Status) -> None:
    """Applied, superseded and expired commands are answered only."""
    (command,) = commands(entry("1-0", event("c1")))
    unit = settled(Verdict(command, status, "g-1"))
    assert unit.dead_letters == []
    assert results(unit)[0].data.status is status


def test_the_letter_of_an_event_in_an_array_has_its_own_bytes() -> None:
    """As they arrived, spaces, unknown attributes and numbers of any length included."""
    odd = b'{ "specversion":"1.0","id":"c2","source":"test","type":"numbergroup.update.v1",\
"big": 123456789012345678901234567890, "data":{"groupId":"g-1","operateType":"add","phones":["8521111111"]} }'
    body = b"[" + json.dumps(event("c1")).encode() + b" , " + odd + b" ]"
    message = Entry(0, "1-0", body)
    verdicts = [rejected(command) for command in commands(message)]
    unit = settled(*verdicts)
    assert unit.dead_letters[1].body == odd
    assert [letter.index for letter in letters(unit)] == [0, 1]


@pytest.mark.timeout(100)
def test_many_letters_of_one_array_are_written_in_reasonable_time() -> None:
    """A thousand rejected events of one message do not cost a thousand readings of the message."""
    message = entry("1-0", *(event(f"c{n}", [f"852{k:08}" for k in range(40)]) for n in range(1_000)))
    unit = settled(*map(rejected, commands(message)))
    assert len(unit.dead_letters) == 1_000
    assert len({letter.body for letter in unit.dead_letters}) == 1_000


def test_a_refusal_with_a_readable_name_is_answered_and_kept() -> None:
    """A rejected result and a letter, with what could be read."""
    (refusal,) = read(entry("1-0", event("c1", data={"phones": "none"}, account="acme", correlationid="x")))
    unit = settled(refusal)
    (result,), (letter,) = results(unit), letters(unit)
    assert (result.data.status, result.data.error.kind) == (Status.REJECTED, "invalid")
    assert (result.data.account, result.correlationid) == ("acme", "x")
    assert result.data.deadLetterId == letter.id
    assert letter.command == result.data.command
    assert unit.records == []
    assert unit.done == ["1-0"]


def test_a_refusal_without_a_name_is_kept_with_its_bytes() -> None:
    """Nobody can be answered: a letter, and the message may leave."""
    (refusal,) = read(Entry(0, "1-0", b"\xff not JSON"))
    unit = settled(refusal)
    assert unit.replies == []
    assert letters(unit)[0].command is None
    assert unit.dead_letters[0].body == b"\xff not JSON"
    assert (unit.done, unit.answered) == (["1-0"], 1)


def test_one_bad_event_does_not_keep_its_message_from_leaving() -> None:
    """Refused and carried out side by side: an array is done when all of it is."""
    message = entry("1-0", event("c1"), {"nobody": "knows"}, event("c3"))
    verdicts = [applied(item) if isinstance(item, Command) else item for item in read(message)]
    unit = settled(*verdicts)
    assert unit.done == ["1-0"]
    assert [result.data.command.id for result in results(unit)] == ["c1", "c3"]
    assert len(unit.dead_letters) == 1


def test_an_array_of_too_many_events_is_answered_in_arrays_that_are_not() -> None:
    """Replies keep to the limit that commands must keep to."""
    unit = settled(*read(entry("1-0", *(event(f"c{n}") for n in range(1_500)))))
    said = [RESULT_ADAPTER.validate_json(reply.body) for reply in unit.replies]
    assert [len(array) for array in said] == [1_000, 500]


@pytest.mark.parametrize("queue", ["replies.crm", "exact"])
def test_an_allowed_replyto_is_where_the_answer_goes(queue: str) -> None:
    """Names are allowed by pattern."""
    unit = settled(
        *map(applied, commands(entry("1-0", event("c1", replyto=queue)))), reply_queues=("replies.*", "exact")
    )
    assert [reply.queue for reply in unit.replies] == [queue]
    assert results(unit)[0].data.error is None


@pytest.mark.parametrize("queue", ["orders", "replies/../x", "EXACT"])
def test_another_replyto_is_not_written_to(queue: str) -> None:
    """The answer goes to the default queue, and says why; the command's own outcome stands."""
    unit = settled(
        *map(applied, commands(entry("1-0", event("c1", replyto=queue)))), reply_queues=("replies.*", "exact")
    )
    assert [reply.queue for reply in unit.replies] == [None]
    (result,) = results(unit)
    assert result.data.status is Status.APPLIED
    assert "replyto" in result.data.error.message


def test_a_forbidden_replyto_does_not_hide_the_reason_of_a_rejection() -> None:
    """A command's own error is more to its sender than where the answer would have gone."""
    unit = settled(*map(rejected, commands(entry("1-0", event("c1", replyto="orders")))))
    assert results(unit)[0].data.error.kind == "refused"


def test_events_of_one_array_may_be_answered_to_different_queues() -> None:
    """Each goes where it asked to, in an array of its own."""
    message = entry("1-0", event("c1"), event("c2", replyto="r.1"), event("c3", replyto="r.1"))
    unit = settled(*map(applied, commands(message)), reply_queues=("r.*",))
    assert {reply.queue: len(json.loads(reply.body)) for reply in unit.replies} == {None: 1, "r.1": 2}


def test_every_origin_of_a_joined_command_is_answered() -> None:
    """A command that came twice before it was settled: two answers, both messages done, one record."""
    (first,), (again,) = commands(entry("1-0", event("c1"))), commands(entry("2-0", event("c1")))
    first.origins.extend(again.origins)
    unit = settled(applied(first))
    assert len({reply.body for reply in unit.replies}) == 1
    assert (len(unit.replies), unit.done, len(unit.records)) == (2, ["1-0", "2-0"], 1)


def test_a_listing_is_answered_with_the_groups() -> None:
    """`groups` and `total` as the vendor gave them; a repeat is not answered from memory, without them."""
    asked = {**event("c1"), "type": "numbergroup.list.v1", "data": {}}
    (command,) = commands(entry("1-0", asked))
    group = Group("g-1", "sales", "ours", ("8521111111",))
    unit = settled(Verdict(command, Status.APPLIED, None, ("r1",), 1, groups=(group,), total=7))
    assert unit.records == []
    (result,) = results(unit)
    (listed,) = result.data.groups
    assert (listed.groupId, listed.groupName, listed.remark) == ("g-1", "sales", "ours")
    assert (listed.phones, result.data.total) == (["8521111111"], 7)
    assert "subject" not in json.loads(unit.replies[0].body)


def test_a_listing_that_is_made_again_has_its_own_event_id() -> None:
    """A consumer that drops repeats by their id never takes one content for another."""
    asked = {**event("c1"), "type": "numbergroup.list.v1", "data": {}}
    content: dict[str, set[bytes]] = {}
    for total, ids in ((7, ("r1",)), (8, ("r2",)), (8, ("r3",)), (7, ("r1",))):
        (command,) = commands(entry("1-0", asked))
        unit = settled(Verdict(command, Status.APPLIED, None, ids, 1, groups=(), total=total))
        content.setdefault(results(unit)[0].id, set()).add(unit.replies[0].body)
    assert [len(bodies) for bodies in content.values()] == [1, 1, 1]


def test_refusals_under_one_name_have_an_event_id_for_each_reason() -> None:
    """The same message again has the same id; another one, that is refused for something else, another id."""
    bodies = [event("c1", data={"phones": "none"}), event("c1", type="what"), event("c1", type="what")]
    found = [results(settled(*read(entry(f"{n}-0", body))))[0] for n, body in enumerate(bodies)]
    assert found[0].id != found[1].id == found[2].id


def test_a_group_that_is_known_by_its_key_is_named_by_it() -> None:
    """`groupKey` is in the result beside the vendor's id, and in the letter."""
    (command,) = commands(entry("1-0", event("c1", data={"groupKey": "k-1", "groupId": None})))
    unit = settled(rejected(command))
    assert results(unit)[0].data.groupKey == "k-1"
    assert letters(unit)[0].group == "key:k-1"


def test_what_the_ledger_learns_is_in_the_same_unit() -> None:
    """Bindings and closed intents are written with the answers; of two bindings the later one counts."""
    ref = GroupRef("default", HandleKind.KEY, "k-1")
    steps = [Settle(0, [], NOW, {ref: "g-1"}, [ref]), Settle(0, [], NOW, {ref: None})]
    unit = settlement_of(steps, NOW)
    assert (unit.bindings, unit.intents_done) == ({ref: None}, [ref])
