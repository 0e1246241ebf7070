"""Letters in the ledger: counted where they are written, and what is decided while there are some."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integration_replays import ID_REF, INDEX, LETTERS, REPLAYS, SHAPE, decided, letter, replay, replayed
from integration_rig import FAILED, KEY_REF, Rig, command, record

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.engine.commands import CommandKind, GroupRef, HandleKind
from numbergroup.engine.replays import LaterWrites
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Record
from numbergroup.ledger import keys
from numbergroup.ledger.codec import decode_record, encode_record

FIELD = keys.group_field(ID_REF)
SINCE = keys.since(FIELD)
STEP = 2**20


async def since(rig: Rig) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = await rig.client.hgetall(SINCE)
    return found


async def test_a_letter_is_counted_everywhere(rig: Rig) -> None:
    """By id, partition, fingerprint and group; its order tells who was settled before it."""
    log = await rig.own()
    own = GroupRef("default", HandleKind.OWN, "test\0c")
    some = [
        letter("a", position=1),
        letter("b", KEY_REF, 2),
        letter("c", None, 3),
        letter("d", None, 4, order=5),
    ]
    assert own not in [one.group for one in some]
    await log.settle(Settlement(0, dead_letters=some[:3]), 1)
    await log.settle(
        Settlement(0, dead_letters=[*some[3:], letter("e", position=1, original=b"first\xff")]), 2
    )
    rows = dict(await rig.client.xrange(LETTERS))
    index = await rig.client.hgetall(INDEX)
    assert {name: rows[place][b"id"] for name, place in index.items()} == {name: name for name in index}
    orders = {fields[b"id"]: int(fields[b"order"]) for fields in rows.values()}
    assert orders == {b"a": STEP + 1, b"b": STEP + 2, b"c": STEP + 3, b"d": 5, b"e": 2 * STEP + 1}
    originals = {fields[b"id"]: fields.get(b"original") for fields in rows.values()}
    assert originals == {b"a": None, b"b": None, b"c": None, b"d": None, b"e": b"first\xff"}
    assert await rig.client.smembers(keys.DEAD_LETTER_PARTITIONS) == {b"0"}
    assert await rig.client.get(keys.DEAD_LETTER_COUNT) == b"5"
    assert await rig.client.hgetall(keys.FINGERPRINTS) == {b"f00dfeed0001": b"5"}
    assert await rig.client.hgetall(keys.SHAPES) == {b"f00dfeed0001": SHAPE}
    assert await rig.client.hgetall(keys.DEAD_LETTER_GROUPS) == {
        FIELD.encode(): b"2",
        keys.group_field(KEY_REF).encode(): b"1",
    }


async def test_equal_messages(rig: Rig) -> None:
    """On RabbitMQ messages with equal bytes share the letter's id. They have one letter for each reason,
    however often it is written, and each is counted once; the first keeps the name that results go by."""
    log = await rig.own()
    other = "f00dfeed0002"
    await log.settle(Settlement(0, dead_letters=[letter("a"), letter("a", position=2)]), 1)
    for serial in (2, 3):
        await log.settle(
            Settlement(0, dead_letters=[letter("a"), letter("a", position=3, reason=other)]), serial
        )
    rows = [fields for _, fields in await rig.client.xrange(LETTERS)]
    names = [fields[b"id"].decode() for fields in rows]
    assert names == ["a", f"a.{other}"]
    assert [int(fields[b"order"]) for fields in rows] == [STEP + 1, 2 * STEP + 3]
    assert [orjson.loads(fields[b"letter"])["id"] for fields in rows] == names
    assert {name.decode() for name in await rig.client.hkeys(INDEX)} == set(names)
    assert await rig.client.get(keys.DEAD_LETTER_COUNT) == b"2"
    assert await rig.client.hget(keys.DEAD_LETTER_GROUPS, FIELD) == b"2"
    assert await rig.client.hgetall(keys.FINGERPRINTS) == {b"f00dfeed0001": b"1", other.encode(): b"1"}


@pytest.mark.parametrize("junk", [b"", b"+", b"no entry", b"1-1"])
async def test_an_index_that_was_overwritten(rig: Rig, junk: bytes) -> None:
    """Whatever the index has for a letter, the unit is settled."""
    log = await rig.own()
    await log.settle(Settlement(0, dead_letters=[letter("a")]), 1)
    await rig.client.hset(INDEX, "a", junk)
    await log.settle(Settlement(0, dead_letters=[letter("a")], records=[]), 2)
    assert await rig.client.xlen(LETTERS) in (1, 2)


async def test_without_letters_nothing_is_counted(rig: Rig) -> None:
    """What is decided of groups that have none is not noted, and a unit without either leaves no trace."""
    log = await rig.own()
    await log.settle(Settlement(0), 1)
    assert not await rig.client.exists(keys.SETTLEMENTS)
    await log.settle(Settlement(0, decisions=[decided("852", 1)]), 2)
    assert await since(rig) == {}


async def test_what_is_decided_of_a_lettered_group(rig: Rig) -> None:
    """The last word on each number, with its order; in the letter's own unit, too."""
    log = await rig.own()
    unit = Settlement(0, dead_letters=[letter("a", position=2)])
    unit.decisions += [decided("1", 1), decided("2", 3), decided("3", 4, present=False)]
    unit.decisions += [decided("9", 4, ref=KEY_REF)]
    await log.settle(unit, 1)
    await log.settle(Settlement(0, decisions=[decided("2", 1, present=False)]), 2)
    step, two = b"%d", 2 * STEP + 1
    assert await since(rig) == {
        b"1": b"+%d" % (STEP + 1),
        b"2": b"-%d" % two,
        b"3": b"-" + step % (STEP + 4),
    }
    assert not await rig.client.exists(keys.since(keys.group_field(KEY_REF)))


