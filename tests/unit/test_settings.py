"""Settings: what is accepted, what wins, and what is said about everything else."""

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from numbergroup.settings import (
    NXCloudAccount,
    Settings,
    SettingsError,
    load_settings,
    redact_url,
    require_accounts,
)

SECRET = "abciiiko2k3"
ACCOUNT = {
    "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY": "fme2na3kdi3ki",
    "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET": SECRET,
}
REDIS = "redis://localhost:6379/0"


def line_of(environ: dict[str, str]) -> str:
    """The one line about `environ`; neither it nor the traceback may hold a secret."""
    with pytest.raises(SettingsError) as raised:
        load_settings(environ)
    line = str(raised.value)
    assert len(line.splitlines()) == 1
    for secret in (SECRET, "hunter2"):
        assert secret not in line
        assert secret not in "".join(traceback.format_exception(raised.value))
    return line


def with_file(tmp_path: Path, text: str, **environ: str) -> dict[str, str]:
    file = tmp_path / "numbergroup.toml"
    file.write_text(text, "utf-8")
    return {"NUMBERGROUP_CONFIG": str(file), **{f"NUMBERGROUP_{k}": v for k, v in environ.items()}}


def test_defaults() -> None:
    """Without any setting everything has the documented default, and there is no account."""
    settings = load_settings({"PATH": "/bin", "NUMBERGROUPS": "not ours"})
    assert settings == Settings()
    assert (settings.broker_url, settings.ledger_url, settings.config, settings.log_format) == (None,) * 4
    assert (settings.partitions, settings.linger_ms, settings.max_pending) == (1, 0, 20_000)
    assert settings.max_crashes == 5
    assert (settings.group_backlog, settings.max_dead_letters) == (5_000, 500_000)
    assert (settings.metrics_port, settings.metrics_host) == (None, "127.0.0.1")
    assert (settings.dedup_hours, settings.give_up_after_s, settings.lease_ttl_s) == (24, 86_400, 10)
    assert (settings.max_message_bytes, settings.log_level, settings.accounts) == (1_048_576, "info", {})
    assert settings.reply_queues == (
        "numbergroup:replies",
        "numbergroup:replies:*",
        "numbergroup.replies",
        "numbergroup.replies.*",
    )


def test_several_partitions() -> None:
    """Up to 1024 of them."""
    assert load_settings({"NUMBERGROUP_PARTITIONS": "1024"}).partitions == 1024


def test_account_defaults() -> None:
    """An account needs a key and a secret; the rest is what the vendor's documentation lets one assume."""
    account = load_settings(ACCOUNT).accounts["default"]
    assert isinstance(account, NXCloudAccount)
    assert (account.access_key, account.access_secret.get_secret_value()) == ("fme2na3kdi3ki", SECRET)
    assert (account.provider, account.algorithm, account.create_marker) == ("nxcloud", "md5", "remark")
    assert account.base_url == "https://number.nxcloud.com/api/pns/"
    assert (account.calls_per_second, account.max_in_flight, account.numbers_per_call) == (10, 16, 1000)
    assert (account.connect_timeout_s, account.timeout_s, account.retry_attempts) == (3, 8, 3)
    assert (account.breaker_share, account.breaker_max_open_s, account.isolation_share) == (0.5, 60, 0.25)
    assert account.retryable_codes == ("10009", "1004")
    assert account.account_fault_codes == ("1001", "1003", "1005", "10003")
    assert account.permanent_codes == ("1002", "10004", "10011", "10012")
    assert account.throttle_codes == ()
    assert (
        account.throttle_texts
        == account.retryable_texts
        == account.account_fault_texts
        == account.permanent_texts
        == ()
    )
    assert account.unknown_codes == "refused"


def test_every_default_is_valid() -> None:
    """The defaults pass the checks that given values must pass, and keep their types."""
    account = load_settings(ACCOUNT).accounts["default"]
    assert NXCloudAccount.model_validate(account.model_dump()) == account
    assert type(account.timeout_s) is type(account.calls_per_second) is float


