"""A Redis user who may do only what the documentation names."""

import re
from typing import Any

import orjson
import pytest
from documents import pages
from integration_servers import eventually
from integration_stage import Stage
from structlog.testing import capture_logs

from numbergroup.brokers.redis import envelope
from numbergroup.brokers.redis.connect import check, connect
from numbergroup.brokers.redis.permissions import COMMANDS, PATTERNS
from numbergroup.ledger import keys
from numbergroup_contracts import names

DOCUMENTED = re.findall(
    r"^ *(ACL SETUSER numbergroup .*?[^\\])$", "\n".join(pages().values()), flags=re.MULTILINE | re.DOTALL
)
(WORDS,) = {tuple(one.replace("\\\n", " ").replace("'", "").split()) for one in DOCUMENTED}
RULES = WORDS[3:]


def command(name: str, kind: str, **data: Any) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": "crm",
            "type": f"numbergroup.{kind}.v1",
            "data": data,
        }
    )


def test_the_documented_rules_are_those_that_are_checked() -> None:
    """The documented rules permit the commands and keys that a worker looks for, and nothing else."""
    optional = {"+info", "+config|get"}
    assert {one for one in RULES if one.startswith("+")} - optional == {f"+{one.lower()}" for one in COMMANDS}
    assert {one for one in RULES if one.startswith("~")} == {f"~{one}" for one in PATTERNS}


@pytest.mark.redis_server
async def test_a_whole_round(open_redis: Any) -> None:
    """With these permissions a worker creates, changes, lists, refuses, dead-letters and answers, takes what
    comes over a list, and knows a repeat; its server is fit."""
    server = open_redis()
    async with Stage(server.url) as stage:
        await stage.client.execute_command("ACL", "SETUSER", "w", *RULES)
        stage.url = server.url.replace("//", "//w:a-long-password@")
        client = connect(stage.url)
        try:
            await check(client)
        finally:
            await client.aclose()
        await stage.publish(
            command("c-1", "create", phones=["85211111111"], groupKey="k"),
            command("c-2", "update", groupKey="k", operateType="add", phones=["85222222222"]),
            command("c-3", "update", groupKey="k", operateType="replace", phones=[]),
            command("c-4", "list"),
            command("c-5", "update", groupKey="nobody", operateType="add", phones=["85222222222"]),
            command("c-6", "update", groupKey="k", operateType="add", phones=["1"]),
        )
        over_the_list = command("c-7", "update", groupId="g", operateType="add", phones=["85211111111"])
        message = envelope.encode_address(names.COMMANDS) + envelope.encode_contents(over_the_list, None)
        await stage.client.lpush(names.COMMANDS, message)
        async with stage.worker():
            results = dict(await stage.answered(6))
            await eventually(lambda: stage.client.llen(names.REPLIES), "an answer on the list")
            await stage.publish(command("c-1", "create", phones=["85211111111"], groupKey="k"))
            await eventually(lambda: _count(stage, 7), "the repeat is answered")
        assert {name for name, status in results.items() if status == "rejected"} == {"c-5", "c-6"}
        assert await stage.client.xlen(keys.of_partition(0, "dead-letters")) == 2
        denied = await stage.client.execute_command("ACL", "LOG")
        assert denied == []


async def _count(stage: Stage, count: int) -> bool:
    return len(await stage.results()) >= count


@pytest.mark.redis_server
async def test_the_log_names_the_command(open_redis: Any) -> None:
    """A permission that is taken away while a worker runs: what it cannot do any more names the command."""
    server = open_redis()
    async with Stage(server.url) as stage:
        await stage.client.execute_command("ACL", "SETUSER", "w", *RULES)
        stage.url = server.url.replace("//", "//w:a-long-password@")
        with capture_logs() as logs:
            async with stage.worker():
                await eventually(lambda: stage.client.exists(keys.of_partition(0, "lease")), "a lease")
                await stage.client.execute_command("ACL", "SETUSER", "w", "-pttl")
                await stage.publish(
                    command("c-1", "update", groupId="g", operateType="add", phones=["85211111111"])
                )

                async def complained() -> bool:
                    return any("a call is not made" in line["event"] for line in logs)

                await eventually(complained, "the call is not made")
                await stage.client.execute_command("ACL", "SETUSER", "w", "+pttl")
                await stage.answered(1)
        (first, *_) = [line for line in logs if "a call is not made" in line["event"]]
        assert "the ACL of this user forbids PTTL" in first["error"]
