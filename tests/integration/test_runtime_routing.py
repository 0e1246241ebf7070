"""Commands in the wrong partition are refused, with words that help, and forgotten."""

from typing import Any

import orjson
import pytest
from integration_rig import event
from integration_servers import eventually
from integration_stage import Stage

from numbergroup.ledger import keys
from numbergroup.runtime.routing import partition_by_handle
from numbergroup_contracts.names import partition_of
from numbergroup_contracts.results import RESULT_ADAPTER

PORTS: dict[str, Any] = {"partitions": 2, "partition_of": partition_by_handle(2)}
HERE = next(f"g-{n}" for n in range(99) if partition_of(f"g-{n}", 2) == 0)
THERE = next(f"g-{n}" for n in range(99) if partition_of(f"g-{n}", 2) == 1)


@pytest.fixture
def url(embedded_url: str) -> str:
    """One broker is enough: routing is the runtime's."""
    return embedded_url


async def publish(stage: Stage, partition: int, *bodies: bytes) -> None:
    for body in bodies:
        await stage.client.xadd(keys.commands(partition), {"event": body})


async def statuses(stage: Stage, count: int) -> list[tuple[str, str]]:
    async def enough() -> bool:
        left = [await stage.client.xlen(keys.commands(number)) for number in range(2)]
        return len(await stage.results()) == count and not any(left)

    await eventually(enough, f"{count} results")
    return await stage.results()


async def letters(stage: Stage, partition: int) -> list[tuple[Any, bytes]]:
    rows = await stage.client.xrange(keys.of_partition(partition, keys.DEAD_LETTERS))
    return [(orjson.loads(fields[b"letter"]), fields[b"body"]) for _, fields in rows]


async def test_published_to_the_wrong_partition(stage: Stage) -> None:
    """It is rejected and dead-lettered, with both partitions and the setting in the message; nothing is
    sent. Under the same id it is carried out in the right partition afterwards."""
    command = event("c-1", THERE)
    async with stage.worker(ports=PORTS):
        await publish(stage, 0, command)
        assert await statuses(stage, 1) == [("c-1", "rejected")]
        assert stage.arrived == 0
        result: Any = RESULT_ADAPTER.validate_json((await stage.replies())[0])
        error = result.data.error
        assert error.kind == "misrouted"
        assert "to partition 0, " in error.message
        assert "in partition 1 of 2" in error.message
        assert "NUMBERGROUP_PARTITIONS" in error.message
        ((letter, body),) = await letters(stage, 0)
        assert (letter["error"]["kind"], letter["id"], body) == (
            "misrouted",
            result.data.deadLetterId,
            command,
        )

        await publish(stage, 1, command)
        assert (await statuses(stage, 2))[1] == ("c-1", "applied")
    first, second = [orjson.loads(reply) for reply in await stage.replies()]
    assert first["id"] != second["id"]
    assert stage.members(THERE) == {"85211111114"}


async def test_in_an_array(stage: Stage) -> None:
    """Those of an array that belong there are carried out, each of the others is kept by itself."""
    events = [event("c-1", HERE), event("c-2", THERE), event("c-3", HERE, phones="85211111115")]
    events.append(event("c-4", THERE))
    async with stage.worker(ports=PORTS):
        await publish(stage, 0, b"[" + b",".join(events) + b"]")
        assert sorted(await statuses(stage, 4)) == [
            ("c-1", "applied"),
            ("c-2", "rejected"),
            ("c-3", "applied"),
            ("c-4", "rejected"),
        ]
    assert [body for _, body in await letters(stage, 0)] == [events[1], events[3]]


async def test_a_repeat_in_the_wrong_partition(stage: Stage) -> None:
    """What was settled is answered with its first result wherever it is repeated; another command under its
    id is a conflict."""
    async with stage.worker(ports=PORTS):
        await publish(stage, 1, event("c-1", THERE))
        await statuses(stage, 1)
        await publish(stage, 0, event("c-1", THERE), event("c-1", THERE, phones="85211111119"))
        await statuses(stage, 3)
    first, repeat, other = [orjson.loads(reply) for reply in await stage.replies()]
    assert first == repeat
    assert other["data"]["error"]["kind"] == "conflict"
    assert stage.arrived == 1


async def test_without_a_handle(stage: Stage) -> None:
    """A list, or a create without a key, may be in any partition."""
    wanted = {"specversion": "1.0", "source": "test", "type": "numbergroup.list.v1", "data": {}}
    async with stage.worker(ports=PORTS):
        for partition in range(2):
            await publish(stage, partition, orjson.dumps({**wanted, "id": f"c-{partition}"}))
        assert sorted(await statuses(stage, 2)) == [("c-0", "applied"), ("c-1", "applied")]


async def test_whoever_routes_is_trusted(stage: Stage) -> None:
    """Where the broker chooses the partition, by whatever hash, that is where a group belongs."""
    async with stage.worker(ports={"partitions": 2}):
        await publish(stage, 0, event("c-1", THERE))
        assert await statuses(stage, 1) == [("c-1", "applied")]