def test_environment_beats_file_key_by_key(tmp_path: Path) -> None:
    """A variable overrides its key of the file alone, inside an account as well."""
    text = """
        linger_ms = 5
        max_pending = 7
        [accounts.default]
        access_key = "of the file"
        access_secret = "of-the-file"
        algorithm = "sha256"
        [accounts.second-one]
        access_key = "two"
        access_secret = "two"
    """.replace("of the file", "of-the-file")
    environ = with_file(tmp_path, text, LINGER_MS="6", ACCOUNTS__DEFAULT__ACCESS_SECRET=SECRET)
    settings = load_settings(environ)
    assert (settings.linger_ms, settings.max_pending) == (6, 7)
    account = settings.accounts["default"]
    assert (account.access_key, account.algorithm) == ("of-the-file", "sha256")
    assert account.access_secret.get_secret_value() == SECRET
    assert set(settings.accounts) == {"default", "second-one"}
    assert settings.config == tmp_path / "numbergroup.toml"


def test_names_in_the_environment_have_no_case() -> None:
    """Variables of any case mean one key, and account names come out in lower case."""
    settings = load_settings(
        {
            "numbergroup_linger_ms": "5",
            "NUMBERGROUP_ACCOUNTS__Default__ACCESS_KEY": "k",
            "NUMBERGROUP_ACCOUNTS__default__access_secret": SECRET,
            "NUMBERGROUP_ACCOUNTS__NIGHT-SHIFT_2__ACCESS_KEY": "k",
            "NUMBERGROUP_ACCOUNTS__night-shift_2__ACCESS_SECRET": SECRET,
        }
    )
    assert settings.linger_ms == 5
    assert set(settings.accounts) == {"default", "night-shift_2"}


def test_the_same_value_twice_is_no_conflict() -> None:
    """Two spellings of one variable may agree."""
    assert load_settings({"NUMBERGROUP_LINGER_MS": "5", "numbergroup_linger_ms": "5"}).linger_ms == 5


def test_choices_have_no_case_and_white_space_around_values_is_dropped() -> None:
    """`INFO`, `SHA256`, and a secret with the line feed that its file ended with, are what they seem."""
    settings = load_settings(
        ACCOUNT
        | {
            "NUMBERGROUP_LOG_LEVEL": " WARNING",
            "NUMBERGROUP_LOG_FORMAT": "JSON",
            "NUMBERGROUP_ACCOUNTS__DEFAULT__ALGORITHM": "SHA256",
            "NUMBERGROUP_ACCOUNTS__DEFAULT__PROVIDER": "NXCloud",
            "NUMBERGROUP_ACCOUNTS__DEFAULT__CREATE_MARKER": "None",
            "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET": f"{SECRET}\n",
        }
    )
    account = settings.accounts["default"]
    assert (settings.log_level, settings.log_format) == ("warning", "json")
    assert (account.provider, account.algorithm, account.create_marker) == ("nxcloud", "sha256", "none")
    assert account.access_secret.get_secret_value() == SECRET


def test_lists(tmp_path: Path) -> None:
    """Lists are comma-separated in the environment; in the file arrays, of numbers too, even empty."""
    text = "reply_queues = []\n[accounts.default]\nretryable_codes = [10009, '77']\nthrottle_texts = ['a, b']"
    environ = ACCOUNT | with_file(tmp_path, text, ACCOUNTS__DEFAULT__PERMANENT_CODES="1002, 9")
    settings = load_settings(environ)
    account = settings.accounts["default"]
    assert (settings.reply_queues, account.throttle_texts) == ((), ("a, b",))
    assert (account.retryable_codes, account.permanent_codes) == (("10009", "77"), ("1002", "9"))
    assert load_settings({"NUMBERGROUP_REPLY_QUEUES": "a:*,b"}).reply_queues == ("a:*", "b")


def test_http_statuses_are_codes_in_any_case() -> None:
    """An HTTP status is written like a code."""
    codes = {"NUMBERGROUP_ACCOUNTS__DEFAULT__PERMANENT_CODES": "1002,HTTP-413"}
    assert load_settings(ACCOUNT | codes).accounts["default"].permanent_codes == ("1002", "http-413")