async def test_who_decides_everything_decides_every_number(rig: Rig) -> None:
    """What was said before does not matter any more; what one that is tried again says does not outdo it."""
    log = await rig.own()
    first = Settlement(
        0, dead_letters=[letter("a")], decisions=[decided("1", 2), decided(None, 3), decided("2", 3)]
    )
    await log.settle(first, 1)
    assert await since(rig) == {b"*": b"%d" % (STEP + 3), b"2": b"+%d" % (STEP + 3)}
    old = decided(None, 1)
    again = [type(old)(ID_REF, None, True, 1, order=7), type(old)(ID_REF, "2", False, 1, order=7)]
    await log.settle(Settlement(0, decisions=again), 2)
    assert await since(rig) == {b"*": b"%d" % (STEP + 3), b"2": b"+%d" % (STEP + 3)}


async def test_more_decisions_than_are_kept(rig: Rig) -> None:
    """They are one for all numbers then: what stood before is not tried any more, and nothing is undone."""
    log = await rig.own()
    await log.settle(Settlement(0, dead_letters=[letter("a")]), 1)
    for start in range(0, 200_000, 20_000):
        await rig.client.hset(SINCE, mapping={str(n): "+1" for n in range(start, start + 20_000)})
    await log.settle(Settlement(0, decisions=[decided("0", 1)]), 2)
    assert await rig.client.hlen(SINCE) == 200_000
    await log.settle(Settlement(0, decisions=[decided("one more", 1), decided("1", 2)]), 3)
    assert await since(rig) == {b"*": b"%d" % (3 * STEP + 2)}


async def test_a_letter_more_before_one_less(rig: Rig) -> None:
    """One that fails again in the unit that ends its replay: what was decided since stays."""
    log = await rig.own()
    await log.settle(Settlement(0, dead_letters=[letter("a")], decisions=[decided("1", 2)]), 1)
    tag = await replay(rig.client, b"x")
    await log.settle(Settlement(0, dead_letters=[letter("b", order=STEP + 1)], replayed=[(tag, FIELD)]), 2)
    assert await rig.client.hget(keys.DEAD_LETTER_GROUPS, FIELD) == b"1"
    assert await since(rig) == {b"1": b"+%d" % (STEP + 2)}


@pytest.mark.parametrize("junk", ["nan", "-5", "inf", "1e30", "9007199254740993", "0x1F", " 7", "1.5"])
async def test_a_count_of_settlements_that_is_none(rig: Rig, junk: str) -> None:
    """Whatever Lua might take for a number: orders stay whole, grow, and JSON can carry them."""
    log = await rig.own()
    await log.settle(Settlement(0, dead_letters=[letter("a")]), 1)
    await rig.client.set(keys.SETTLEMENTS, junk)
    await log.settle(Settlement(0, dead_letters=[letter("b")]), 2)
    await log.settle(Settlement(0, dead_letters=[letter("c")]), 3)
    orders = [int(fields[b"order"]) for _, fields in await rig.client.xrange(LETTERS)]
    assert orders == sorted(set(orders))
    assert orders[-1] < 2**53


@pytest.mark.parametrize("name", [keys.DEAD_LETTER_COUNT, keys.SETTLEMENTS])
async def test_counts_that_are_no_numbers(rig: Rig, name: str) -> None:
    """Junk there is put right, not stumbled over; the order of things still grows."""
    log = await rig.own()
    await log.settle(Settlement(0, dead_letters=[letter("a")]), 1)
    await rig.client.set(name, "junk")
    await rig.client.hset(keys.FINGERPRINTS, "f00dfeed0001", "junk")
    await rig.client.hset(keys.DEAD_LETTER_GROUPS, FIELD, "junk")
    await log.settle(Settlement(0, dead_letters=[letter("b")]), 2)
    orders = [int(fields[b"order"]) for _, fields in await rig.client.xrange(LETTERS)]
    assert orders == sorted(orders)
    assert len(set(orders)) == 2
    assert orders[-1] < 2**53
    assert await rig.client.hget(keys.DEAD_LETTER_GROUPS, FIELD) == b"1"
    assert (await rig.client.get(name)).isdigit()


