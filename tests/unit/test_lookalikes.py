"""Streams, lists and queues with misspelled names are found, with the names that were probably meant."""

import pytest
from fakeredis import FakeAsyncRedis
from hypothesis import given, settings
from hypothesis import strategies as st

from numbergroup.brokers.lookalikes import find_on_redis, is_alike, queue_names_to_check
from numbergroup.brokers.redis.kombu_lists import LISTS
from numbergroup.ledger import keys
from numbergroup_contracts import names

MISSPELLED = [
    "numbergroup:0:commands",
    "numbergroup:{7}:commands",
    "numbergroup:commands",
    "numbergroup:{0}:command",
    "numbergruop:{0}:commands",
    "NUMBERGROUP:{0}:COMMANDS",
    "numbergroup:{0}.commands",
    "number-group:commands",
    *(f"numbergroup:{{0}}:{wrong}" for wrong in ("commnads", "commads", "cmmands", "ocmmands", "commans")),
    "numbergroup.{0}.comands",
    "numbergroups:{0}:commands",
    "numbergroup.command",
    "{0}:numbergroup:commands",
]
OTHERS = [
    keys.REPLIES,
    names.REPLIES,
    keys.AUDIT,
    keys.WORKERS,
    keys.settled("0" * 32),
    keys.report("host-1-w2"),
    *(keys.of_partition(0, name) for name in ("dead-letters", "side", "calls", "crashes", "attempted")),
    "commands",
    "celery",
    "orders:commands",
    "group",
    "numbergroup",
]


@pytest.mark.parametrize("name", MISSPELLED)
async def test_a_misspelled_stream(name: str) -> None:
    """The text has the number of entries, and the name that was meant."""
    client = FakeAsyncRedis()
    await client.xadd(name, {"event": "{}"})
    (found,) = await find_on_redis(client, 2)
    assert str(found).startswith(f"no worker reads the stream {name}, which holds 1 entries: was ")
    assert names.command_stream(0) in str(found)


@pytest.mark.parametrize(
    "name", ["numbergroup:commands", "numbergroup.command", "numbergroup_commands", "numbergroup.commnads"]
)
async def test_a_misspelled_list(name: str) -> None:
    client = FakeAsyncRedis()
    await client.lpush(name, "{}", "{}")
    (found,) = await find_on_redis(client, 1)
    assert (found.kind, found.name, found.count, found.intended_name) == ("list", name, 2, names.COMMANDS)


async def test_correct_names_of_another_type() -> None:
    """A key with the name of a queue or stream is not misspelled, whatever its type is."""
    client = FakeAsyncRedis()
    await client.xadd(names.COMMANDS, {"event": "{}"})
    await client.lpush(names.command_stream(0), "{}")
    assert await find_on_redis(client, 1) == []


async def test_names_that_are_not_misspelled() -> None:
    """Neither the worker's own keys nor those of other programs are found; streams of more partitions are."""
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
def test_one_wrong_letter(position: int, letter: str) -> None:
    """A name with one letter replaced, left out or swapped is similar, at any position."""
    name = "numbergroupcommands"
    assert is_alike(name[:position] + letter + name[position + 1 :])
    assert is_alike(name[:position] + name[position + 1 :])
    assert is_alike(name[:position] + name[position : position + 2][::-1] + name[position + 2 :])


def test_queue_names_to_check() -> None:
    """None of them is a queue of the workers, however many partitions there are."""
    for partitions in (1, 2, 5):
        ours = {names.command_queue(number, partitions) for number in range(partitions)}
        assert not ours & {name for name, _ in queue_names_to_check(partitions)}
