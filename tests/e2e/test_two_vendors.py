"""One worker with an account of each vendor: nobody's commands go to the other, and all are answered."""

from typing import Any

import pytest
from e2e_commands import lone
from e2e_processes import eventually
from e2e_stage import Stage

from numbergroup_contracts.commands import CREATE, UPDATE

pytestmark = pytest.mark.redis_server

A, B, C, D = "9876543210", "919876543211", "919876543212", "919876543213"
MODES = ("legacy", "basic", "token")


def command(name: str, kind: str, account: str = "india", **data: Any) -> dict[str, Any]:
    head = {"specversion": "1.0", "id": name, "source": "e2e", "type": kind, "account": account}
    return {**head, "data": data}


def india(stage: Stage, mode: str) -> None:
    """An account of Ozonetel's beside the default one."""
    settings = {
        "PROVIDER": "ozonetel",
        "BASE_URL": stage.vendor.origin,
        "USERNAME": "sandbox",
        "API_KEY": "sandbox-api-key",
        "AUTH": mode,
        "NATIONAL_NUMBERS": "91",
        "REQUEST_LASTS_S": "2",
        "TIMEOUT_S": "1",
    }
    stage.settings |= {f"ACCOUNTS__INDIA__{name}": value for name, value in settings.items()}


@pytest.mark.parametrize("mode", MODES)
def test_two_vendors(stage: Stage, mode: str) -> None:
    """Ozonetel's groups are made, added to and deleted from; a number that it does not take is named; what it
    cannot do is refused beforehand; a dead token is replaced without anybody's harm."""
    india(stage, mode)
    answers, vendor = stage.answers(), stage.vendor
    worker = stage.worker()
    team = {"groupKey": "team"}
    stage.publish(
        lone(
            [
                command("create", CREATE, **team, groupName="team", phones=[A, B]),
                command("other", UPDATE, "default", groupId="g1", operateType="add", phones=[D]),
            ]
        )
    )
    eventually(lambda: answers.count == 2, "both vendors' answers")
    vendor.fault("kill_token", times=1)
    vendor.fault("reject_numbers", numbers=[D])
    stage.publish(
        lone(
            [
                command("add", UPDATE, **team, operateType="add", phones=[C, D]),
                command("replace", UPDATE, **team, operateType="replace", phones=[C]),
            ]
        )
    )
    eventually(lambda: answers.count == 4, "the add and the replace")
    stage.publish(lone([command("delete", UPDATE, **team, operateType="delete", phones=[A, C])]))
    eventually(lambda: answers.count == 5, "the delete")

    assert answers.statuses() == {
        "create": "applied",
        "other": "applied",
        "add": "partial",
        "replace": "rejected",
        "delete": "applied",
    }
    assert answers.one("add").data.rejectedNumbers == [D]
    assert answers.one("create").data.groupId == ("1" if mode == "legacy" else "team")
    assert vendor.fired("kill_token") == (mode == "token")
    assert vendor.count("generateToken") == (2 if mode == "token" else 0)
    ours, theirs = vendor.groups(), vendor.block_groups()
    assert (ours, theirs) == ({"g1": {D}}, {"team": {B}})
    assert ("deprecated" in worker.err) == (mode == "legacy")
    assert worker.stop() == 0
    for secret in ("sandbox-api-key", "sandbox-secret", A, B, C, D):
        assert secret not in stage.output()
