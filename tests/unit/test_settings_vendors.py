"""Settings of accounts of several vendors: which keys belong to whom, and Ozonetel's own."""

import sys
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
from test_settings import ACCOUNT, line_of, with_file

from numbergroup.settings import (
    VENDORS,
    OzonetelAccount,
    Settings,
    SettingsError,
    load_settings,
    restart_needed,
)
from numbergroup.vendors.ozonetel import CLASSES, Ozonetel
from numbergroup.vendors.ozonetel_api import CURRENT, LEGACY

PREFIX = "NUMBERGROUP_ACCOUNTS__DEFAULT__"
KEY = "hunter2-api-key"
ENVIRON = {f"{PREFIX}PROVIDER": "ozonetel", f"{PREFIX}USERNAME": "agent-user", f"{PREFIX}API_KEY": KEY}


def account_of(**more: str) -> OzonetelAccount:
    account = load_settings(ENVIRON | {PREFIX + key: value for key, value in more.items()}).accounts[
        "default"
    ]
    assert isinstance(account, OzonetelAccount)
    return account


def test_defaults() -> None:
    """A user name and an API key are enough."""
    account = account_of()
    assert (account.auth, account.base_url) == ("basic", "https://in1-ccaas-api.ozonetel.com")
    assert (account.numbers_per_call, account.timezone, account.request_lasts_s) == (100, "Asia/Kolkata", 60)
    assert (account.credentials.name, account.credentials.secret) == ("agent-user", KEY)
    assert (account.is_insecure, account.marks_creates, account.warnings) == (False, False, ())
    assert account.find_ambiguous_sign() is None
    assert OzonetelAccount.model_validate(account.model_dump()) == account


def test_the_classes_of_the_codes_are_the_providers() -> None:
    """What each code means by default is the same by the settings and by the provider."""
    assert account_of().failure_classifier.codes == CLASSES.codes


@pytest.mark.parametrize(("auth", "api"), [("legacy", LEGACY), ("basic", CURRENT), ("token", CURRENT)])
def test_the_vendor_as_documented(auth: Any, api: Any) -> None:
    """Without more settings it is what its pages say."""
    vendor = account_of(AUTH=auth.upper()).create_provider()
    assert (vendor.auth, vendor.api) == (auth, api)
    assert vendor.capabilities == Ozonetel().capabilities
    assert (vendor.token_rules is not None) is (auth == "token")


@pytest.mark.parametrize(
    ("given", "number"), [("91", "919876543210"), ("+91", "919876543210"), (" 1 ", "19876543210")]
)
def test_a_country_code_for_numbers_of_ten_digits(given: str, number: str) -> None:
    """NATIONAL_NUMBERS puts it before them; without it there is no other spelling of a number."""
    spelling = account_of(NATIONAL_NUMBERS=given).create_provider().capabilities.normalize_number
    assert spelling is not None
    assert spelling("9876543210") == number
    assert account_of(NATIONAL_NUMBERS="Refuse").create_provider().capabilities.normalize_number is None


@pytest.mark.parametrize("given", ["india", "0", "091", "9191", "-91", "٩١", "refused"])
def test_no_country_code(given: str) -> None:
    """Anything else is an error that says what it may be."""
    with pytest.raises(SettingsError, match="country code such as 91"):
        account_of(NATIONAL_NUMBERS=given)


def test_the_vendor_as_it_turns_out() -> None:
    """What the pages do not agree on, and what they do not say, can be set."""
    vendor = account_of(
        BASE_URL="https://api.ccaas.ozonetel.com/",
        CREATE_PATH="/c",
        UPDATE_PATH="/u",
        DELETE_PATH="/d",
        TOKEN_PATH="/t",
        UPDATE_GROUP_FIELD="name",
        DELETE_GROUP_FIELD="id",
        NUMBERS_FIELD="blockNumber",
        NUMBERS_PER_CALL="50",
        NUMBER_PATTERN="91[6-9][0-9]{9}",
        TIMEZONE="UTC",
        DESCRIPTION_LENGTH="200",
        REQUEST_LASTS_S="30",
    ).create_provider()
    api = vendor.api
    assert (api.create_path, api.update_path, api.delete_path, api.token_path) == ("/c", "/u", "/d", "/t")
    assert (api.update_group_field, api.delete_group_field, api.numbers_field) == (
        "name",
        "id",
        "blockNumber",
    )
    assert vendor.base_url == "https://api.ccaas.ozonetel.com/"
    assert vendor.capabilities.numbers_per_call == 50
    assert vendor.capabilities.number_pattern == "91[6-9][0-9]{9}"
    assert (vendor.zone.key, vendor.longest_description, vendor.acceptance_window_s) == ("UTC", 200, 30)


