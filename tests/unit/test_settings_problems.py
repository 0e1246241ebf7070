"""Everything that is wrong with the settings is found in one go, wherever it stands."""

import traceback
from pathlib import Path

import pytest
from test_settings import ACCOUNT, SECRET, with_file

from numbergroup.settings import SettingsError, load_settings

PREFIX = "NUMBERGROUP_ACCOUNTS__DEFAULT__"


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    return [str(raised.value), *raised.value.others]


def test_names_and_values() -> None:
    """What is unknown does not hide what is wrong, nor the other way round."""
    environ = ACCOUNT | {
        "NUMBERGROUP_MAX_PENDNG": "3",
        "NUMBERGROUP_LEASE_TTL_S": "x",
        f"{PREFIX}FOO": "1",
        f"{PREFIX}CALLS_PER_SECOND": "abc",
    }
    assert [line.partition(" ")[0] for line in problems(environ)] == [
        f"{PREFIX}FOO",
        "NUMBERGROUP_MAX_PENDNG",
        "NUMBERGROUP_LEASE_TTL_S:",
        f"{PREFIX}CALLS_PER_SECOND:",
    ]


def test_files_and_environment(tmp_path: Path) -> None:
    """The TOML file, the environment file, secret files and certificates are looked at as well."""
    (tmp_path / "more.env").write_text("NUMBERGROUP_PARTITION=2\nNUMBERGROUP_ENV_FILE=more.env\n")
    environ = with_file(
        tmp_path,
        "max_pendng = 3\nenv_file = 'x'\n[accounts.default]\nfoo = 1\nmax_in_flight = 'x'\n[accounts.b]\n",
        ENV_FILE=str(tmp_path / "more.env"),
        linger_ms="1",
        LINGER_MS="2",
        BROKER_URL="rediss://localhost?ssl_ca_certs=/not/there",
        ACCOUNTS__DEFAULT__ACCESS_KEY="key",
        ACCOUNTS__DEFAULT__ACCESS_SECRET_FILE=str(tmp_path / "secret"),
    )
    found = problems(environ)
    for name in (
        "NUMBERGROUP_PARTITION in ",
        "NUMBERGROUP_ENV_FILE in ",
        "max_pendng in ",
        "env_file in ",
        "accounts.default.foo in ",
        "accounts.default.max_in_flight in ",
        "NUMBERGROUP_ACCOUNTS__B__ACCESS_KEY is missing",
        "NUMBERGROUP_LINGER_MS and NUMBERGROUP_linger_ms are one setting",
        "NUMBERGROUP_BROKER_URL ",
        f"{PREFIX}ACCESS_SECRET_FILE names ",
    ):
        assert any(line.startswith(name) for line in found), (name, found)
    # A secret whose file cannot be read is not missing as well.
    assert not any(line.startswith(f"{PREFIX}ACCESS_SECRET is missing") for line in found)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """What it may hold is not called missing; the names in the environment are looked at all the same."""
    found = problems({"NUMBERGROUP_CONFIG": str(tmp_path / "none"), "NUMBERGROUP_LINGER": "1"})
    assert [line.partition(" ")[0] for line in found] == ["NUMBERGROUP_LINGER", "NUMBERGROUP_CONFIG"]


def test_another_vendors_keys() -> None:
    """Each of them is named, beside what is wrong with the vendor's own."""
    found = problems(
        ACCOUNT | {f"{PREFIX}USERNAME": "u", f"{PREFIX}API_KEY": "k", f"{PREFIX}MAX_IN_FLIGHT": "x"}
    )
    assert [line.partition(" ")[0] for line in found] == [
        f"{PREFIX}API_KEY",
        f"{PREFIX}USERNAME",
        f"{PREFIX}MAX_IN_FLIGHT:",
    ]


def test_values_that_do_not_go_together() -> None:
    """All pairs that contradict each other are named."""
    found = problems(
        ACCOUNT
        | {
            "NUMBERGROUP_LEASE_TTL_S": "2",
            "NUMBERGROUP_BROKER_URL": "amqps://localhost//?verify=verify_none&channel_max=64",
            "NUMBERGROUP_PARTITIONS": "64",
            f"{PREFIX}THROTTLE_CODES": "1004",
        }
    )
    assert [line.partition(" ")[0] for line in found] == [
        f"{PREFIX}TIMEOUT_S",
        "NUMBERGROUP_BROKER_URL",
        "NUMBERGROUP_BROKER_URL",
        f"{PREFIX}THROTTLE_CODES",
    ]
