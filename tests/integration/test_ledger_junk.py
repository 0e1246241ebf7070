"""A ledger that somebody else wrote into: junk is told, harms one group at most, and ends no worker."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from integration_brokers import OnRabbit, Place
from integration_brokers import read as read_all
from integration_rig import CREATES, GROUP_KEYS, KEY_REF, PARTIAL, Rig, command, event, key
from integration_stage import Stage
from structlog.testing import capture_logs

from numbergroup.engine.commands import Command, CommandKind, Entry, GroupRef, HandleKind, SequenceKey
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.engine.verdicts import Record, Refusal
from numbergroup.ledger import keys
from numbergroup.ledger.codec import decode_group_id, decode_intent, decode_marks, decode_record
from numbergroup.ledger.port import LedgerUnavailable

JUNK = {
    "not UTF-8": b"\xff\xfe\x00",
    "empty": b"",
    "NUL": b"\0",
    "not JSON": b"junk",
    "cut off": b'["ng:1","groupA',
    "a number": b"7",
    "null": b"null",
    "an object": b'{"0":1}',
    "a text": b'"abcd"',
    "numbers": b"[1,2,3,4]",
    "arrays": b"[[],[],[],[]]",
    "too few": b'["ng:1"]',
    "too many": b'["ng:1",null,"d",1.5,1,1,1,1,1]',
    "nested": b"[" * 100_000,
    "10^30": b"[" + b"9" * 30 + b"]",
}
NO_MARKS = JUNK | {
    "beyond the end": b"[5]",
    "before the start": b"[-1]",
    "some beyond": b"[0,7]",
    "true": b"[true]",
}
ID_NOT_UTF_8 = b"g-\xff"


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def errors(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs if line["log_level"] == "error"]


def create(name: str, group_key: str) -> bytes:
    data = {"groupKey": group_key, "groupName": group_key, "phones": "85211111114"}
    return _event(name, "create", data)


def by_key(name: str, group_key: str) -> bytes:
    return _event(name, "update", {"groupKey": group_key, "operateType": "add", "phones": "85235753351"})


def _event(name: str, kind: str, data: dict[str, Any]) -> bytes:
    attributes = {"specversion": "1.0", "id": name, "source": "test", "type": f"numbergroup.{kind}.v1"}
    return orjson.dumps(attributes | {"data": data})


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_no_junk_raises(junk: bytes, logs: list[Any]) -> None:
    """Records, intents and marks that cannot be read are none; of records and marks the log says so."""
    assert decode_record(junk) is None
    assert decode_intent(junk) is None
    marks = decode_marks({b"1-1": junk})
    assert marks == ({"1-1": {1, 2, 3, 4}} if junk == b"[1,2,3,4]" else {})
    assert len(errors(logs)) == (1 if marks else 2)
    assert decode_group_id(junk) is None or junk.decode().encode() == junk


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers(-9, 2**64 - 1) | st.floats(0, 1e300) | st.text(), st.lists, max_leaves=12
    ).map(lambda value: json.dumps(value).encode())
)
@example(b'["f","applied",null,[],1,1e300]')
@example(b'["f","applied",null,[],' + b"9" * 30 + b",1]")
@example(b'["f","applied",null,[],1,999999999999999999]')
@example(b'["f","applied",null,[],1,-1]')
@example(b'["f","applied",null,"ab",1,1]')
@example(b'["f","rejected",null,[],1,1,["kind",null],"x"]')
@example(b'[1,"applied",null,[],1,1]')
@example(b'[null,null,"d",1e308]')
@example(b"[-1]")
@example(b"[true]")
def test_what_can_be_read_can_be_used(data: bytes) -> None:
    """Whatever lies there: what is taken for a record, an intent or a mark has the types of one."""
    record = decode_record(data)
    if record is not None:
        assert isinstance(record, Record)
        assert isinstance(record.fingerprint, str)
        assert all(isinstance(one, str) for one in record.request_ids)
        assert record.group_id is None or isinstance(record.group_id, str)
        assert orjson.dumps(record.merged)
        assert datetime.fromtimestamp(record.settled_at, UTC).year < 10_000
    intent = decode_intent(data)
    if intent is not None:
        assert isinstance(intent, CreateIntent)
        assert isinstance(intent.request_expires_at, float)
        assert isinstance(intent.numbers_digest, str)
    for indexes in decode_marks({b"\xff": data, b"1-1": data}).values():
        assert all(type(index) is int and index >= 0 for index in indexes)


async def test_a_group_id_that_is_no_text(rig: Rig, logs: list[Any]) -> None:
    """It is not taken for "no such group": the key is reported as one that cannot be read."""
    await rig.own()
    await rig.client.hset(GROUP_KEYS, keys.group_field(KEY_REF), ID_NOT_UTF_8)
    facts = await rig.ledger.lookup([command("a", KEY_REF), command("b", KEY_REF, CommandKind.CREATE)])
    assert (facts.bindings, facts.unreadable) == ({}, {KEY_REF})
    (told,) = [line for line in logs if line["log_level"] == "error"]
    assert (told["key"], told["group"]) == (GROUP_KEYS, KEY_REF.name)


async def test_an_intent_that_is_none(rig: Rig, logs: list[Any]) -> None:
    """It is not taken for "never sent"; the name of a group without a key is nobody's to read."""
    own = GroupRef("default", HandleKind.OWN, "test\0new")
    for ref in (KEY_REF, own):
        await rig.client.hset(CREATES, keys.group_field(ref), b"junk")
    creates = [command("a", KEY_REF, CommandKind.CREATE), command("b", own, CommandKind.CREATE)]
    facts = await rig.ledger.lookup(creates)
    assert (facts.intents, facts.unreadable) == ({}, {KEY_REF, own})
    assert [line.get("group") for line in logs if line["log_level"] == "error"] == [KEY_REF.name, None]


