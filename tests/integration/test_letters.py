"""Dead letters as operators have them, in the ledger: what changes, what is counted; nothing is lost."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from dead_letters_written import group_field, letter, since_key, update, write
from integration_rig import Rig

from numbergroup.engine.commands import Command
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger import keys
from numbergroup.ledger.dead_letters.changing import Action, LetterChanger, ReplayMove
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.portable import decode_line, encode_line
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.dead_letters.replay import encode_replay, read_command, target_partition
from numbergroup.ledger.dead_letters.replay import group_field as field_of
from numbergroup.ledger.port import LedgerUnavailable

FIELD = group_field("id:g-1")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
COUNTED = "numbergroup:dead-letters:count"


async def post(rig: Rig, *letters: dict[str, Any], start: int = 1) -> None:
    pipe = rig.client.pipeline(transaction=True)
    for serial, one in enumerate(letters, start):
        write(pipe, one, f"1763717401483-{serial}")
    await pipe.execute()


async def everything(rig: Rig, **how: Any) -> list[Letter]:
    return [one async for one in LetterReader(rig.client).scan(**how)]


def moved(one: Letter, partitions: int = 1) -> ReplayMove:
    command = read_command(one, Intake(), NOW)
    assert isinstance(command, Command)
    replay = encode_replay(one, command, force=False)
    return ReplayMove(one, target_partition(command, one, partitions), one.body, replay, field_of(command))


async def audit(rig: Rig) -> list[tuple[str, str, Any]]:
    rows = await rig.client.xrange(keys.AUDIT)
    return [(f[b"who"].decode(), f[b"action"].decode(), orjson.loads(f[b"detail"])) for _, f in rows]


async def test_a_replay(rig: Rig) -> None:
    """The letter goes to the side log of its group's partition with all that the worker has to know; the
    counters say so, but for `lettered`: its group has it still."""
    await post(rig, letter("a", order=5 << 20), letter("b", order=6 << 20, group="key:k"))
    a, b = await everything(rig)
    action = Action("ann@desk", "replay", {"kind": "refused"})
    assert await LetterChanger(rig.client).replay(action, [moved(a, 4), moved(b, 4)]) == [True, True]

    assert await everything(rig) == []
    left = {key for key in await rig.client.keys() if b"dead-letters" in key}
    assert left == {b"numbergroup:dead-letters:partitions", keys.of_partition(0, keys.DEAD_LETTERS).encode()}
    assert await rig.client.hgetall(keys.DEAD_LETTER_GROUPS) == {
        FIELD.encode(): b"1",
        group_field("key:k").encode(): b"1",
    }
    (entry,) = await rig.client.xrange(keys.of_partition(moved(a, 4).partition, keys.REPLAYS))
    replay = orjson.loads(entry[1][b"replay"])
    assert entry[1][b"event"] == a.body
    assert replay == {
        "letter": "0-a-0",
        "replays": 1,
        "order": 5 << 20,
        "group": FIELD,
        "firstTime": "2026-11-21T09:30:01.483Z",
        "attempts": 1,
        "history": [
            {
                "time": "2026-11-21T09:30:01.483Z",
                "error": {"kind": "refused", "code": "1002", "message": "parameter error"},
            }
        ],
        "force": False,
        "via": {"listed": False, "replyTo": None, "correlationId": None, "traceparent": None},
    }
    detail = {"kind": "refused", "count": 2, "ids": ["0-a-0", "0-b-0"]}
    assert await audit(rig) == [("ann@desk", "replay", detail)]


async def test_two_operators_at_once(rig: Rig) -> None:
    """What one has replayed or discarded is gone for the other: nothing happens twice, and both are told."""
    await post(rig, letter("a"), letter("b"), letter("c"))
    letters = await everything(rig)
    changer = LetterChanger(rig.client)
    assert await changer.discard(Action("ann", "discard"), letters[:1]) == [True]
    second = Action("bob", "replay")
    assert await changer.replay(second, [moved(one) for one in letters[:2]]) == [False, True]
    assert await changer.replay(second, [moved(one) for one in letters]) == [False, False, True]
    assert await rig.client.xlen(keys.of_partition(0, keys.REPLAYS)) == 2
    assert await audit(rig) == [
        ("ann", "discard", {"count": 1, "ids": ["0-a-0"]}),
        ("bob", "replay", {"count": 2, "ids": ["0-b-0", "0-c-0"]}),
    ]
    assert await rig.client.hget(keys.DEAD_LETTER_GROUPS, FIELD) == b"2"


async def test_the_last_letter_of_a_group(rig: Rig) -> None:
    """With the last one that is discarded, nobody has to remember what was decided since."""
    await post(rig, letter("a"), letter("b"))
    await rig.client.hset(since_key(FIELD), "85211111114", "-1048577")
    a, b = await everything(rig)
    changer = LetterChanger(rig.client)
    await changer.discard(Action("ann", "discard"), [a])
    assert await rig.client.exists(since_key(FIELD), keys.DEAD_LETTER_GROUPS) == 2
    await changer.discard(Action("ann", "discard"), [b])
    assert (
        await rig.client.exists(since_key(FIELD), keys.DEAD_LETTER_GROUPS, keys.FINGERPRINTS, keys.SHAPES)
        == 0
    )


async def test_letters_of_an_earlier_version(rig: Rig) -> None:
    """They are found by their id, though no index has them, and no counter is changed for them; once replayed
    they count as their group's, as the worker expects."""
    await post(rig, letter("old", order=None, fingerprint=None), letter("new"))
    reader, changer = LetterReader(rig.client), LetterChanger(rig.client)
    found = await reader.find(["0-old-0", "0-new-0", "0-none-0"])
    assert found.keys() == {"0-old-0", "0-new-0"}
    await changer.replay(Action("ann", "replay"), [moved(found["0-old-0"])])
    assert await rig.client.get(COUNTED) == b"1"
    assert await rig.client.hget(keys.DEAD_LETTER_GROUPS, FIELD) == b"2"
    (entry,) = await rig.client.xrange(keys.of_partition(0, keys.REPLAYS))
    replay = orjson.loads(entry[1][b"replay"])
    assert (replay["order"], replay["replays"], replay["attempts"], replay["group"]) == (0, 1, 1, FIELD)


