"""Redis servers that come back without their last writes: a power cut, a failover, a deleted stream."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from fault_proxy import FaultProxy
from integration_rig import LEASE, event
from integration_servers import RedisServer, eventually
from integration_stage import Stage
from redis import Redis

from numbergroup.ledger import keys

pytestmark = pytest.mark.redis_server

NUMBER, OTHER = "85211111111", "85222222222"
ADD, DELETE = event("c-1", phones=NUMBER), event("c-2", operation="delete", phones=NUMBER)
BOTH_APPLIED = [("c-1", "applied"), ("c-2", "applied")]
FAR_AHEAD = "9999999999999-0"
_PATIENT_S = 8.0
"""A call whose answer is late stays in doubt: what comes after it waits then."""


async def restart_worker(stage: Stage) -> None:
    """Let another worker start, and work until it has looked at everything that is left."""
    async with stage.worker("next") as running:
        await stage.publish(event("last", group="g-9"))
        await running.owns()
        await stage.answered(len(await stage.results()) + 1)


async def test_the_last_writes_are_lost(open_redis: Any) -> None:
    """A command whose settlement was lost lies below what the worker has read: it is not passed by, and
    cannot overtake a later one after the next start."""
    server = open_redis(durable=True)
    async with Stage(server.url) as stage:
        stage.gate.opened.clear()
        async with stage.worker(timeout_s=_PATIENT_S):
            await stage.publish(ADD)
            await stage.calls_waiting(1)
            before = server.written()
            stage.gate.opened.set()
            await stage.answered(1)
            server.lose_writes(before)
            assert len(await stage.left()) == 1
            await stage.publish(DELETE)
            assert sorted(await stage.answered(2)) == BOTH_APPLIED
            assert stage.members("g-1") == set()
        await restart_worker(stage)
        assert stage.members("g-1") == set()


@contextmanager
def leading_to(server: RedisServer) -> Iterator[FaultProxy]:
    """An address that stays, whichever server is behind it."""
    with FaultProxy(server.port) as proxy:
        yield proxy


def copy_of(server: RedisServer, replica: RedisServer) -> Redis:
    """Make `replica` a replica, and wait until it has everything; its client."""
    client = Redis(port=replica.port)
    client.replicaof("127.0.0.1", server.port)
    return client


async def in_step(server: RedisServer, replica: Redis) -> None:
    """Return when the replica has all that the server has."""
    with Redis(port=server.port) as master:

        async def is_there() -> bool:
            mine, its = replica.info("replication"), master.info("replication")
            linked = mine["role"] == "slave" and mine["master_link_status"] == "up"
            return bool(linked and mine["slave_repl_offset"] == its["master_repl_offset"])

        await eventually(is_there, "the replica is in step")


async def test_a_replica_takes_over_that_lagged(open_redis: Any) -> None:
    """The same for a replica that had not everything: the address stays, and the settlement is gone."""
    server, standby = open_redis(durable=True), open_redis(durable=True)
    with ExitStack() as opened:
        proxy = opened.enter_context(leading_to(server))
        replica = opened.enter_context(copy_of(server, standby))
        async with Stage(f"redis://127.0.0.1:{proxy.port}/0") as stage:
            await in_step(server, replica)
            stage.gate.opened.clear()
            async with stage.worker(timeout_s=_PATIENT_S):
                await stage.publish(ADD)
                await stage.calls_waiting(1)
                await in_step(server, replica)
                replica.replicaof("NO", "ONE")
                stage.gate.opened.set()
                await stage.answered(1)
                proxy.lead_to(standby.port)
                assert len(await stage.left()) == 1
                await stage.publish(DELETE)
                assert sorted(await stage.answered(2)) == BOTH_APPLIED
            await restart_worker(stage)
            assert stage.members("g-1") == set()


async def test_a_master_that_is_demoted_while_connections_stay(open_redis: Any) -> None:
    """Writes that are refused because the server is a replica by now go to the server that the address leads
    to: connections that stayed with the old one are given up."""
    server, standby = open_redis(durable=True), open_redis(durable=True)
    with ExitStack() as opened:
        proxy = opened.enter_context(leading_to(server))
        replica = opened.enter_context(copy_of(server, standby))
        async with Stage(f"redis://127.0.0.1:{proxy.port}/0") as stage, stage.worker():
            await stage.publish(ADD)
            await stage.answered(1)
            await in_step(server, replica)
            replica.replicaof("NO", "ONE")
            # Who connects from now on comes to the new master; nobody is disconnected.
            proxy.lead_to(standby.port, hang_up=False)
            opened.enter_context(copy_of(standby, server))
            replica.xadd(keys.commands(0), {"event": DELETE})

            async def answered() -> bool:
                return replica.xlen(keys.REPLIES) == 2 and not replica.xlen(keys.commands(0))

            await eventually(answered, "the command is answered on the new master", within_s=60.0)
            assert stage.members("g-1") == set()


@pytest.mark.parametrize("how", ["deleted", "replaced", "set back"])
async def test_a_stream_whose_ids_begin_again(open_redis: Any, how: str) -> None:
    """New commands below the last id that was read do not lie unread, and are applied in order."""
    server = open_redis()
    async with Stage(server.url) as stage, stage.worker(ports={"lease_ttl_s": 3.0}):
        stream = keys.commands(0)
        await stage.client.xadd(stream, {"event": event("c-0")}, id=FAR_AHEAD)
        await stage.answered(1)
        if how == "set back":
            await stage.client.execute_command("XSETID", stream, "1-0")
        else:
            await stage.client.delete(stream)
        if how == "replaced":
            # The last id is beyond what was read: only what lies below it is left behind.
            await stage.client.xadd(stream, {"event": ADD}, id="5-0")
            await stage.client.xadd(stream, {"event": event("c-3", phones=OTHER)}, id="9999999999999-1")
        else:
            await stage.publish(ADD)
        await stage.answered(3 if how == "replaced" else 2)
        assert NUMBER in stage.members("g-1")
        assert await stage.client.get(LEASE)
