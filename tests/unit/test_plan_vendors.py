"""`numbergroup plan` goes by what each account's vendor can do."""

import orjson
from whole_worker import event

from numbergroup.cli.dry_run import plan_groups
from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.settings import load_settings

ENVIRON = {
    "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY": "k",
    "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET": "s",
    "NUMBERGROUP_ACCOUNTS__BLOCKED__PROVIDER": "ozonetel",
    "NUMBERGROUP_ACCOUNTS__BLOCKED__USERNAME": "agent-user",
    "NUMBERGROUP_ACCOUNTS__BLOCKED__API_KEY": "k",
}
NUMBERS = [f"91987654{n:04d}" for n in range(250)]


def commands(*events: bytes) -> list[Command]:
    body = orjson.dumps([orjson.loads(one) for one in events])
    found = Intake().read(Entry(0, "1-0", body))
    assert all(isinstance(one, Command) for one in found)
    return [one for one in found if isinstance(one, Command)]


def test_each_vendor_by_its_own_limits() -> None:
    """250 numbers are one call of NXCloud's and three of Ozonetel's; what that cannot do is rejected."""
    nxcloud, ozonetel = plan_groups(
        commands(
            event("1", "update", groupId="night", operateType="replace", phones=NUMBERS),
            event("2", "update", "blocked", groupId="night", operateType="add", phones=NUMBERS),
            event("3", "update", "blocked", groupId="night", operateType="replace", phones=NUMBERS),
        ),
        load_settings(ENVIRON),
    )
    assert [len(one.call.numbers) for one in nxcloud.calls] == [250]
    assert [len(one.call.numbers) for one in ozonetel.calls] == [100, 100, 50]
    assert [command.key.id for command, _ in ozonetel.rejected] == ["3"]
    assert nxcloud.rejected == []


def test_a_rename_in_a_plan() -> None:
    """What is left of the renames is one call; NXCloud has none."""
    legacy = ENVIRON | {"NUMBERGROUP_ACCOUNTS__BLOCKED__AUTH": "legacy"}
    nxcloud, ozonetel = plan_groups(
        commands(
            event("1", "rename", groupId="night", groupName="day"),
            event("2", "rename", "blocked", groupId="20", groupName="day"),
            event("3", "rename", "blocked", groupId="20", groupName="noon", remark="of noon"),
        ),
        load_settings(legacy),
    )
    assert ["cannot rename a group" in message for _, message in nxcloud.rejected] == [True]
    (planned,) = ozonetel.calls
    assert (planned.call.kind.value, planned.call.group_name) == ("rename", "noon")


def test_a_number_without_its_country_code_is_in_the_plan() -> None:
    """What the vendor would take for another number is rejected in a plan as at work."""
    command = event("1", "update", "blocked", groupId="night", operateType="delete", phones=["6591234567"])
    (ozonetel,) = plan_groups(commands(command), load_settings(ENVIRON))
    assert ozonetel.calls == []
    assert [message.startswith("phones: a number") for _, message in ozonetel.rejected] == [True]