async def test_an_edit(rig: Rig) -> None:
    """The letter keeps its id, its order and what it was; the group that it leaves is not watched for it any
    more, the one that it enters is from now on."""
    await post(rig, letter("a"))
    (one,) = await everything(rig)
    described = orjson.loads(one.description) | {"group": "key:k"}
    fields = {**one.fields, b"body": update("a", "key:k"), b"original": one.body}
    fields[b"letter"] = orjson.dumps(described)
    edited = Letter(0, one.entry, fields)
    changer = LetterChanger(rig.client)
    assert await changer.edit(Action("ann", "edit"), one, edited, 1_700_000_000_000)
    assert not await changer.edit(Action("bob", "edit"), one, edited, 1_700_000_000_000)

    (found,) = (await LetterReader(rig.client).find(["0-a-0"])).values()
    assert (found.body, found.original, found.order) == (update("a", "key:k"), one.body, one.order)
    assert found.watched_ms == 1_700_000_000_000
    assert await rig.client.hgetall(keys.DEAD_LETTER_GROUPS) == {group_field("key:k").encode(): b"1"}
    assert await rig.client.get(COUNTED) == b"1"
    assert [action for who, action, _ in await audit(rig)] == ["edit"]
    assert await changer.replay(Action("ann", "replay"), [moved(found)]) == [True]
    (entry,) = await rig.client.xrange(keys.of_partition(0, keys.REPLAYS))
    assert (entry[1][b"event"], entry[1][b"original"]) == (update("a", "key:k"), one.body)


async def test_there_and_back(rig: Rig) -> None:
    """What is exported, discarded and imported is what it was, byte by byte, and so are the counters; only
    that its group was not watched meanwhile is known."""
    junk = letter("b", body=b"\xff\x00[", group=None, account=None, fingerprint="ba9876543210", order=7 << 20)
    await rig.client.set(keys.SETTLEMENTS, 9)
    await post(rig, letter("a"), junk)
    before = await rig.everything()
    letters = await everything(rig)
    reader, changer = LetterReader(rig.client), LetterChanger(rig.client)
    lines = [
        encode_line(one, "here", await reader.read_raw_shape(one.details.fingerprint or ""))
        for one in letters
    ]
    arrivals = [decode_line(line, "here") for line in lines]
    assert await changer.add(Action("ann", "import"), arrivals, 1) == [False, False]
    await changer.discard(Action("ann", "discard"), letters)
    assert await changer.add(Action("ann", "import"), arrivals, 1_700_000_000_000) == [True, True]
    assert await changer.add(Action("ann", "import"), arrivals, 1) == [False, False]

    back = await everything(rig)
    watched = {b"watched": b"1700000000000"}
    assert [one.fields for one in back] == [{**letters[0].fields, **watched}, letters[1].fields]
    after = await rig.everything()
    for counted in (
        COUNTED,
        keys.FINGERPRINTS,
        keys.SHAPES,
        keys.DEAD_LETTER_GROUPS,
        keys.DEAD_LETTER_PARTITIONS,
    ):
        assert after.get(counted.encode()) == before.get(counted.encode())
    assert (await reader.find(["0-b-0"]))["0-b-0"].body == b"\xff\x00["


async def test_letters_from_another_ledger(rig: Rig) -> None:
    """Their order means nothing here: nothing that was decided before they came counts as decided since."""
    await rig.client.set(keys.SETTLEMENTS, 41)
    elsewhere = [encode_line(one, "there", None) for one in (_letter("a", 3 << 20), _letter("b", 99 << 20))]
    arrivals = [decode_line(line, "here") for line in elsewhere]
    await LetterChanger(rig.client).add(Action("ann", "import"), arrivals, 1)
    assert [one.order for one in await everything(rig)] == [42 << 20, (42 << 20) + 1]


