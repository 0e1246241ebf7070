"""Renames and creates with an expiry, as intake reads them: on the fast path and on the lenient one."""

import pytest
from intake_cases import PHONE, event, one_command, one_refusal, read

from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Refusal


@pytest.mark.parametrize(
    ("data", "texts", "names"),
    [
        ({"groupId": "g", "groupName": "n"}, ("n", None), ("name",)),
        ({"groupKey": "k", "remark": ""}, (None, ""), ("remark",)),
        ({"groupId": "g", "groupKey": None, "groupName": "n", "remark": "r"}, ("n", "r"), ("name", "remark")),
    ],
)
def test_a_rename(data: dict[str, object], texts: tuple[object, ...], names: tuple[str, ...]) -> None:
    """What is absent, or null, stays as it is."""
    command = one_command(event("c-1", "rename", data, sequence=3))
    assert (command.kind, command.sequence) == (CommandKind.RENAME, 3)
    assert (command.group_name, command.remark) == texts
    assert command.text_fields == command.targets == names


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"groupId": "g"}, "groupName or remark must be given"),
        ({"groupId": "g", "groupName": None, "remark": None}, "groupName or remark must be given"),
        ({"groupName": "n"}, "exactly one of groupId and groupKey"),
        ({"groupId": "g", "groupKey": "k", "groupName": "n"}, "exactly one of groupId and groupKey"),
        ({"groupId": "g", "groupName": "n" * 257}, "groupName"),
        ({"groupId": "g", "groupName": "n", "phones": [PHONE]}, "phones"),
    ],
)
def test_no_rename(data: dict[str, object], problem: str) -> None:
    """It is refused with the reason; in an array its neighbours are read."""
    assert problem in one_refusal(event("c-1", "rename", data)).message
    good, bad = read([event("c-0", "rename", {"groupId": "g", "remark": "r"}), event("c-1", "rename", data)])
    assert isinstance(good, Command)
    assert isinstance(bad, Refusal)


def test_the_same_rename_has_the_same_fingerprint() -> None:
    """However it is written; another name is another command."""
    first, same, other = (
        one_command(event("c-1", "rename", data)).fingerprint
        for data in (
            {"groupId": "g", "groupName": "n"},
            {"remark": None, "groupName": "n", "groupId": "g"},
            {"groupId": "g", "remark": "n"},
        )
    )
    assert first == same
    assert first != other


def test_a_create_with_an_expiry() -> None:
    """Without one its fingerprint is what it was before there could be any."""
    data = {"phones": [PHONE], "groupName": "n"}
    plain = one_command(event("c-1", "create", data))
    expiring = one_command(event("c-1", "create", data | {"expiresAt": "2027-01-31T00:00:00+05:30"}))
    assert (plain.number_expiry, expiring.number_expiry) == (None, 1801333800.0)
    assert plain.fingerprint == one_command(event("c-1", "create", data | {"expiresAt": None})).fingerprint
    assert plain.fingerprint == "f8bda994d3b7"
    assert plain.fingerprint != expiring.fingerprint