async def test_a_group_whose_entry_cannot_be_read(stage: Stage) -> None:
    """Its commands fail, each with its answer and its letter; no second group is made, other groups go on,
    and when somebody has mended the entry the key is what it was."""
    async with stage.worker():
        await stage.publish(create("c-1", "k-1"))
        await stage.answered(1)
    field = keys.group_field(GroupRef("default", HandleKind.KEY, "k-1"))
    whole = await stage.client.hget(GROUP_KEYS, field)
    await stage.client.hset(GROUP_KEYS, field, ID_NOT_UTF_8)
    async with stage.worker("next"):
        await stage.publish(by_key("c-2", "k-1"), create("c-3", "k-1"), create("c-4", "k-2"), event("c-5"))
        results = dict(await stage.answered(5))
        assert results == {
            "c-1": "applied",
            "c-2": "failed",
            "c-3": "failed",
            "c-4": "applied",
            "c-5": "applied",
        }
        letters = await stage.client.xrange(keys.of_partition(0, keys.DEAD_LETTERS))
        assert [fields[b"body"] for _, fields in letters] == [by_key("c-2", "k-1"), create("c-3", "k-1")]
        assert {orjson.loads(fields[b"letter"])["error"]["kind"] for _, fields in letters} == {"unavailable"}
        assert stage.arrived == 3
        await stage.client.hset(GROUP_KEYS, field, whole)
        await stage.publish(by_key("c-6", "k-1"))
        assert (await stage.answered(6))[-1] == ("c-6", "applied")


async def test_a_create_whose_intent_cannot_be_read(stage: Stage) -> None:
    """An earlier worker may have sent it: it fails rather than being sent a second time."""
    field = keys.group_field(GroupRef("default", HandleKind.KEY, "k-1"))
    await stage.client.hset(CREATES, field, b'{"marker":"ng:1"}')
    async with stage.worker():
        await stage.publish(create("c-1", "k-1"), create("c-2", "k-2"))
        assert dict(await stage.answered(2)) == {"c-1": "failed", "c-2": "applied"}
    assert stage.arrived == 1
    assert await stage.client.hexists(CREATES, field)


async def test_what_the_worker_knows_itself_goes_first(stage: Stage) -> None:
    """A key that this worker bound is what it was for it, whatever the ledger says since."""
    async with stage.worker():
        await stage.publish(create("c-1", "k-1"))
        await stage.answered(1)
        await stage.client.hset(
            GROUP_KEYS, keys.group_field(GroupRef("default", HandleKind.KEY, "k-1")), b"\xff"
        )
        await stage.publish(by_key("c-2", "k-1"))
        assert await stage.answered(2) == [("c-1", "applied"), ("c-2", "applied")]


