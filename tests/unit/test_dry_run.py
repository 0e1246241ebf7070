"""`numbergroup plan` predicts what a worker does when all of the commands wait."""

from typing import Any

import orjson
from aiohttp import web
from contract_files import EXAMPLES
from whole_worker import event, results_of, serving

from numbergroup.cli.dry_run import PlannedGroup, plan_groups
from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.settings import Settings, load_settings

GROUP = "6a7sd3402px21429s04"
NUMBERS = ["85211111114"]


def read(*bodies: bytes) -> list[Command]:
    found = [item for body in bodies for item in Intake().read(Entry(0, "", body))]
    return [one for one in found if isinstance(one, Command)]


def update(name: str, **data: Any) -> bytes:
    return event(name, "update", operateType="add", **{"phones": NUMBERS, **data})


def planned(*bodies: bytes) -> PlannedGroup:
    (group,) = plan_groups(read(*bodies), Settings())
    return group


def kinds(group: PlannedGroup) -> list[str]:
    return [one.call.kind.value for one in group.calls]


def rejected(group: PlannedGroup) -> list[str]:
    return [command.key.id for command, _ in group.rejected]


def test_an_update_behind_a_deletion() -> None:
    """A groupId stays an address after its group's deletion: whether the group is there the vendor says."""
    group = planned(event("1", "delete", groupId=GROUP), update("2", groupId=GROUP))
    assert (kinds(group), rejected(group)) == (["delete-group", "add"], [])


def test_a_key_behind_a_deletion() -> None:
    """A groupKey is free again after its group's deletion, until a create takes it."""
    group = planned(
        update("1", groupKey="k"),
        event("2", "delete", groupKey="k"),
        update("3", groupKey="k"),
        event("4", "create", groupKey="k", phones=NUMBERS),
    )
    assert (kinds(group), rejected(group)) == (["delete-group", "create"], ["3"])


def test_a_second_create_under_a_key() -> None:
    """It is refused alone."""
    group = planned(
        event("1", "create", groupKey="k", phones=NUMBERS),
        event("2", "create", groupKey="k", phones=NUMBERS),
        update("3", groupKey="k", phones=["85211111115"]),
    )
    assert (kinds(group), rejected(group)) == (["create"], ["2"])
    assert group.calls[0].call.numbers == (*NUMBERS, "85211111115")


def test_a_repeat_of_what_was_rejected() -> None:
    """A repeat gets the first answer, also where that is a rejection."""
    command = update("1", groupId=GROUP, expiresAt="2100-01-01T00:00:00Z")
    group = planned(command, command)
    assert (group.commands, group.repeats, kinds(group), rejected(group)) == (2, 1, [], ["1"])


async def vendor(request: web.Request) -> web.Response:
    """Grants everything; the one group that there is has a member."""
    listed = {"groupId": GROUP, "groupName": "vip", "phones": "85298765432", "remark": ""}
    data = {"groupId": "new", "groups": [listed], "total": 1}
    return web.json_response({"code": 0, "msg": "success", "requestId": "1", "data": data})


async def test_the_worker_does_what_the_plan_says() -> None:
    """The contract's examples, published together: the worker rejects what the plan rejects, and no more."""
    found = [orjson.loads(file.read_bytes()) for file in sorted(EXAMPLES.glob("command-*.json"))]
    events = [one for each in found for one in (each if isinstance(each, list) else [each])]
    bodies = [orjson.dumps(one | {"replyto": None}) for one in {one["id"]: one for one in events}.values()]
    async with serving(vendor) as url:
        account = {"BASE_URL": url, "ACCESS_KEY": "k", "ACCESS_SECRET": "s"}
        environ = {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in account.items()}
        results = await results_of(environ, bodies)
    groups = plan_groups(read(*bodies), load_settings(environ))
    predicted = {command.key.id: message for group in groups for command, message in group.rejected}
    assert predicted == {
        name: one["error"]["message"] for name, one in results.items() if one["status"] == "rejected"
    }
    assert predicted
