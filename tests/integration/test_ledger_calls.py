"""Calls in doubt and sequences: what the next owner of a partition knows of the last one's calls."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from integration_rig import EPOCH, ID_REF, KEY_REF, OTHER_REF, Rig, command, doubt, intent, key
from integration_servers import SlowWay, eventually

from numbergroup.engine.calls import Call, CallKind
from numbergroup.engine.commands import Command, CommandKind, GroupRef, HandleKind, SequenceKey
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger import keys
from numbergroup.ledger.codec import decode_calls, encode_calls

CALLS = keys.of_partition(0, "calls")
WORSE = (
    b"1 1 " + b"9" * 400 + b' [["add","g1",60000,["85211111111"]]]',
    b'1 1 1700000000000 [["add","g1",60000,[["x"]]]]',
    b'1 1 1700000000000 [["add","g1",90000000000000000,["85211111111"]]]',
)
"""What could be taken for calls, and ended a worker, or held its group up for ever."""


async def known(rig: Rig) -> dict[GroupRef, list[Call]]:
    """The calls that a new owner learns of; each lasts for as long as it was recorded for, no longer."""
    found = (await rig.ledger.read_previous_owner_state(0)).doubts
    doubts = [doubt for some in found.values() for doubt in some]
    assert all(0 < doubt.until <= 61.0 for doubt in doubts)
    return {ref: [doubt.call for doubt in some] for ref, some in found.items()}


async def test_a_successor_learns_of_them(rig: Rig) -> None:
    """Of each group: what was recorded last, all of it."""
    await rig.own()
    first, second = doubt("a"), doubt("b", "c", kind=CallKind.REPLACE)
    assert await rig.record_call(ID_REF, 1, first)
    assert await rig.record_call(ID_REF, 2, first, second)
    assert await rig.record_call(KEY_REF, 3, doubt("d"))
    await rig.own("another")
    assert await known(rig) == {ID_REF: [first.call, second.call], KEY_REF: [doubt("d").call]}


async def test_time_goes_by(rig: Rig) -> None:
    """What cannot take effect any more is not told, and when nothing can, nothing is kept."""
    await rig.own()
    await rig.record_call(ID_REF, 1, doubt("a", until=999.0), doubt("b"))
    assert await known(rig) == {ID_REF: [doubt("b").call]}
    assert 60_000 < await rig.client.pttl(CALLS) <= 61_000
    await rig.record_call(KEY_REF, 2, doubt("c", until=1_002.0))
    assert 60_000 < await rig.client.pttl(CALLS) <= 61_000


async def test_what_is_over_is_removed(rig: Rig) -> None:
    """A busy partition would keep it otherwise: its key lives for as long as calls are made."""
    await rig.own()
    await rig.record_call(ID_REF, 1, doubt("a", until=1_000.01))
    await rig.record_call(KEY_REF, 2, doubt("b"))
    await rig.client.hset(CALLS, keys.group_field(OTHER_REF), "1 2 3 [")

    async def over() -> bool:
        await rig.ledger.read_previous_owner_state(0)
        return await rig.client.hkeys(CALLS) == [keys.group_field(KEY_REF).encode()]

    await eventually(over, "only what may take effect is left")


async def test_whoever_is_no_owner_records_nothing(rig: Rig) -> None:
    """A frozen worker that thaws finds out before it sends: for a create, too."""
    await rig.own()
    stale = rig.epoch
    await rig.own("another")
    before = await rig.everything()
    assert not await rig.ledger.record_call(rig.sender(ID_REF, epoch=stale), [doubt()], 1_000.0)
    assert not await rig.ledger.record_intent(rig.sender(KEY_REF, 1, "a", epoch=stale), intent())
    assert await rig.everything() == before


async def test_a_call_that_comes_late_hides_no_other(rig: Rig) -> None:
    """What is recorded of a call may be given up on its way and sent again. When it arrives after all, the
    group's next call is in doubt, and a successor must know of that one."""
    async with SlowWay(rig.url, b"EVALSHA") as way, Rig(way.url) as far:
        await far.own()
        assert await far.record_call(OTHER_REF, 1, doubt("a"))
        way.losing = True
        assert await far.record_call(ID_REF, 2, doubt("b"))
        assert await far.record_call(ID_REF, 3, doubt("c"))
        await way.deliver()
    assert await known(rig) == {OTHER_REF: [doubt("a").call], ID_REF: [doubt("c").call]}


async def test_an_intent_that_comes_late_is_not_open(rig: Rig) -> None:
    """The create was made and settled, since the intent was sent again: nothing is left of it."""
    async with SlowWay(rig.url, b"EVALSHA") as way, Rig(way.url) as far:
        log = await far.own()
        assert await far.record_call(ID_REF, 1, doubt("a"))
        way.losing = True
        assert await far.intend(KEY_REF, intent())
        await log.settle(Settlement(0, intents_done=[KEY_REF]), 1)
        await way.deliver()
    assert await rig.client.hgetall(keys.CREATES) == {}


