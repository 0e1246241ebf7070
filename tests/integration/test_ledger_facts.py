"""Looking commands up, and remembering intents: promises of `numbergroup.ledger.port.Ledger`."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integration_rig import (
    CRASHES,
    DEDUP_MS,
    EPOCH,
    FAILED,
    ID_REF,
    KEY_REF,
    LEASE,
    OTHER_REF,
    RECORDED,
    UNIT,
    Rig,
    command,
    intent,
    key,
    record,
)

from numbergroup.engine.commands import Command, CommandKey, CommandKind, GroupRef, HandleKind
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.events import LookupResult
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Fault, Record
from numbergroup.ledger import keys
from numbergroup.ledger.codec import (
    decode_intent,
    decode_record,
    encode_intent,
    encode_record,
    encode_records,
)
from numbergroup_contracts.results import Status


async def fill(rig: Rig) -> None:
    """Two records, a binding and two intents."""
    unit = Settlement(
        0, records=[(command("a"), record()), (command("b"), FAILED)], bindings={KEY_REF: "g-1"}
    )
    await (await rig.own()).settle(unit, 1)
    for ref in (KEY_REF, OTHER_REF):
        await rig.intend(ref, intent())


async def test_what_is_known(rig: Rig) -> None:
    """Of each command: its record; of groups by key: their ids; of creates: their open intents."""
    await fill(rig)
    commands = [
        command("a"),
        command("b"),
        command("c", KEY_REF),
        command("d", KEY_REF, CommandKind.CREATE),
        command("e", OTHER_REF),
    ]
    assert await rig.ledger.lookup(commands) == LookupResult(
        {key("a"): record(), key("b"): FAILED}, {KEY_REF: "g-1"}, {KEY_REF: intent()}
    )


async def test_what_is_not_known(rig: Rig) -> None:
    """Of what the ledger never heard of, nothing is said."""
    commands = [command("x"), command("y", KEY_REF), command("z", OTHER_REF, CommandKind.CREATE)]
    assert await rig.ledger.lookup(commands) == LookupResult()


async def test_what_is_known_belongs_to_no_partition(rig: Rig) -> None:
    """It holds whatever the number of partitions is, so that the number can be changed."""
    await fill(rig)
    keys_used = {name for name in await rig.client.keys() if b":{" in name}
    owners = LEASE, EPOCH, UNIT, RECORDED, CRASHES
    assert keys_used == {name.encode() for name in owners}


async def test_one_round_trip(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is asked for at once: one pipeline, and no command beside it."""
    await fill(rig)
    pipelines = []
    pipeline = rig.client.pipeline

    def counted(**how: Any) -> Any:
        pipelines.append(pipeline(**how))
        return pipelines[-1]

    async def forbidden(*_: Any, **__: Any) -> None:
        pytest.fail("a round trip of its own")

    monkeypatch.setattr(rig.client, "pipeline", counted)
    monkeypatch.setattr(rig.client, "execute_command", forbidden)
    facts = await rig.ledger.lookup([command("a"), command("c", KEY_REF, CommandKind.CREATE)])
    assert (len(facts.settled), len(facts.bindings), len(facts.intents)) == (1, 1, 1)
    assert len(pipelines) == 1


async def test_nothing_to_look_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """For no commands nothing is asked."""
    monkeypatch.setattr(rig.ledger, "_client", None)
    assert await rig.ledger.lookup([]) == LookupResult()


async def test_a_later_intent_replaces_an_earlier_one(rig: Rig) -> None:
    """A create that is sent again can take effect for longer: the last intent holds."""
    create = command("a", KEY_REF, CommandKind.CREATE)
    for until in (1.0, 1_700_000_100.25):
        await rig.intend(KEY_REF, intent(until))
    assert (await rig.ledger.lookup([create])).intents == {KEY_REF: intent(1_700_000_100.25)}


async def test_groups_without_a_key(rig: Rig) -> None:
    """Groups by id are never asked for; a create without a key has an intent of its own."""
    own = GroupRef("default", HandleKind.OWN, "test\0new")
    await rig.intend(own, intent())
    facts = await rig.ledger.lookup([command("a", ID_REF), command("new", own, CommandKind.CREATE)])
    assert facts == LookupResult(intents={own: intent()})