async def test_decisions_under_a_key_that_is_something_else(rig: Rig) -> None:
    """What was decided before is lost: nothing that stood before may be done over it."""
    log = await rig.own()
    await log.settle(Settlement(0, dead_letters=[letter("a")]), 1)
    await rig.client.rpush(SINCE, "junk")
    await log.settle(Settlement(0, decisions=[decided("1", 4)]), 2)
    at = b"%d" % (2 * STEP + 4)
    assert await since(rig) == {b"*": at, b"1": b"+" + at}


@pytest.mark.parametrize(
    "name", [INDEX, keys.DEAD_LETTER_GROUPS, keys.FINGERPRINTS, keys.DEAD_LETTER_PARTITIONS]
)
async def test_a_key_of_letters_that_is_something_else(rig: Rig, name: str) -> None:
    """Nothing is written, until it is put right; units without letters are none the worse."""
    log = await rig.own()
    await rig.client.rpush(name, "not ours")
    await log.settle(Settlement(0, records=[(command("z"), record())]), 1)
    before = await rig.everything()
    with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
        await log.settle(Settlement(0, dead_letters=[letter("a")]), 2)
    assert await rig.everything() == before
    await rig.client.delete(name)
    await log.settle(Settlement(0, dead_letters=[letter("a")]), 2)
    assert await rig.client.xlen(LETTERS) == 1


async def test_looking_up_which_groups_are_lettered(rig: Rig) -> None:
    """Of those that are asked for; from the first letter on, and until the last one is gone."""
    commands = [command("x"), command("y", KEY_REF)]
    assert (await rig.ledger.lookup(commands)).with_dead_letters == frozenset()
    log = await rig.own()
    await log.settle(Settlement(0, dead_letters=[letter("a")]), 1)
    for _ in range(2):
        assert (await rig.ledger.lookup(commands)).with_dead_letters == {ID_REF}
    await log.settle(Settlement(0, replayed=[(await replay(rig.client, b"x"), FIELD)]), 2)
    for _ in range(2):
        assert (await rig.ledger.lookup(commands)).with_dead_letters == frozenset()


async def test_looking_up_what_was_decided_since(rig: Rig) -> None:
    """Of the numbers of a command that is tried again, or of all where it depends on all."""
    log = await rig.own()
    unit = Settlement(0, dead_letters=[letter("a")])
    unit.decisions += [decided(None, 2), decided("1", 3), decided("2", 4, present=False)]
    await log.settle(unit, 1)
    some = await rig.ledger.lookup([replayed("x", "1", "3"), command("y", KEY_REF)])
    assert some.later_writes == {ID_REF: LaterWrites(STEP + 2, {"1": (True, STEP + 3)})}
    assert some.with_dead_letters == {ID_REF}
    for kind in (CommandKind.REPLACE, CommandKind.DELETE_GROUP):
        every = await rig.ledger.lookup([replayed("x", "1"), replayed("y", "3", kind=kind)])
        assert every.later_writes == {
            ID_REF: LaterWrites(STEP + 2, {"1": (True, STEP + 3), "2": (False, STEP + 4)})
        }
    nowhere = GroupRef("default", HandleKind.OWN, "test\0x")
    listing = replayed("x", kind=CommandKind.LIST, ref=nowhere)
    assert (await rig.ledger.lookup([listing])).later_writes == {}


async def test_decisions_that_cannot_be_read(rig: Rig) -> None:
    """Junk decides nothing, and hides nothing else."""
    await rig.client.hset(keys.DEAD_LETTER_GROUPS, FIELD, 1)
    await rig.client.hset(SINCE, mapping={"1": "junk", "2": "+7", "*": "x", b"\xff": "-3"})
    facts = await rig.ledger.lookup([replayed("x", kind=CommandKind.REPLACE)])
    assert facts.later_writes == {ID_REF: LaterWrites(-1, {"2": (True, 7), "\ufffd": (False, 3)})}


@given(st.integers(0, 2**31), st.booleans(), st.lists(st.text()).map(tuple))
def test_how_often_it_was_tried_again_is_remembered(
    replays: int, failed: bool, rejected: tuple[str, ...]
) -> None:
    """With or without an error, and numbers that were not taken, beside it; records of earlier versions have
    none."""
    fault = None if not failed else decode_record(encode_record(FAILED)).fault
    letter = "l" if failed else None
    said = Record(
        *("f", FAILED.status, "g", ("r",), 1, fault, letter, 1_700_000_000.25, replays, rejected),
    )
    assert decode_record(encode_record(said)) == said


def test_records_of_earlier_versions() -> None:
    """They are read as what was never tried again."""
    plain = decode_record(b'["f1","applied","g-1",["r"],3,1700000000500]')
    fault = decode_record(b'["f1","rejected",null,[],1,1700000000500,["refused","1002","no"],"0-1-0"]')
    assert (plain.replays, plain.status.value, plain.dead_letter_id) == (0, "applied", None)
    assert (plain.rejected, fault.rejected) == ((), ())
    assert (fault.replays, fault.fault.code, fault.dead_letter_id) == (0, "1002", "0-1-0")


def test_side_is_beside_the_commands() -> None:
    """In the same hash slot: both are read at once."""
    assert REPLAYS.startswith("numbergroup:{0}:")