@pytest.mark.parametrize("name", ["THROTTLE", "RETRYABLE", "ACCOUNT_FAULT", "PERMANENT"])
@pytest.mark.parametrize("value", ["0", "http-200, 0"])
def test_a_success_is_in_no_class(name: str, value: str) -> None:
    """The code of the vendor's success is refused wherever failures are listed."""
    variable = f"NUMBERGROUP_ACCOUNTS__DEFAULT__{name}_CODES"
    said = "has '0', which is the vendor's success and no failure: leave it out"
    assert line_of(ACCOUNT | {variable: value}) == f"{variable} {said}"


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("PERMANENT_CODES", "1002,10009", "RETRYABLE_CODES"),
        ("RETRYABLE_CODES", "1003", "ACCOUNT_FAULT_CODES"),
        ("THROTTLE_CODES", "10003", "ACCOUNT_FAULT_CODES"),
    ],
)
def test_a_sign_has_one_meaning(name: str, value: str, other: str) -> None:
    """A code or a text of two classes is refused, in one line that names both, be one of them a default."""
    line = line_of(ACCOUNT | {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{name}": value})
    for part in (name, other):
        assert f"NUMBERGROUP_ACCOUNTS__DEFAULT__{part} " in line
    assert f"both have '{value.split(',')[-1]}', which can mean only one thing" in line


def test_a_code_moves_to_another_class() -> None:
    """Taken out of the one and put into the other, a code is fine."""
    moved = {"RETRYABLE_CODES": "1004", "PERMANENT_CODES": "1002,10009", "UNKNOWN_CODES": "Retryable"}
    account = load_settings(
        ACCOUNT | {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in moved.items()}
    ).accounts["default"]
    assert (account.permanent_codes, account.unknown_codes) == (("1002", "10009"), "retryable")


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the process's own environment is read, and with one it is not."""
    monkeypatch.setenv("NUMBERGROUP_LINGER_MS", "9")
    assert load_settings().linger_ms == 9
    assert load_settings({}).linger_ms == Settings().linger_ms == 0


def test_nothing_is_read_at_import() -> None:
    """Importing with settings that cannot be loaded is harmless."""
    environ = os.environ | {"NUMBERGROUP_NONSENSE": "1", "NUMBERGROUP_CONFIG": "/nowhere"}
    subprocess.run([sys.executable, "-c", "import numbergroup.settings"], env=environ, check=True)


def test_settings_are_frozen() -> None:
    """Settings are values."""
    settings = load_settings(ACCOUNT)
    with pytest.raises(ValidationError):
        settings.linger_ms = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.accounts["default"].timeout_s = 1  # type: ignore[misc]


SET_TO = {
    ("PARTITIONS", "x"): ": 'x' must be a valid integer, unable to parse string as an integer",
    ("PARTITIONS", "0"): ": '0' must be greater than or equal to 1",
    ("PARTITIONS", "1025"): ": '1025' must be less than or equal to 1024",
    ("LINGER_MS", "-1"): ": '-1' must be greater than or equal to 0",
    ("LINGER_MS", "1.5"): ": '1.5' must be a valid integer, unable to parse string as an integer",
    ("LINGER_MS", ""): " is empty: give it a value or unset it",
    ("LINGER_MS", "  "): " is empty: give it a value or unset it",
    ("CONFIG", ""): " is empty: give it a value or unset it",
    ("CONFIG", "/nowhere/x.toml"): " names /nowhere/x.toml, which cannot be read: No such file or directory",
    ("MAX_PENDING", "0"): ": '0' must be greater than or equal to 1",
    ("MAX_PENDING", "1000001"): ": '1000001' must be less than or equal to 1000000",
    ("GROUP_BACKLOG", "0"): ": '0' must be greater than or equal to 1",
    ("MAX_DEAD_LETTERS", "0"): ": '0' must be greater than or equal to 1",
    ("METRICS_PORT", "-1"): ": '-1' must be greater than or equal to 0",
    ("METRICS_PORT", "65536"): ": '65536' must be less than or equal to 65535",
    ("METRICS_HOST", "http://h"): r": 'http://h' must match pattern '^[^\s/@]+$'",
    ("MAX_MESSAGE_BYTES", "0"): ": '0' must be greater than or equal to 1",
    ("DEDUP_HOURS", "0"): ": '0' must be greater than or equal to 0.01",
    ("DEDUP_HOURS", "nan"): ": 'nan' must be a finite number",
    ("REPLY_RETENTION_HOURS", "-1"): ": '-1' must be greater than or equal to 0",
    ("REPLY_RETENTION_HOURS", "inf"): ": 'inf' must be a finite number",
    ("REPLY_MAX", "-1"): ": '-1' must be greater than or equal to 0",
    ("REPLY_MAX", "1.5"): ": '1.5' must be a valid integer, unable to parse string as an integer",
    ("GIVE_UP_AFTER_S", "0"): ": '0' must be greater than or equal to 0.001",
    ("GIVE_UP_AFTER_S", "1d"): ": '1d' must be a valid number, unable to parse string as a number",
    ("LEASE_TTL_S", "1.9"): ": '1.9' must be greater than or equal to 2",
    ("LOG_FORMAT", "xml"): ": 'xml' must be 'console' or 'json'",
    ("LOG_LEVEL", "loud"): ": 'loud' must be 'debug', 'info', 'warning' or 'error'",
    ("REPLY_QUEUES", "a,,b"): ": '' must have at least 1 character",
    ("BROKER_URL", ""): " is empty: give it a value or unset it",
    ("BROKER_URL", "hunter2"): (
        f" must begin with redis:// or rediss:// or amqp:// or amqps://, as in {REDIS}"
    ),
    ("LEDGER_URL", "amqp://u:hunter2@h"): f" must begin with redis:// or rediss://, as in {REDIS}",
    ("LEDGER_URL", "redis://me:hunter2/@h"): (
        f" is no URL as in {REDIS}: percent-encode / # ? @ and spaces in a password"
    ),
    ("ACCOUNTS__DEFAULT__PROVIDER", "acme"): ": 'acme' must be 'nxcloud' or 'ozonetel'",
    ("ACCOUNTS__DEFAULT__PROVIDER", " "): " is empty: give it a value or unset it",
    ("ACCOUNTS__DEFAULT__BASE_URL", "ftp://h"): (
        " must begin with https:// or http://, as in https://number.nxcloud.com/api/pns/"
    ),
    ("ACCOUNTS__DEFAULT__BASE_URL", "https://u:hunter2@h/"): (
        " has a user or password in it: remove them, credentials are settings of their own"
    ),
    ("ACCOUNTS__DEFAULT__ACCESS_KEY", "hun ter2"): ": its value must match pattern '^[!-~]+$'",
    ("ACCOUNTS__DEFAULT__ACCESS_SECRET", " "): " is empty: give it a value or unset it",
    ("ACCOUNTS__DEFAULT__ALGORITHM", "sha1"): ": 'sha1' must be 'md5' or 'sha256'",
    ("ACCOUNTS__DEFAULT__CALLS_PER_SECOND", "0"): ": '0' must be greater than or equal to 0.001",
    ("ACCOUNTS__DEFAULT__CALLS_PER_SECOND", "inf"): ": 'inf' must be a finite number",
    ("ACCOUNTS__DEFAULT__MAX_IN_FLIGHT", "0"): ": '0' must be greater than or equal to 1",
    ("ACCOUNTS__DEFAULT__MAX_IN_FLIGHT", "1025"): ": '1025' must be less than or equal to 1024",
    ("ACCOUNTS__DEFAULT__NUMBERS_PER_CALL", "0"): ": '0' must be greater than or equal to 1",
    ("ACCOUNTS__DEFAULT__NUMBERS_PER_CALL", "100001"): ": '100001' must be less than or equal to 100000",
    ("ACCOUNTS__DEFAULT__CONNECT_TIMEOUT_S", "-1"): ": '-1' must be greater than or equal to 0.001",
    ("ACCOUNTS__DEFAULT__TIMEOUT_S", "0"): ": '0' must be greater than or equal to 0.001",
    ("ACCOUNTS__DEFAULT__RETRY_ATTEMPTS", "0"): ": '0' must be greater than or equal to 1",
    ("ACCOUNTS__DEFAULT__RETRY_ATTEMPTS", "11"): ": '11' must be less than or equal to 10",
    ("ACCOUNTS__DEFAULT__BREAKER_SHARE", "0"): ": '0' must be greater than or equal to 0.001",
    ("ACCOUNTS__DEFAULT__BREAKER_SHARE", "1.1"): ": '1.1' must be less than or equal to 1",
    ("ACCOUNTS__DEFAULT__BREAKER_MAX_OPEN_S", "0"): ": '0' must be greater than or equal to 0.001",
    ("ACCOUNTS__DEFAULT__ISOLATION_SHARE", "0"): ": '0' must be greater than or equal to 0.001",
    ("ACCOUNTS__DEFAULT__ISOLATION_SHARE", "2"): ": '2' must be less than or equal to 1",
    ("ACCOUNTS__DEFAULT__CREATE_MARKER", "name"): ": 'name' must be 'remark' or 'none'",
    ("ACCOUNTS__DEFAULT__RETRYABLE_CODES", ","): ": '' must have at least 1 character",
    ("ACCOUNTS__DEFAULT__PERMANENT_CODES", "1002,http-5xx"): (
        " has 'http-5xx', which is no HTTP status: write it like http-503"
    ),
    ("ACCOUNTS__DEFAULT__UNKNOWN_CODES", "fatal"): (
        ": 'fatal' must be 'refused', 'retryable' or 'account-fault'"
    ),
    ("ACCOUNTS__NO GOOD__ACCESS_KEY", "k"): ": 'no good' must match pattern '^[a-z0-9_-]{1,64}$'",
}


@pytest.mark.parametrize(("key", "value"), SET_TO)
def test_a_bad_value_is_one_line(key: str, value: str) -> None:
    """Each bad value is answered with its variable and what would do, and no secret is quoted."""
    line = line_of(ACCOUNT | {f"NUMBERGROUP_{key}": value})
    assert line == f"NUMBERGROUP_{key}{SET_TO[key, value]}"


UNKNOWN = {
    "PARTITONS": "PARTITIONS",
    "partitons": "PARTITIONS",
    "LINGER": "LINGER_MS",
    "DEDUPE_HOURS": "DEDUP_HOURS",
    "BROKER": "BROKER_URL",
    "ACCESS_KEY": "ACCOUNTS__DEFAULT__ACCESS_KEY",
    "ACCOUNT__MAIN__ACCESS_KEY": "ACCOUNTS__MAIN__ACCESS_KEY",
    "ACCOUNTS__MAIN__ACCES_KEY": "ACCOUNTS__MAIN__ACCESS_KEY",
    "ACCOUNTS__MAIN__ACCESS__SECRET": "ACCOUNTS__DEFAULT__ACCESS_SECRET",
    "ACCOUNTS__ACCESS_SECRET": "ACCOUNTS__DEFAULT__ACCESS_SECRET",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_variable_names_the_nearest(name: str) -> None:
    """A misspelt variable is an error that names the one that was meant."""
    line = line_of({f"NUMBERGROUP_{name}": SECRET})
    assert line == f"NUMBERGROUP_{name} is unknown: did you mean NUMBERGROUP_{UNKNOWN[name]}?"


@pytest.mark.parametrize("name", ["", "ACCOUNTS", "ACCOUNTS__X", "ACCOUNTS____ACCESS_KEY", "A__B__C__D"])
def test_variables_that_resemble_nothing_are_unknown_as_well(name: str) -> None:
    """Whole accounts as JSON, empty parts and other shapes are refused, never ignored."""
    assert "NUMBERGROUP_" in line_of({f"NUMBERGROUP_{name}": f'{{"access_secret": "{SECRET}"}}'})


def test_variables_of_kubernetes_are_explained() -> None:
    """A Service called numbergroup makes Kubernetes set variables with our prefix: the error says so."""
    line = line_of({"NUMBERGROUP_SERVICE_HOST": "10.0.0.1"})
    assert line.endswith("? If Kubernetes set it, set enableServiceLinks to false.")


IN_FILE = {
    "linger = 1": "linger in {} is unknown: did you mean linger_ms?",
    "PARTITIONS = 1": "PARTITIONS in {} is unknown: did you mean partitions?",
    "_env_file = 'x'": "_env_file in {} is unknown: did you mean",
    "accounts = 1": "accounts in {} is unknown: did you mean accounts.default.",
    "[accounts]\naccess_key = 'k'": (
        "accounts.access_key in {} is unknown: did you mean accounts.default.access_key?"
    ),
    "[accounts.a]\nacces_key = 'k'": (
        "accounts.a.acces_key in {} is unknown: did you mean accounts.a.access_key?"
    ),
    "[accounts.A]\naccess_key = 'k'": (
        "accounts.A.access_key in {}: 'A' must match pattern '^[a-z0-9_-]{{1,64}}$'"
    ),
    "partitions = true": "partitions in {} is true or false: give it a number or a text",
    "linger_ms = 2026-11-21": "linger_ms in {}: datetime.date(2026, 11, 21) must be a valid integer",
    "broker_url = ' '": "broker_url in {} is empty: give it a value or unset it",
    "broker_url = 5": "broker_url in {}: its value must be a valid string",
    "reply_queues = ['']": "reply_queues in {}: '' must have at least 1 character",
    "reply_queues = 5": "reply_queues in {}: 5 must be a valid tuple",
    "[accounts.a]\naccess_key = 5": "accounts.a.access_key in {}: its value must be a valid string",
    "[accounts.a]\naccess_key = 'k'\naccess_secret = ['hunter2']": (
        "accounts.a.access_secret in {}: its value must be a valid string"
    ),
    "[accounts.a]\naccess_key = 'k'": "NUMBERGROUP_ACCOUNTS__A__ACCESS_SECRET is missing: set it",
    "[accounts.a]": "NUMBERGROUP_ACCOUNTS__A__ACCESS_KEY is missing: set it",
    "linger_ms =": "{} must be TOML in UTF-8 but is not, correct it: Invalid value (at end of document)",
}


@pytest.mark.parametrize("text", IN_FILE)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str) -> None:
    """Each problem of a file is answered with the file, the key, and what would do."""
    environ = with_file(tmp_path, text)
    assert line_of(environ).startswith(IN_FILE[text].format(environ["NUMBERGROUP_CONFIG"]))


def test_a_file_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    """Binary files and directories are answered as plainly as misspelt keys."""
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xff\x80")
    line = line_of({"NUMBERGROUP_CONFIG": str(file)})
    assert line == (
        f"NUMBERGROUP_CONFIG names {file}, which cannot be read: line 1 is not UTF-8: save the file in UTF-8"
    )
    assert line_of({"NUMBERGROUP_CONFIG": str(tmp_path)}).endswith("cannot be read: Is a directory")


def test_two_spellings_that_differ_are_an_error() -> None:
    """Which of two contradicting variables would win is not left to their order."""
    line = line_of(
        {"NUMBERGROUP_ACCOUNTS__a__ACCESS_SECRET": SECRET, "NUMBERGROUP_ACCOUNTS__A__ACCESS_SECRET": "x"}
    )
    assert line == (
        "NUMBERGROUP_ACCOUNTS__A__ACCESS_SECRET and NUMBERGROUP_ACCOUNTS__a__ACCESS_SECRET "
        "are one setting and differ: unset one of them"
    )


@pytest.mark.parametrize("missing", ["ACCESS_KEY", "ACCESS_SECRET"])
def test_a_missing_credential_names_its_variable(missing: str) -> None:
    """An account without key or secret says which variable to set."""
    name = f"NUMBERGROUP_ACCOUNTS__DEFAULT__{missing}"
    assert line_of({k: v for k, v in ACCOUNT.items() if k != name}) == f"{name} is missing: set it"


@pytest.mark.parametrize(("timeout_s", "lease_ttl_s"), [("8.1", "10"), ("2.5", "3")])
def test_an_attempt_ends_within_a_lease(timeout_s: str, lease_ttl_s: str) -> None:
    """A request that could outlive the lease is refused, in one line that names both settings."""
    own = {"NUMBERGROUP_ACCOUNTS__DEFAULT__TIMEOUT_S": timeout_s, "NUMBERGROUP_LEASE_TTL_S": lease_ttl_s}
    assert line_of(ACCOUNT | own) == (
        f"NUMBERGROUP_ACCOUNTS__DEFAULT__TIMEOUT_S is {timeout_s}, over 80% "
        f"of NUMBERGROUP_LEASE_TTL_S, {lease_ttl_s}: lower the first or raise the second"
    )
    with pytest.raises(ValidationError):
        Settings(lease_ttl_s=2, accounts={"default": load_settings(ACCOUNT).accounts["default"]})


def test_require_accounts() -> None:
    """Without an account the two variables to set are named; with one the accounts are returned."""
    with pytest.raises(SettingsError) as raised:
        require_accounts(load_settings({}))
    assert str(raised.value) == (
        "no account is configured: set NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY and "
        "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET to what the vendor gave you"
    )
    assert set(require_accounts(load_settings(ACCOUNT))) == {"default"}


@pytest.mark.parametrize(
    ("url", "insecure"),
    [
        ("https://number.nxcloud.com/api/pns/", False),
        ("http://number.nxcloud.com/api/pns/", True),
        ("http://10.0.0.8:8900/", True),
        ("http://localhost.example.com/", True),
        ("http://localhost:8900/", False),
        ("http://vendor.localhost/", False),
        ("http://127.0.0.2/", False),
        ("http://[::1]:8900/", False),
    ],
)
def test_insecure(url: str, insecure: bool) -> None:
    """Plain http is allowed, and known to be insecure unless it stays on this machine."""
    settings = load_settings(ACCOUNT | {"NUMBERGROUP_ACCOUNTS__DEFAULT__BASE_URL": url})
    assert settings.accounts["default"].is_insecure is insecure


@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps"])
def test_broker_urls(scheme: str) -> None:
    """All four schemes are brokers; Redis is the ledger too unless another one is named."""
    url = f"{scheme}://user:p%40ss@broker.example:1234/0"
    settings = load_settings({"NUMBERGROUP_BROKER_URL": url})
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == url
    assert settings.effective_ledger_url == (settings.broker_url if scheme.startswith("redis") else None)
    other = load_settings({"NUMBERGROUP_BROKER_URL": url, "NUMBERGROUP_LEDGER_URL": REDIS})
    assert other.effective_ledger_url == other.ledger_url is not None


@pytest.mark.parametrize(
    "url",
    [
        "amqp://a//;amqp://b//",
        "amqp://me:hunter2@a//;amqp://me:hunter2@b//",
        "amqps://a:5671,b:5671/vhost",
        "amqp://me:hunter2@a,b//",
        "amqp://a;b//",
        "amqp://me:hunter;2@a//",
        "redis://a:6379,b:6379/0",
        "rediss://:hunter2@a;b/0",
        "redis://a/0,redis://b/0",
    ],
)
def test_several_hosts_are_refused(url: str) -> None:
    """Only one host would be used, without a word: the settings say so, and quote no password."""
    line = line_of(ACCOUNT | {"NUMBERGROUP_BROKER_URL": url})
    assert line.startswith("NUMBERGROUP_BROKER_URL ")
    assert "names several hosts, and only one is supported" in line
    assert "hunter" not in line


@pytest.mark.parametrize(
    "url", ["amqp://h", "amqp://h//", "amqp://h:5672/a%3Bb", "amqp://me:p%3Bq%2Cr@h//", "redis://:p,q;r@h/0"]
)
def test_one_host_is_enough(url: str) -> None:
    """One host is one however its URL is written: without a user, a port or a vhost, or with separators that
    belong to something else."""
    settings = load_settings(ACCOUNT | {"NUMBERGROUP_BROKER_URL": url})
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == url


def test_no_rendering_of_settings_shows_a_secret() -> None:
    """Neither repr, str, dumps nor JSON of the settings hold the secret, the key, or a URL's password."""
    urls = {
        "NUMBERGROUP_BROKER_URL": "amqp://me:hunter2@h",
        "NUMBERGROUP_LEDGER_URL": "redis://:hunter2@h",
    }
    settings = load_settings(ACCOUNT | urls)
    for text in (repr(settings), str(settings), str(settings.model_dump()["broker_url"])):
        assert "amqp://me:***@h" in text
    for text in (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in text
        assert SECRET not in text
    assert "fme2na3kdi3ki" not in repr(settings)


def test_all_mistakes_at_once() -> None:
    """The first mistake is the line; the others are known, too, for `run --check` to tell all of them."""
    urls = {"NUMBERGROUP_BROKER_URL": "redis://h?family=6", "NUMBERGROUP_LEDGER_URL": "redis://h?timeout=1"}
    with pytest.raises(SettingsError) as raised:
        load_settings(ACCOUNT | urls | {"NUMBERGROUP_LINGER_MS": "soon"})
    lines = [str(raised.value), *raised.value.others]
    assert [line.split()[0] for line in lines] == [*urls, "NUMBERGROUP_LINGER_MS:"]


@pytest.mark.parametrize("key", ["BROKER_URL", "LEDGER_URL"])
@pytest.mark.parametrize("tail", ["decode_responses=true", "protocol=3", "max_connections=1", "family=6"])
def test_parameters_of_urls(key: str, tail: str) -> None:
    """A parameter that the worker cannot live with is one line that names the setting and the parameter."""
    line = line_of(ACCOUNT | {f"NUMBERGROUP_{key}": f"redis://:hunter2@h/0?{tail}"})
    assert line.startswith(f"NUMBERGROUP_{key} has ")
    assert tail.partition("=")[0] in line


@pytest.mark.parametrize(
    "url", ["rediss://:hunter2@h/0?ssl_cert_reqs=none", "amqps://me:hunter2@h//?verify=verify_none"]
)
def test_only_a_setting_switches_verification_off(url: str) -> None:
    """A URL alone cannot: it takes TLS_VERIFY=off, which goes for a URL that does not say so, too."""
    line = line_of({"NUMBERGROUP_BROKER_URL": url})
    assert line.endswith("remove that from it, or set NUMBERGROUP_TLS_VERIFY=off")
    for text in (url, url.partition("?")[0]):
        settings = load_settings({"NUMBERGROUP_BROKER_URL": text, "NUMBERGROUP_TLS_VERIFY": "OFF"})
        assert settings.broker_url is not None
        assert settings.broker_url.get_secret_value() == url


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    """Certificates and keys of URLs are read at once: a mistake there is one of the settings."""
    file = tmp_path / "ca.pem"
    line = line_of({"NUMBERGROUP_BROKER_URL": f"amqps://me:hunter2@h//?cacertfile={file}"})
    assert line.startswith("NUMBERGROUP_BROKER_URL names a file of certificate authorities")


def test_channels_for_every_partition() -> None:
    """A limit of channels that is below what so many partitions need is a mistake in the settings."""
    url = {"NUMBERGROUP_BROKER_URL": "amqp://h//?channel_max=20"}
    assert load_settings(url | {"NUMBERGROUP_PARTITIONS": "12"}).partitions == 12
    line = line_of(url | {"NUMBERGROUP_PARTITIONS": "13"})
    assert "channel_max" in line


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:hunter2@h:1/0", "redis://:***@h:1/0"),
        ("amqps://me:hunter2@h//vhost", "amqps://me:***@h//vhost"),
        ("redis://me:hun@ter/2@h", "redis://me:***@h"),
        ("redis://hunter2@h", "redis://***@h"),
        ("redis://hunter2@h:6379/x@y", "redis://***@y"),
        ("me:hunter2@h", "me:***@h"),
        ("redis://h?db=1&password=hunter2", "redis://h?db=1&password=***"),
    ],
)
def test_redact_url(url: str, redacted: str) -> None:
    """A URL keeps all but its password, wherever that stands."""
    assert redact_url(url) == redacted


@given(user=st.text("abc", max_size=3), password=st.text(min_size=1).map(lambda text: f"hunter2{text}"))
def test_no_password_survives_redaction(user: str, password: str) -> None:
    """Not even a password that makes the URL malformed."""
    assert "hunter2" not in redact_url(f"redis://{user}:{password}@h:6379/0")
