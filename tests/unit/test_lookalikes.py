"""What is published under a name that is nearly ours waits unseen: it is found, and ours is named."""

import pytest
from fakeredis import FakeAsyncRedis
from hypothesis import given, settings
from hypothesis import strategies as st

from numbergroup.brokers.lookalikes import find_on_redis, is_alike, queue_names_to_check
from numbergroup.brokers.redis.kombu_lists import LISTS
from numbergroup.ledger import keys
from numbergroup_contracts import names

MISSPELT = [
    *(
        "numbergroup:0:commands",
        "numbergroup:{7}:commands",
        "numbergroup:commands",
        "numbergroup:{0}:command",
    ),
    *(
        "numbergruop:{0}:commands",
        "NUMBERGROUP:{0}:COMMANDS",
        "numbergroup:{0}.commands",
        "number-group:commands",
    ),
    *(f"numbergroup:{{0}}:{wrong}" for wrong in ("commnads", "commads", "cmmands", "ocmmands", "commans")),
    *(
        "numbergroup.{0}.comands",
        "numbergroups:{0}:commands",
        "numbergroup.command",
        "{0}:numbergroup:commands",
    ),
]
OTHERS = [
    *(
        keys.REPLIES,
        names.REPLIES,
        keys.AUDIT,
        keys.WORKERS,
        keys.settled("0" * 32),
        keys.report("host-1-w2"),
    ),
    *(keys.of_partition(0, name) for name in ("dead-letters", "side", "calls", "crashes", "attempted")),
    *("commands", "celery", "orders:commands", "group", "numbergroup"),
]


@pytest.mark.parametrize("name", MISSPELT)
async def test_a_misspelt_stream(name: str) -> None:
    """It is found with what waits in it, and the one that was meant is named."""
    client = FakeAsyncRedis()
    await client.xadd(name, {"event": "{}"})
    (found,) = await find_on_redis(client, 2)
    assert str(found).startswith(f"no worker reads the stream {name}, which holds 1 entries: was ")
    assert names.command_stream(0) in str(found)


@pytest.mark.parametrize(
    "name", ["numbergroup:commands", "numbergroup.command", "numbergroup_commands", "numbergroup.commnads"]
)
async def test_a_misspelt_list(name: str) -> None:
    """Kombu's producers may misspell as well."""
    client = FakeAsyncRedis()
    await client.lpush(name, "{}", "{}")
    (found,) = await find_on_redis(client, 1)
    assert (found.kind, found.name, found.count, found.intended_name) == ("list", name, 2, names.COMMANDS)


async def test_our_names_are_no_mistake_whatever_they_hold() -> None:
    """What is of another type is looked for elsewhere, and ours is never the name that was meant instead."""
    client = FakeAsyncRedis()
    await client.xadd(names.COMMANDS, {"event": "{}"})
    await client.lpush(names.command_stream(0), "{}")
    assert await find_on_redis(client, 1) == []


async def test_what_is_ours_and_what_is_others() -> None:
    """Neither is taken for a mistake."""
    client = FakeAsyncRedis()
    for name in (*map(names.command_stream, range(3)), *OTHERS):
        await client.xadd(name, {"event": "{}"})
    for name in LISTS:
        await client.lpush(name, "{}")
    assert await find_on_redis(client, 3) == []
    (beyond,) = await find_on_redis(client, 2)
    assert beyond.intended_name == f"one of {names.command_stream(0)} to {names.command_stream(1)}"


@settings(deadline=None)
@given(st.integers(0, 18), st.sampled_from("xyz:"))
def test_one_wrong_letter(place: int, letter: str) -> None:
    """Wherever it is, the name is known again."""
    name = "numbergroupcommands"
    assert is_alike(name[:place] + letter + name[place + 1 :])
    assert is_alike(name[:place] + name[place + 1 :])
    assert is_alike(name[:place] + name[place : place + 2][::-1] + name[place + 2 :])


def test_queues_that_are_asked_for() -> None:
    """None of them is one of the workers' own, however many partitions there are."""
    for partitions in (1, 2, 5):
        ours = {names.command_queue(number, partitions) for number in range(partitions)}
        assert not ours & {name for name, _ in queue_names_to_check(partitions)}