def _letter(name: str, order: int) -> Letter:
    one = letter(name, order=order)
    fields = {
        b"id": one["described"]["id"].encode(),
        b"letter": orjson.dumps(one["described"]),
        b"body": one["body"],
        b"order": str(order).encode(),
    }
    return Letter(0, "1-1", fields)


async def test_reading_in_order(rig: Rig) -> None:
    """All letters of all partitions, also of those that are no more, either way round; what comes while they
    are read is not among them."""
    await rig.client.set("numbergroup:partitions", 2)
    for serial, partition in enumerate((0, 5, 1, 0, 5, 5), 1):
        await post(rig, letter(f"c-{serial}", partition=partition), start=serial)
    wanted = [f"{partition}-c-{n}-0" for n, partition in enumerate((0, 5, 1, 0, 5, 5), 1)]
    assert [one.id for one in await everything(rig, newest_first=True)] == wanted[::-1]
    seen = []
    async for one in LetterReader(rig.client).scan():
        await post(rig, letter(f"later-{len(seen)}"), start=100 + len(seen))
        seen.append(one.id)
    assert seen == wanted


async def test_more_than_a_page(rig: Rig) -> None:
    """However many, and however large some are."""
    await post(rig, *(letter(f"c-{n}", body=b"x" * (500_000 if n % 100 == 7 else 9)) for n in range(600)))
    assert [one.id for one in await everything(rig)] == [f"0-c-{n}-0" for n in range(600)]
    assert [one.id for one in await everything(rig, newest_first=True)] == [
        f"0-c-{n}-0" for n in reversed(range(600))
    ]


@pytest.mark.parametrize("counter", [COUNTED, keys.FINGERPRINTS, keys.DEAD_LETTER_GROUPS, keys.SHAPES])
async def test_junk_in_a_counter(rig: Rig, counter: str) -> None:
    """It keeps no letter from being replayed, and loses none."""
    await post(rig, letter("a"), letter("b"))
    await rig.client.delete(counter)
    await rig.client.rpush(counter, "junk")
    a, b = await everything(rig)
    changer = LetterChanger(rig.client)
    assert await changer.replay(Action("ann", "replay"), [moved(a)]) == [True]
    assert await changer.discard(Action("ann", "discard"), [b]) == [True]
    assert await rig.client.xlen(keys.of_partition(0, keys.REPLAYS)) == 1


@pytest.mark.parametrize("key", [keys.AUDIT, "numbergroup:{0}:side"])
async def test_junk_where_letters_go(rig: Rig, key: str) -> None:
    """Then nothing is changed, not even in part."""
    await post(rig, letter("a"), letter("b"))
    await rig.client.set(key, "junk")
    letters = await everything(rig)
    before = await rig.everything()
    with pytest.raises(LedgerUnavailable, match="is no stream"):
        await LetterChanger(rig.client).replay(Action("ann", "replay"), [moved(one) for one in letters])
    assert await rig.everything() == before


async def test_entries_that_are_no_letters(rig: Rig) -> None:
    """What somebody else wrote into the stream can be seen, found and discarded like a letter."""
    await rig.client.xadd(keys.of_partition(0, keys.DEAD_LETTERS), {"note": "hello"}, id="77-1")
    await rig.client.xadd(
        keys.of_partition(0, keys.DEAD_LETTERS), {"id": b"\xff", "letter": b"[", "order": "-3"}, id="78-1"
    )
    await rig.client.hset("numbergroup:{0}:dead-letters:index", "0-a-0", "no entry's id")
    reader = LetterReader(rig.client)
    nameless, broken = await everything(rig)
    assert (nameless.id, nameless.details.error.kind, nameless.ref) == ("entry:0:77-1", "unknown", None)
    assert (broken.order, broken.details.error.kind) == (None, "unknown")
    assert (await reader.find(["entry:0:77-1"]))["entry:0:77-1"] == nameless
    changer = LetterChanger(rig.client)
    assert await changer.discard(Action("ann", "discard"), [nameless, broken]) == [True, True]
    assert await everything(rig) == []


@pytest.mark.redis_server
async def test_memory_that_is_full(open_redis: Any) -> None:
    """Letters can be replayed and discarded still: that is what makes room."""
    async with Rig(open_redis().url) as rig:
        await post(rig, letter("a"), letter("b"), letter("c"))
        a, b, _ = await everything(rig)
        changer = LetterChanger(rig.client)
        await changer.discard(Action("x", "discard"), [])
        await rig.client.config_set("maxmemory", 1)
        assert await changer.replay(Action("ann", "replay"), [moved(a)]) == [True]
        assert await changer.discard(Action("ann", "discard"), [b]) == [True]
        with pytest.raises(LedgerUnavailable):
            await changer.add(Action("ann", "import"), [decode_line(encode_line(a, "x", None), "x")], 1)
        assert [one.id for one in await everything(rig)] == ["0-c-0"]
