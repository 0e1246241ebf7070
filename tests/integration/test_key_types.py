"""Keys of ours that hold something else: they are found and named."""

import pytest
from integration_rig import Rig

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.key_types import mistyped_keys
from numbergroup.brokers.redis.kombu_lists import LISTS
from numbergroup.ledger import keys
from numbergroup_contracts import names

STREAM = names.command_stream(0)


async def test_nothing_is_wrong(rig: Rig) -> None:
    """Not of an empty server, nor of keys that are as a worker has them."""
    assert await mistyped_keys(rig.client, 2, ["default"]) == []
    await rig.client.xadd(STREAM, {"event": "{}"})
    await rig.client.lpush(names.COMMANDS, "{}")
    await rig.own()
    assert await mistyped_keys(rig.client, 2, ["default"]) == []


async def test_what_was_published_the_wrong_way(rig: Rig) -> None:
    """The key and the mistake are named, and where it should have been published."""
    await rig.client.lpush(STREAM, "{}")
    await rig.client.xadd(LISTS[1], {"event": "{}"})
    stream, priority = map(str, await mistyped_keys(rig.client, 1))
    assert stream.startswith(f"the key '{STREAM}' is a list and must be a stream (publish with XADD;")
    assert priority.startswith(f"the key {LISTS[1]!a} is a stream and must be a list")
    assert f"with XADD publish to {STREAM})" in priority


async def test_keys_of_the_ledger(rig: Rig) -> None:
    """Of every partition and of every account, too."""
    wrong = [keys.REPLIES, keys.of_partition(1, keys.CALLS), keys.rate("default"), keys.WORKERS]
    for key in wrong:
        await rig.client.set(key, "text")
    found = await mistyped_keys(rig.client, 2, ["default"])
    assert {one.key for one in found} == set(wrong)
    assert all(one.found == "string" for one in found)


@pytest.mark.redis_server
async def test_reading_names_the_key(redis_url: str) -> None:
    """Redis does not say which key is of the wrong type: reading and counting do."""
    named = r"WRONGTYPE .* \(the key numbergroup:\{0\}:commands\)"
    async with Rig(redis_url) as rig:
        await rig.client.flushall()
        await rig.client.lpush(STREAM, "{}")
        with pytest.raises(BrokerUnavailable, match=named):
            await (await rig.own()).read(1)
        with pytest.raises(BrokerUnavailable, match=named):
            await rig.broker.count_waiting(2)