SET_TO = {
    ("AUTH", "digest"): ": 'digest' must be 'legacy', 'basic' or 'token'",
    ("USERNAME", "me:you"): ": its value must match pattern '^[!-9;-~]+$'",
    ("API_KEY", "hun ter2"): " must consist of visible ASCII characters",
    ("NUMBERS_PER_CALL", "101"): ": '101' must be less than or equal to 100",
    ("TIMEZONE", "Asia/Nowhere"): " is 'Asia/Nowhere', which is no time zone: name one like Asia/Kolkata",
    ("TIMEZONE", "../../etc/passwd"): (
        " is '../../etc/passwd', which is no time zone: name one like Asia/Kolkata"
    ),
    ("NUMBER_PATTERN", "91["): " is no regular expression: unterminated character set at position 2",
    ("UPDATE_PATH", "ca_apis"): ": 'ca_apis' must match pattern '^/[!$-~]*$'",
    ("DELETE_PATH", "/a#b"): ": '/a#b' must match pattern '^/[!$-~]*$'",
    ("NUMBERS_FIELD", "block numbers"): ": 'block numbers' must match pattern '^[A-Za-z][A-Za-z0-9_]*$'",
    ("BASE_URL", "in1-ccaas-api.ozonetel.com"): (
        " must begin with https:// or http://, as in https://in1-ccaas-api.ozonetel.com"
    ),
}


@pytest.mark.parametrize(("key", "value"), SET_TO)
def test_a_bad_value_is_one_line(key: str, value: str) -> None:
    """As with any setting."""
    assert line_of(ENVIRON | {PREFIX + key: value}) == f"{PREFIX}{key}{SET_TO[key, value]}"


@pytest.mark.parametrize(
    ("environ", "key", "owner", "provider"),
    [
        (ENVIRON, "ACCESS_KEY", "nxcloud", "ozonetel"),
        (ENVIRON, "SIGNATURE_LASTS_S", "nxcloud", "ozonetel"),
        (ACCOUNT, "AUTH", "ozonetel", "nxcloud"),
        (ACCOUNT, "API_KEY", "ozonetel", "nxcloud"),
    ],
)
def test_a_key_of_another_vendor(environ: dict[str, str], key: str, owner: str, provider: str) -> None:
    """It is an error that says whose it is, not one that is passed over."""
    assert line_of(environ | {PREFIX + key: "hunter2"}) == (
        f"{PREFIX}{key} is a setting of {owner}, but this account's PROVIDER is {provider}: "
        "unset it, or set PROVIDER"
    )


@pytest.mark.parametrize("missing", ["USERNAME", "API_KEY"])
def test_a_missing_credential_names_its_variable(missing: str) -> None:
    """As NXCloud's."""
    name = PREFIX + missing
    assert line_of({k: v for k, v in ENVIRON.items() if k != name}) == f"{name} is missing: set it"


def test_from_a_file_and_with_secrets_in_files(tmp_path: Path) -> None:
    """The TOML file may hold accounts of several vendors; user name and API key may be files of their own."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "user").write_text("agent-user\n")
    text = f"""
        [accounts.default]
        access_key = "k"
        access_secret = "s"
        [accounts.blocked]
        provider = "Ozonetel"
        username_file = "{tmp_path}/user"
        api_key_file = "{tmp_path}/key"
    """
    settings = load_settings(with_file(tmp_path, text))
    account = settings.accounts["blocked"]
    assert (account.credentials.name, account.credentials.secret) == ("agent-user", KEY)
    assert set(settings.files) == {tmp_path / "numbergroup.toml", tmp_path / "user", tmp_path / "key"}


def test_no_rendering_shows_a_secret() -> None:
    """Neither repr nor dumps of the settings hold the API key."""
    settings = load_settings(ENVIRON)
    for text in (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()):
        assert KEY not in text
    assert "agent-user" not in repr(settings)
    assert settings.model_dump()["accounts"]["default"]["auth"] == "basic"


def test_what_a_running_worker_takes_over() -> None:
    """User name and API key; for all else it has to be started anew, as for another vendor."""
    running = load_settings(ENVIRON)
    rotated = load_settings(ENVIRON | {f"{PREFIX}USERNAME": "other", f"{PREFIX}API_KEY": "new"})
    assert restart_needed(running, rotated) == ()
    other_zone = load_settings(ENVIRON | {f"{PREFIX}TIMEZONE": "UTC"})
    assert restart_needed(running, other_zone) == (f"{PREFIX}TIMEZONE",)
    assert restart_needed(running, load_settings(ACCOUNT)) == (f"{PREFIX}PROVIDER",)
    assert restart_needed(running, Settings()) == (f"{PREFIX}USERNAME",)


def test_every_vendor_is_named_after_its_provider() -> None:
    """The registry and the classes agree."""
    for name, vendor in VENDORS.items():
        assert {vendor.name_key, vendor.secret_key} <= vendor.model_fields.keys()
        assert name in repr(vendor.model_fields["provider"].annotation)


def test_legacy_is_noticed() -> None:
    """With plain http besides, both are said."""
    assert ["deprecated" in warning for warning in account_of(AUTH="legacy").warnings] == [True]
    assert len(account_of(AUTH="legacy", BASE_URL="http://vendor.example").warnings) == 2


def test_a_machine_without_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is a time zone as well: without it no worker starts, and the setting is named."""
    # Where there is no other, its zones may have been read before: then they would be found without it.
    for name in [name for name in sys.modules if name.partition(".")[0] == "tzdata"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert line_of(ENVIRON).startswith(f"{PREFIX}TIMEZONE is 'Asia/Kolkata', which is no time zone")
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()
