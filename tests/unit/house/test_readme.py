"""The README tells the truth about what is there."""

import re
from pathlib import Path

import orjson
import pytest
from typer.main import get_command

from numbergroup.cli.app import app
from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.engine.commands import CRASHED, QUARANTINED
from numbergroup.engine.settling.fitting import REPLY_QUEUE, TOO_LARGE
from numbergroup.settings import VENDORS, Settings
from numbergroup_contracts.commands import COMMAND_ADAPTER
from numbergroup_contracts.results import ERROR_KINDS, RESULT_ADAPTER

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def test_its_command_is_one() -> None:
    """The command that the README publishes is accepted as it stands."""
    (event,) = re.findall(r"event '(\{.*?\})'\n", README, flags=re.DOTALL)
    assert COMMAND_ADAPTER.validate_json(event).data.groupId == "6a7sd3402px21429s04"


def test_its_result_is_one() -> None:
    """The result that the README shows is one, and keeps to the contract."""
    (result,) = re.findall(r"```json\n(.*?)```", README, flags=re.DOTALL)
    assert not isinstance(RESULT_ADAPTER.validate_json(result), list)
    assert orjson.loads(result)["data"]["command"]["id"] == "c-1"


def test_its_kinds_of_errors_are_those_of_the_contract() -> None:
    """README, option and contract have one list."""
    table = README[README.index("| `error.kind`") :]
    table = table[: table.index("\n\n")]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, flags=re.MULTILINE) == [*ERROR_KINDS]
    assert {CRASHED, QUARANTINED, REPLY_QUEUE, TOO_LARGE} <= ERROR_KINDS.keys()
    for kind in ERROR_KINDS:
        DeadLetterFilter(kind=kind).check()


def test_every_setting_is_described_and_every_described_setting_exists() -> None:
    """Nobody has to read the code to find a setting, and none is promised that is not there."""
    table = README[README.index("### Settings") : README.index("## Not yet")]
    described = {name.lower() for name in re.findall(r"`(?:NUMBERGROUP|)(_[A-Z_<>a-z]+)`", table)}
    known = {f"_{key}" for key in Settings.model_fields} - {"_accounts"}
    keys = {key for vendor in VENDORS.values() for key in vendor.model_fields}
    of_accounts = {f"_accounts__<name>__{key}" for key in keys}
    short = {f"__{key}" for key in keys}
    assert described <= known | of_accounts | short
    assert known - described == {"_config"} - described
    named = {one.removeprefix("_accounts__<name>").removeprefix("__") for one in described}
    assert keys <= named


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_described(name: str) -> None:
    """Every command of the command line is in the README's table."""
    assert re.search(rf"^\| `numbergroup {name}\b", README, flags=re.MULTILINE)


def test_the_two_commands_of_the_first_screen_exist() -> None:
    """`make demo` and `make test`, which the first screen names, are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