async def test_records_of_an_earlier_life_bar_nobody(rig: Rig) -> None:
    """An operator has reset the epochs: the next owner's calls are recorded from the first on."""
    await rig.own()
    for call_id in range(1, 4):
        assert await rig.record_call(ID_REF, call_id, doubt("a"))
    await rig.client.delete(EPOCH)
    async with Rig(rig.url) as successor:
        await successor.own("another")
        assert await successor.record_call(ID_REF, 1, doubt("b"))
    assert rig.epoch == successor.epoch == 1
    assert await known(rig) == {ID_REF: [doubt("b").call]}


async def test_who_shares_an_epoch_hears_of_it(rig: Rig) -> None:
    """The epochs were set back while somebody works: of two that have the same, one may send nothing."""
    await rig.own()
    await rig.client.delete(EPOCH)
    async with Rig(rig.url) as successor:
        await successor.own("another")
        for call_id in range(1, 4):
            assert await rig.record_call(ID_REF, call_id, doubt("a"))
        assert not await successor.record_call(OTHER_REF, 1, doubt("b"))
        await successor.own("another")
        assert await successor.record_call(OTHER_REF, 1, doubt("b"))


def refs(count: int) -> list[GroupRef]:
    return [GroupRef("default", HandleKind.ID, f"g-{n}") for n in range(count)]


async def test_many_at_once(rig: Rig) -> None:
    """Calls that begin at the same moment are recorded like those that come one by one, each group's own."""
    await rig.own()
    many = refs(150)
    recorded = [rig.record_call(ref, n, doubt(f"8521{n:07d}")) for n, ref in enumerate(many)]
    stale = [rig.ledger.record_call(rig.sender(OTHER_REF, epoch=rig.epoch - 1), [doubt()], 1_000.0)]
    created = [rig.ledger.record_intent(rig.sender(KEY_REF, 999, "a", "b"), intent())]
    assert await asyncio.gather(*recorded, *stale, *created) == [True] * 150 + [False, True]
    assert await known(rig) == {ref: [doubt(f"8521{n:07d}").call] for n, ref in enumerate(many)}
    assert await rig.client.hkeys(keys.CREATES) == [keys.group_field(KEY_REF).encode()]
    assert (await rig.ledger.read_previous_owner_state(0)).attempted == {key("a"), key("b")}


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_gives_up_takes_nobody_along(rig: Rig, turns: int) -> None:
    """One of those that are recorded together is cancelled: the others are recorded still."""
    await rig.own()
    some = refs(5)
    asked = [asyncio.create_task(rig.record_call(ref, n, doubt())) for n, ref in enumerate(some)]
    for _ in range(turns):
        await asyncio.sleep(0)
    asked[0].cancel()
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert ended[1:] == [True] * 4
    assert set(await known(rig)) >= set(some[1:])