@pytest.mark.parametrize("junk", NO_MARKS.values(), ids=NO_MARKS)
async def test_marks_that_cannot_be_read(stage: Stage, junk: bytes) -> None:
    """Nothing of the message counts as settled: all of it is taken in again, and then it is over."""
    ids = ("c-1", "c-2")
    events = [event(one, group=one) for one in ids]
    (tag,) = await stage.publish(b"[" + b",".join(events) + b"]")
    await stage.client.hset(PARTIAL, mapping={tag: junk, b"\xff\xfe": junk})
    async with stage.worker():
        assert dict(await stage.answered(2)) == dict.fromkeys(ids, "applied")


async def test_marks_that_cannot_be_read_on_rabbitmq(on_rabbit: OnRabbit) -> None:
    """The same for what RabbitMQ delivers again."""
    place: Place = on_rabbit
    log = await place.own()
    await place.publish(b"[1,2]", b"[3]")
    first, second = await read_all(log, 2)
    await log.settle(Settlement(0, replies=[Reply(None, b"r")], partial=[(first.tag, [0])]), 1)
    await log.close()
    await place.client.hset(PARTIAL, mapping={first.tag: b"junk", b"\xff\xfe": b"[0]"})
    log = await place.own("another")
    again = await read_all(log, 2)
    assert [(entry.body, entry.settled) for entry in again] == [(b"[1,2]", set()), (b"[3]", set())]
    await log.close()
    assert second.body == b"[3]"


@pytest.mark.parametrize("settled", [{0, 3}, {3}, {0, 1, 2}, {7, 8, 9}])
def test_marks_of_another_message(settled: set[int]) -> None:
    """Marks that name what the message has not, or all of it, are not its own: with them it would leave
    the broker too early, or never."""
    events = [event(f"c-{n}") for n in range(3)]
    tag, body = "1-1", b"[" + b",".join(events) + b"]"
    for events_as_they_are in (body, body.replace(b'"add"', b'"ad"', 1)):
        entry = Entry(0, tag, events_as_they_are, settled=set(settled))
        items = Intake().read(entry)
        assert len(items) == entry.total == 3
        assert entry.settled == set()
        assert all(isinstance(item, Command | Refusal) for item in items)


async def test_records_that_look_like_records(stage: Stage) -> None:
    """A record that could not be answered with is none: the command is carried out."""
    for number, junk in enumerate(
        (b'["f","applied",null,[],1,1e300]', b'[7,"applied",null,[],1,1]', b"\xff")
    ):
        name = f"c-{number}"
        await stage.client.set(keys.settled(key(name).digest()), junk)
        await stage.publish(event(name, group=name))
    async with stage.worker():
        assert dict(await stage.answered(3)) == {"c-0": "applied", "c-1": "applied", "c-2": "applied"}


async def test_a_sequence_that_is_no_number(rig: Rig, logs: list[Any]) -> None:
    """No command is taken for a late one because of it."""
    sequenced = command("a", KEY_REF)
    sequenced.sequence = 7
    await rig.client.set(keys.sequence(SequenceKey("test", KEY_REF)), b"\xffmany")
    assert (await rig.ledger.lookup([sequenced])).sequences == {}
    assert len(errors(logs)) == 1


@pytest.mark.parametrize("junk", [b"\xff", b"many", b"", b"1e3", b"-1", b"1.5"])
async def test_a_number_of_partitions_that_is_none(rig: Rig, junk: bytes) -> None:
    """Nobody guesses where the commands are: the ledger cannot be used until somebody has mended it."""
    await rig.client.set(keys.PARTITIONS, junk)
    if junk:
        with pytest.raises(LedgerUnavailable, match=keys.PARTITIONS):
            await rig.ledger.read_partition_count()
    with pytest.raises(LedgerUnavailable, match=keys.PARTITIONS):
        await rig.ledger.register("me", 1, 10.0)


async def test_an_owner_that_is_no_text(rig: Rig) -> None:
    """It is somebody else."""
    await rig.client.set(keys.of_partition(0, "lease"), b"\xff\xfe")
    (owner,) = await rig.ledger.read_owners(1)
    assert owner not in (None, "me")