async def test_records_outlast_the_commands(rig: Rig) -> None:
    """The lifetime of a record is the one that the broker's adapter was made with."""
    await fill(rig)
    left_ms = await rig.client.pttl(keys.settled(key("a").digest()))
    assert DEDUP_MS - 60_000 < left_ms <= DEDUP_MS


DETAILS = st.dictionaries(st.text(), st.text(), min_size=1).map(
    lambda reasons: orjson.dumps({"new": 1, "lastInsertId": "20", "reasons": reasons})
)
"""What a vendor says, as results have it."""


@given(
    st.builds(
        Record,
        st.text(),
        st.sampled_from(Status),
        st.none() | st.text(),
        st.lists(st.text()).map(tuple),
        st.integers(0, 10**6),
        st.builds(Fault, st.text(), st.none() | st.text(), st.text()),
        st.none() | st.text(),
        st.integers(0, 4 * 10**12).map(lambda ms: ms / 1000),
        st.integers(0, 5),
        st.lists(st.text()).map(tuple),
        st.none() | DETAILS,
    )
)
def test_records_come_back_as_they_were(written: Record) -> None:
    """A repeat is answered with the very first answer, to the millisecond."""
    assert decode_record(encode_record(written)) == written


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["0123456789ab", "ba9876543210"]),
            st.sampled_from([Status.APPLIED, Status.REJECTED]),
            st.sampled_from([None, Fault("refused", "1002", "no")]),
            st.sampled_from([1_700_000_000.123, 1_700_000_000.124]),
            st.sampled_from([(), ("85212345678",)]),
            st.sampled_from([None, b'{"new":1}', b'{"new":2}']),
        ),
        max_size=8,
    )
)
def test_records_of_one_settlement_share_nothing_that_differs(drawn: list[Any]) -> None:
    """Each is what it would be alone, however much those before it have in common with it."""
    records = [
        (
            Command(
                *(CommandKey("s", f"c{n}"), "t", CommandKind.ADD, GroupRef("a", HandleKind.ID, "g"), ()),
                mark,
                [],
            ),
            Record(mark, status, "g", ("r",), 2, fault, "letter" if fault else None, at, 0, rejected, said),
        )
        for n, (mark, status, fault, at, rejected, said) in enumerate(drawn)
    ]
    alone = [(keys.settled(one.digest), encode_record(record).decode()) for one, record in records]
    assert encode_records(records) == [text for pair in alone for text in pair]


@given(
    st.builds(
        CreateIntent,
        *(st.none() | st.text(), st.none() | st.text(), st.text(), st.floats(0, 4e9), st.none() | st.text()),
    )
)
def test_intents_come_back_as_they_were(written: CreateIntent) -> None:
    """What a successor looks for is what was sent."""
    assert decode_intent(encode_intent(written)) == written


def test_keys_of_commands_do_not_run_into_each_other() -> None:
    """A source that ends like another's id begins is another command."""
    assert CommandKey("ab", "c").digest() != CommandKey("a", "bc").digest()


async def test_an_intent_that_came_to_nothing(rig: Rig) -> None:
    """Only this very intent is dropped: a later one of the same group stays."""
    await rig.own()
    creation = command("d", KEY_REF, CommandKind.CREATE)
    later = CreateIntent("ng:later", None, "digest", 99.0)
    await rig.intend(KEY_REF, later)
    await rig.ledger.delete_intent(KEY_REF, intent())
    assert (await rig.ledger.lookup([creation])).intents == {KEY_REF: later}
    await rig.ledger.delete_intent(KEY_REF, later)
    assert (await rig.ledger.lookup([creation])).intents == {}


async def test_a_record_that_cannot_be_read(rig: Rig) -> None:
    """Another version's record, or junk, is no answer: the command counts as never settled."""
    await fill(rig)
    await rig.client.set(keys.settled(key("a").digest()), b"junk")
    facts = await rig.ledger.lookup([command("a"), command("b")])
    assert facts.settled == {key("b"): FAILED}