@pytest.mark.redis_server
async def test_many_cost_two_round_trips(redis_url: str) -> None:
    """The first one waits for nobody, and what comes while it is on its way goes together."""
    async with Rig(redis_url) as rig:
        await rig.client.flushall()
        await rig.own()
        await rig.record_call(ID_REF, 1, doubt())
        before = (await rig.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        await asyncio.gather(*(rig.record_call(ref, 2, doubt()) for ref in refs(40)))
        after = (await rig.client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        assert after - before == 2


async def test_settling_ends_them(rig: Rig) -> None:
    """A group none of whose calls is in doubt is forgotten, but for a call that was recorded later."""
    log = await rig.own()
    for ref in (ID_REF, KEY_REF, OTHER_REF):
        await rig.record_call(ref, 7, doubt())
    await log.settle(Settlement(0, calls_done=[(ID_REF, 7), (KEY_REF, 6), (OTHER_REF, 8)]), 1)
    assert list(await known(rig)) == [KEY_REF]


async def test_an_earlier_owners_calls_end(rig: Rig) -> None:
    """Whatever their numbers were: the new owner's begin anew."""
    await rig.own()
    await rig.record_call(ID_REF, 900, doubt())
    log = await rig.own("another")
    await log.settle(Settlement(0, calls_done=[(ID_REF, 0)]), 1)
    assert await known(rig) == {}


@pytest.mark.parametrize(
    "junk",
    [b"", b"junk", b"1 2 3 {", b"1 2 3 [[1]]", b"1 2 x []", b'1 2 3 [["add",1,2,3]]', b"1 2 3 {}", *WORSE],
)
async def test_what_cannot_be_read_is_passed_over(rig: Rig, junk: bytes) -> None:
    """Another version's calls, or junk, are reported; the others are known."""
    await rig.own()
    await rig.record_call(ID_REF, 1, doubt())
    await rig.client.hset(CALLS, keys.group_field(KEY_REF), junk)
    readable = await rig.client.hget(CALLS, keys.group_field(ID_REF))
    for field in (b"\xff", b"two\0parts", b"default\0unheard of\0g-1"):
        await rig.client.hset(CALLS, field, readable)
    assert await known(rig) == {ID_REF: [doubt().call]}


changes = st.builds(
    Call,
    st.sampled_from([CallKind.ADD, CallKind.DELETE, CallKind.REPLACE, CallKind.DELETE_GROUP]),
    st.lists(st.text()).map(tuple),
    st.none() | st.text(),
    expires_at=st.none() | st.integers(0, 4 * 10**12).map(lambda ms: ms / 1000),
)


@given(st.lists(st.tuples(changes, st.integers(101, 61_000)), min_size=1))
def test_calls_come_back_as_they_were(some: list[tuple[Call, int]]) -> None:
    """To the millisecond, on the server's clock."""
    doubts = [Doubt(call, 1_000.0 + left / 1000) for call, left in some]
    data = b"1 2 5000 " + encode_calls(doubts, 1_000.0)
    assert decode_calls(data, 5_100) == [Doubt(call, (left - 100) / 1000) for call, left in some]


def test_calls_of_an_earlier_version_come_back() -> None:
    """They say nothing of when their numbers leave the group: never."""
    old = b'1 2 5000 [["add","g-1",60000,["85211111111"]]]'
    assert decode_calls(old, 5_000) == [Doubt(Call(CallKind.ADD, ("85211111111",), "g-1"), 60.0)]


async def test_a_create_that_was_answered(rig: Rig) -> None:
    """With the group's next call goes the id of the group that it made, until the create is settled."""
    log = await rig.own()
    await rig.intend(KEY_REF, intent())
    made = CreateIntent(None, "groupA", "", 0.0, "g-7")
    create = command("a", KEY_REF, CommandKind.CREATE)
    stale = replace(rig.sender(KEY_REF, epoch=rig.epoch - 1), created_group=made)
    assert not await rig.ledger.record_call(stale, [doubt()], 1_000.0)
    assert (await rig.ledger.lookup([create])).intents == {KEY_REF: intent()}
    assert await rig.ledger.record_call(replace(rig.sender(KEY_REF), created_group=made), [doubt()], 1_000.0)
    assert (await rig.ledger.lookup([create])).intents == {KEY_REF: made}
    await log.settle(Settlement(0, intents_done=[KEY_REF]), 1)
    assert await rig.ledger.record_call(replace(rig.sender(KEY_REF), created_group=made), [doubt()], 1_000.0)
    assert (await rig.ledger.lookup([create])).intents == {}


async def test_commands_that_can_expire(rig: Rig) -> None:
    """A successor knows which of them were in a call, until they are settled, however long that takes."""
    log = await rig.own()
    await rig.ledger.record_call(rig.sender(ID_REF, 1, "a", "b"), [doubt(until=1_000.0)], 1_000.0)
    await rig.ledger.record_intent(rig.sender(KEY_REF, 2, "c"), intent())
    await rig.client.sadd(keys.of_partition(0, "attempted"), b"junk", b"\xff\0a")
    await log.settle(Settlement(0, attempts_done=[key("b"), key("d")]), 1)
    await rig.own("another")
    assert (await rig.ledger.read_previous_owner_state(0)).attempted == {key("a"), key("c")}
    assert await rig.client.ttl(keys.of_partition(0, "attempted")) == await rig.client.ttl(keys.CREATES) == -1


def sequenced(name: str, sequence: int | None, ref: GroupRef = ID_REF) -> Command:
    return replace(command(name, ref, CommandKind.ADD), sequence=sequence)


async def test_sequences(rig: Rig) -> None:
    """The last one of a source and a group is known, of those that are asked for."""
    log = await rig.own()
    mine, other = SequenceKey("test", ID_REF), SequenceKey("test", KEY_REF)
    await log.settle(Settlement(0, sequences={mine: 12, other: -3}), 1)
    await log.settle(Settlement(0, sequences={mine: 2**53 - 1}), 2)
    own = GroupRef("default", HandleKind.OWN, "test\0new")
    asked = [sequenced("a", 1), sequenced("b", 2), sequenced("c", None, KEY_REF), sequenced("d", 1, own)]
    assert (await rig.ledger.lookup(asked)).sequences == {mine: 2**53 - 1}
    assert (await rig.ledger.lookup([sequenced("e", 1, KEY_REF)])).sequences == {other: -3}
