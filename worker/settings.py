"""Settings: read once at start, checked as a whole, then passed as values.

Every key is `NUMBERGROUP_<KEY>` in the environment, and the same in lower case in the TOML file that
`NUMBERGROUP_CONFIG` names; those of an account are `NUMBERGROUP_ACCOUNTS__<NAME>__<KEY>`, and the table
`[accounts.<name>]`. The environment beats the file, key by key. Names in the environment have no case,
lists in it are comma-separated. Nothing is read at import.

Marks on a vendor's facts: [S] its page, [V] another page of its documentation, [I] inferred.
"""

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    Secret,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode
from pydantic_settings import PydanticBaseSettingsSource as Source

_PREFIX = "NUMBERGROUP_"
_REDIS = "redis://localhost:6379/0"
_UNQUOTED = {"broker_url", "ledger_url", "base_url", "access_key", "access_secret"}
_URL_SECRET = re.compile(r"(?i)([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*")

Key = tuple[str, ...]  # ("linger_ms",) or ("accounts", "default", "timeout_s")


class SettingsError(ValueError):
    """The settings cannot be used. `str()` is one line: which key, what is wrong, what to do. No secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def redact_url(url: str) -> str:
    """The URL with its password as `***`. A malformed URL loses too much rather than too little."""
    userinfo, at, rest = url.rpartition("@")
    scheme, user, password = re.fullmatch(r"(.*?://)?([^:]*)(:.*)?", userinfo, re.DOTALL).groups("")
    return _URL_SECRET.sub(r"\1***", f"{scheme}{user + ':' if password else ''}***@{rest}" if at else url)


class SecretUrl(Secret[str]):
    """A URL whose `str()`, `repr()` and JSON are redacted; `get_secret_value()` is the real one."""

    def _display(self) -> str:
        return redact_url(self.get_secret_value())


def _check_url(url: str, schemes: tuple[str, ...], example: str) -> None:
    """Raises ValueError that quotes nothing of the URL (urlsplit's own would: a password taken for a port)."""
    if not url.lower().startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}, as in {example}")
    try:
        parts = urlsplit(url)
        sound = (
            parts.hostname
            and parts.port != 0
            and not re.search(r"[\s#]|@.*@|[/?].*@", url.partition("//")[2])
        )
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"is no URL as in {example}; in a password, percent-encode / # ? @ : and spaces")


def _url(example: str, *schemes: str) -> AfterValidator:
    def check(url: SecretUrl) -> SecretUrl:
        _check_url(url.get_secret_value(), schemes, example)
        return url

    return AfterValidator(check)


def _https_or_http(url: str) -> str:
    _check_url(url, ("https", "http"), "https://number.nxcloud.com/api/pns/")
    if "@" in url:
        raise ValueError("has a user or password in it; remove them: access_secret signs the requests")
    return url


def _secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or text != text.strip():
        raise ValueError("is empty or has white space at an end; set it to the secret alone")
    return secret


def _one_partition(partitions: int) -> int:
    if partitions > 1:
        raise ValueError("is more than 1, which is not supported by this version yet; set it to 1")
    return partitions


def _provider(name: object) -> object:
    if name == "ozonetel":
        raise ValueError("is 'ozonetel', which is not supported by this version yet; set it to nxcloud")
    return name


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _items(value: object) -> object:
    if isinstance(value, str):
        return value.split(",")
    return [str(v) if type(v) is int else v for v in value] if isinstance(value, list | tuple) else value


def _no_boolean(value: object) -> object:
    """pydantic would take TOML's `true` for 1."""
    if isinstance(value, bool):
        raise ValueError("is a boolean, which no key takes; see the table of settings")
    return value


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Texts = Annotated[tuple[Text, ...], NoDecode, BeforeValidator(_items)]
Positive = Annotated[float, Field(gt=0)]
Choice = BeforeValidator(_lower)
AccountName = Annotated[str, StringConstraints(pattern="^[a-z0-9_-]{1,64}$")]


class AccountSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """One vendor account. What the vendor does not document ([I]) is a key, so that it can be corrected."""

    _booleans = field_validator("*", mode="before")(_no_boolean)

    provider: Annotated[Literal["nxcloud"], BeforeValidator(_provider), Choice] = "nxcloud"
    # [S]; newer pages moved some actions to https://api.nxcloud.com/v1/api/pns/ [V]
    base_url: Annotated[Text, AfterValidator(_https_or_http)] = "https://number.nxcloud.com/api/pns/"
    access_key: Annotated[str, StringConstraints(pattern="^[!-~]+$")] = Field(repr=False)
    access_secret: Annotated[SecretStr, AfterValidator(_secret)]
    algorithm: Annotated[Literal["md5", "sha256"], Choice] = "md5"  # of the signature [V]
    calls_per_second: Positive = 10  # over all workers together [I]
    max_in_flight: int = Field(16, ge=1, le=1024)
    numbers_per_call: int = Field(1000, ge=1, le=100_000)  # [I]
    connect_timeout_s: Positive = 3
    timeout_s: Positive = 8  # of one attempt, connecting included
    retry_attempts: int = Field(3, ge=1, le=10)  # of one call, before its group parks
    # Whether a create marks the group's remark, to find the group again when the answer is lost [I]
    create_marker: Annotated[Literal["remark", "none"], Choice] = "remark"
    # Fragments, in any case, of an error's text that mean "too fast" [I]; the last is another vendor's [V]
    throttle_texts: Texts = ("rate limit", "too many requests", "frequency limit", "max limit exceeded")
    # The codes' meanings are [V], what they say about a retry is [I]:
    retryable_codes: Texts = ("10009", "1004")  # failed to retrieve data; timestamp expired
    permanent_codes: Texts = ("1002", "10004", "10011", "10012")  # parameters, country code, limit, offset
    account_fault_codes: Texts = ("1001", "1003", "1005", "10003")  # headers, signature, permission, user

    @property
    def insecure(self) -> bool:
        """Whether phone numbers travel unencrypted: plain http to a host that is not loopback."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = f".{host}".endswith(".localhost")
        return parts.scheme == "http" and not loopback


class Settings(
    BaseSettings,
    frozen=True,
    extra="forbid",
    hide_input_in_errors=True,
    allow_inf_nan=False,
    env_prefix=_PREFIX,
    env_nested_delimiter="__",
):
    """Every setting. Built directly it reads nothing from outside: that is `load_settings`."""

    _booleans = field_validator("*", mode="before")(_no_boolean)

    config: Path | None = None
    broker_url: Annotated[SecretUrl, _url(_REDIS, "redis", "rediss", "amqp", "amqps")] | None = (
        None  # None: the embedded one
    )
    ledger_url: Annotated[SecretUrl, _url(_REDIS, "redis", "rediss")] | None = None  # None: the broker's
    partitions: Annotated[int, AfterValidator(_one_partition)] = Field(1, ge=1, le=1024)
    lease_ttl_s: float = Field(10, ge=2)
    linger_ms: int = Field(0, ge=0)
    max_pending: int = Field(20_000, ge=1, le=1_000_000)  # commands in memory, per partition
    max_message_bytes: int = Field(1_048_576, ge=1)
    # fnmatch patterns of the queues that a command's `replyto` may name
    reply_queues: Texts = (
        "numbergroup:replies",
        "numbergroup:replies:*",
        "numbergroup.replies",
        "numbergroup.replies.*",
    )
    dedup_hours: Positive = 24
    give_up_after_s: Positive = 86_400
    log_format: Annotated[Literal["console", "json"], Choice] | None = None  # None: by the terminal
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Choice] = "info"
    accounts: dict[AccountName, AccountSettings] = {}

    @property
    def effective_ledger_url(self) -> SecretUrl | None:
        """`ledger_url`, else the broker's URL where that is Redis, else None."""
        inherits = self.broker_url and self.broker_url.get_secret_value().lower().startswith("redis")
        return self.ledger_url or (self.broker_url if inherits else None)

    @model_validator(mode="after")
    def _attempts_end_within_a_lease(self) -> Self:
        for name, account in self.accounts.items():
            if account.timeout_s >= self.lease_ttl_s:
                raise ValueError(
                    f"{_variable('accounts', name, 'timeout_s')} is {account.timeout_s:g}, which is not less than "
                    f"{_variable('lease_ttl_s')}, {self.lease_ttl_s:g}: lower the first or raise the second"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: Source, **sources: Source
    ) -> tuple[Source, ...]:
        return (sources["init_settings"],)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of `environ` (the process's own by default) and of the file that it names.

    Raises SettingsError on anything unknown, unreadable, empty, of a wrong type or out of range.
    """
    environ = os.environ if environ is None else environ
    spelt = _spelt(environ)
    table = _read(environ[spelt["config",]]) if ("config",) in spelt else {}
    for key in _keys(table):
        _check_known(key, f"{'.'.join(key)} in {file}", lambda *k: ".".join(k))
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): environ[name] for name in spelt.values()}
    try:
        return Settings(**_merged(table, source()))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    raise SettingsError(_line(problem, spelt, table))  # outside: the ValidationError holds the values


def require_accounts(settings: Settings) -> dict[str, AccountSettings]:
    """The accounts, of which there is at least one; else raises SettingsError."""
    if not settings.accounts:
        key, secret = (_variable("accounts", "default", part) for part in ("access_key", "access_secret"))
        raise SettingsError(
            f"no account is configured: set {key} and {secret} to those of the vendor's console"
        )
    return settings.accounts


def _variable(*key: str) -> str:
    return _PREFIX + "__".join(key).upper()


def _spelt(environ: Mapping[str, str]) -> dict[Key, str]:
    """Each key that the environment sets, and the variable as it is written there."""
    spelt: dict[Key, str] = {}
    for name in sorted(n for n in environ if n.upper().startswith(_PREFIX)):
        key = tuple(name[len(_PREFIX) :].lower().split("__"))
        _check_known(key, name, _variable)
        twin = spelt.setdefault(key, name)
        if environ[twin] != environ[name]:
            raise SettingsError(f"{twin} and {name} are one setting and differ: unset one of them")
        if not environ[name].strip():
            raise SettingsError(f"{name} is empty: give it a value or unset it")
    return spelt


def _read(file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise SettingsError(f"{_variable('config')} names {file}, which cannot be read: {why}") from None
    except ValueError as error:
        raise SettingsError(f"{file} is not valid TOML in UTF-8, correct it: {error}") from None


def _keys(table: Mapping[str, Any]) -> Iterator[Key]:
    """The keys that a file sets; whatever is no table where one belongs comes out as an unknown key."""
    for top, value in table.items():
        if top != "accounts" or not isinstance(value, dict):
            yield (top,)
            continue
        for name, account in value.items():
            yield from (((top, name, key) for key in account) if isinstance(account, dict) else [(top, name)])


def _check_known(key: Key, written: str, write: Callable[..., str]) -> None:
    """Raises SettingsError that names the nearest known key, written as the unknown one is."""
    name = key[1] if len(key) == 3 and key[1] else "default"
    known = [(top,) for top in Settings.model_fields if top != "accounts"]
    known += [("accounts", name, field) for field in AccountSettings.model_fields]
    if key not in known:
        nearest = difflib.get_close_matches(write(*key), [write(*k) for k in known], 1, 0)[0]
        raise SettingsError(f"{written} is unknown: did you mean {nearest}?")


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merged(low[k], v) for k, v in high.items() if isinstance(v, dict) and k in low}
    return low | high | both


def _line(problem: ErrorDetails, spelt: Mapping[Key, str], table: Mapping[str, Any]) -> str:
    key = tuple(str(part) for part in problem["loc"])
    if "ctx" in problem and not key:
        return str(problem["ctx"]["error"])
    ...
