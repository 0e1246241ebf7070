"""Whose groups can be had, and which numbers a command for them may name."""

from pathlib import Path

import pytest
import typer

from numbergroup.cli.groups.diffing import DiffOptions, run
from numbergroup.cli.groups.vendor import VendorAccount
from numbergroup.engine.commands import CommandKind
from numbergroup.settings.nxcloud import NXCloudAccount
from numbergroup.vendors.nxcloud import NXCloud
from numbergroup.vendors.port import Capabilities

EVERYTHING = frozenset(CommandKind)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("KEY", "SECRET"):
        monkeypatch.setenv(f"NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_{part}", "x")


def can(monkeypatch: pytest.MonkeyPatch, **what: object) -> None:
    """The vendor's API can do this, and no more."""
    capabilities = Capabilities(**{"commands": EVERYTHING, "numbers_per_call": 10, **what})  # type: ignore[arg-type]
    limited = NXCloud("http://127.0.0.1:9/", capabilities=capabilities)
    monkeypatch.setattr(NXCloudAccount, "create_provider", lambda _: limited)


@pytest.mark.usefixtures("settings")
def test_a_vendor_without_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is asked, as what the vendor does not support (a usage error: 2)."""
    can(monkeypatch, commands=EVERYTHING - {CommandKind.LIST})
    with pytest.raises(typer.BadParameter, match="unsupported: the vendor of account 'default'") as raised:
        VendorAccount("default")
    assert raised.value.exit_code == 2


@pytest.mark.usefixtures("settings")
def test_a_vendor_that_deletes_no_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To delete the others is refused, whatever is in the file."""
    can(monkeypatch, commands=EVERYTHING - {CommandKind.DELETE_GROUP})
    asked = DiffOptions("default", True, True, output=None, source="cli", ids_prefix="x-")
    with pytest.raises(typer.BadParameter, match="unsupported: the vendor deletes no groups"):
        run(tmp_path, asked)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("pattern", "number", "may"),
    [
        (None, "85211111114", True),
        (None, "085211111114", False),
        (None, "852111111141111\n", False),
        ("852[0-9]{8}", "85211111114", True),
        ("852[0-9]{8}", "86211111114", False),
        ("[0-9]{3}", "852", False),
    ],
)
def test_numbers(monkeypatch: pytest.MonkeyPatch, pattern: str | None, number: str, may: bool) -> None:
    """A number must be one by the contract, and one that the account's vendor takes."""
    can(monkeypatch, number_pattern=pattern)
    assert bool(VendorAccount("default").is_number(number)) is may
