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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    Secret,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode

_PREFIX = "NUMBERGROUP_"
_NXCLOUD = "https://number.nxcloud.com/api/pns/"
_REDIS = "redis://localhost:6379/0"
_UNQUOTED = {"broker_url", "ledger_url", "base_url", "access_key", "access_secret"}
_USERINFO = re.compile(r"^([A-Za-z][\w+.-]*://)?(?:([^:@]*:).*|.*)@", re.DOTALL)
_URL_SECRET = re.compile(r"(?i)([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*")

MOST_PARTITIONS = 1024

Key = tuple[str, ...]  # ("linger_ms",) or ("accounts", "default", "timeout_s")
Url = TypeVar("Url", str, "SecretUrl")

# A lease is renewed eight times in its life: what may be sent for longer than this would have to wait for
# the next renewal, and calls would leave in bunches.
_LEASE_SHARE = 0.8


class SettingsError(ValueError):
    """The settings cannot be used. `str()` is one line: which key, what is wrong, what to do. No secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def redact_url(url: str) -> str:
    """The URL with its password as `***`. A malformed URL loses too much rather than too little."""
    return _URL_SECRET.sub(r"\1***", _USERINFO.sub(r"\1\2***@", url))


class SecretUrl(Secret[str]):
    """A URL whose `str()`, `repr()` and JSON are redacted; `get_secret_value()` is the real one."""

    def _display(self) -> str:
        return redact_url(self.get_secret_value())


def _url(example: str, *schemes: str) -> AfterValidator:
    """A check whose error quotes nothing of the URL (urlsplit's would: a password taken for a port)."""

    def check(url: Url) -> Url:
        text = url if isinstance(url, str) else url.get_secret_value()
        scheme, _, rest = text.partition("://")
        if scheme not in schemes:
            raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}, as in {example}")
        try:
            sound = urlsplit(text).hostname and urlsplit(text).port != 0
        except ValueError:
            sound = False
        if not sound or re.search(r"[\s#]|[@/?].*@", rest):
            raise ValueError(f"is no URL as in {example}: percent-encode / # ? @ and spaces in a password")
        if "@" in rest and "http" in schemes:
            raise ValueError("has a user or password in it: remove them, requests are signed instead")
        return url

    return AfterValidator(check)


def _sane(value: Any) -> Any:
    """White space around a text is dropped; a boolean is refused, for pydantic would take it for 1 or 0."""
    if isinstance(value, bool):
        raise ValueError("is true or false: give it a number or a text")
    value = value.strip() if isinstance(value, str) else value
    if value == "":
        raise ValueError("is empty: give it a value or unset it")
    return value


def _supported(value: Any) -> Any:
    if value == "ozonetel":
        raise ValueError(f"is {value!r}, which is not supported by this version yet: leave it unset")
    return value


def _items(value: Any) -> Any:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        return items
    return [str(item).strip() if type(item) in (int, str) else item for item in items]


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode, BeforeValidator(_items)]
Positive = Annotated[float, Field(gt=0)]
Choice = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
AccountName = Annotated[str, Field(pattern="^[a-z0-9_-]{1,64}$")]
BrokerUrl = Annotated[SecretUrl, _url(_REDIS, "redis", "rediss", "amqp", "amqps")]
LedgerUrl = Annotated[SecretUrl, _url(_REDIS, "redis", "rediss")]
VendorUrl = Annotated[str, _url(_NXCLOUD, "https", "http")]


class AccountSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """One vendor account. What the vendor does not document ([I]) is a key, so that it can be corrected."""

    provider: Annotated[Literal["nxcloud"], BeforeValidator(_supported), Choice] = "nxcloud"
    base_url: VendorUrl = _NXCLOUD  # [S]; newer pages have https://api.nxcloud.com/v1/api/pns/ [V]
    access_key: str = Field(repr=False, pattern="^[!-~]+$")
    access_secret: SecretStr
    algorithm: Annotated[Literal["md5", "sha256"], Choice] = "md5"  # of the signature [V]
    calls_per_second: Positive = 10.0  # over all workers together [I]
    max_in_flight: int = Field(16, ge=1, le=1024)
    numbers_per_call: int = Field(1000, ge=1, le=100_000)  # [I]
    connect_timeout_s: Positive = 3.0
    timeout_s: Positive = 8.0  # of one attempt, connecting included
    signature_lasts_s: float = Field(60.0, gt=0, le=3600)  # [V]: for so long it may take effect
    retry_attempts: int = Field(3, ge=1, le=10)  # of one call, before its group parks
    # Whether a create marks the group's remark, to find the group again when the answer is lost [I]
    create_marker: Annotated[Literal["remark", "none"], Choice] = "remark"
    # Fragments, in any case, of an error's text that mean "too fast" [I]; the last is another vendor's [V]
    throttle_texts: Texts = ("rate limit", "too many requests", "frequency limit", "max limit exceeded")
    # The codes' meanings are [V], what they say about trying again is [I]
    retryable_codes: Texts = ("10009", "1004")  # failed to retrieve data; timestamp expired
    permanent_codes: Texts = ("1002", "10004", "10011", "10012")  # parameters, country code, limit, offset
    account_fault_codes: Texts = ("1001", "1003", "1005", "10003")  # headers, signature, permission, user

    _every_value = field_validator("*", mode="before")(_sane)

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


class Settings(BaseSettings, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """Every setting. Built directly it reads nothing from outside: that is `load_settings`."""

    config: Path | None = None
    broker_url: BrokerUrl | None = None  # None: the embedded broker, for trying out
    ledger_url: LedgerUrl | None = None  # None: see effective_ledger_url
    partitions: int = Field(1, ge=1, le=MOST_PARTITIONS)  # the same for all workers and producers
    lease_ttl_s: float = Field(10.0, ge=2)
    linger_ms: int = Field(0, ge=0)
    max_pending: int = Field(20_000, ge=1, le=1_000_000)  # commands in memory, per partition
    max_crashes: int = Field(5, ge=3, le=100)  # of workers, after which the message they died of is given up
    max_message_bytes: int = Field(1_048_576, ge=1)
    reply_queues: Texts = (  # fnmatch patterns of the queues that a command's `replyto` may name
        *("numbergroup:replies", "numbergroup:replies:*"),  # streams
        *("numbergroup.replies", "numbergroup.replies.*"),  # lists and AMQP queues
    )
    dedup_hours: float = Field(24.0, ge=0.01, le=87_600)
    give_up_after_s: Positive = 86_400.0
    log_format: Annotated[Literal["console", "json"], Choice] | None = None  # None: by the terminal
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Choice] = "info"
    accounts: dict[AccountName, AccountSettings] = Field(default_factory=dict)

    _every_value = field_validator("*", mode="before")(_sane)

    @property
    def effective_ledger_url(self) -> SecretUrl | None:
        """`ledger_url`, else the broker's where that is Redis, else None."""
        inherits = self.broker_url and self.broker_url.get_secret_value().startswith("redis")
        return self.ledger_url or (self.broker_url if inherits else None)

    @model_validator(mode="after")
    def _attempts_end_within_a_lease(self) -> Self:
        for name, account in self.accounts.items():
            if account.timeout_s > _LEASE_SHARE * self.lease_ttl_s:
                share, ttl = f"{_LEASE_SHARE:.0%}", f"{_variable('lease_ttl_s')}, {self.lease_ttl_s:g}"
                raise ValueError(
                    f"{_variable('accounts', name, 'timeout_s')} is {account.timeout_s:g}, over {share} "
                    f"of {ttl}: lower the first or raise the second"
                )
        return self

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
        return (sources["init_settings"],)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of `environ` (by default the process's) and of the file that it names.

    Raises SettingsError on what is unknown, unreadable, empty, of a wrong type or out of range.
    """
    environ = os.environ if environ is None else environ
    variables = _variables(environ)
    file = environ.get(variables.get(("config",), ""), "")
    table = _read(file) if file.strip() else {}
    written = {key: f"{'.'.join(key)} in {file}" for key in _keys(table)}
    for key, text in written.items():
        _check_known(key, text, lambda *parts: ".".join(parts))
    source = EnvSettingsSource(Settings, env_prefix=_PREFIX, env_nested_delimiter="__")
    source.env_vars = {name.lower(): environ[name] for name in variables.values()}
    try:
        return Settings(**_merged(table, source()))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    raise SettingsError(_line(problem, written | variables))  # not above: its context would hold the values


def require_accounts(settings: Settings) -> dict[str, AccountSettings]:
    """The accounts, at least one; raises SettingsError when there is none."""
    if not settings.accounts:
        key, secret = (_variable("accounts", "default", part) for part in ("access_key", "access_secret"))
        raise SettingsError(f"no account is configured: set {key} and {secret} to what the vendor gave you")
    return settings.accounts


def _variable(*key: str) -> str:
    return _PREFIX + "__".join(key).upper()


def _variables(environ: Mapping[str, str]) -> dict[Key, str]:
    """Each key that the environment sets, and the variable as it is written there."""
    variables: dict[Key, str] = {}
    for name in sorted(n for n in environ if n.upper().startswith(_PREFIX)):
        key = tuple(name[len(_PREFIX) :].lower().split("__"))
        _check_known(key, name, _variable)
        if environ[variables.setdefault(key, name)] != environ[name]:
            raise SettingsError(f"{variables[key]} and {name} are one setting and differ: unset one of them")
    return variables


def _read(file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{_variable('config')} names {file}, which cannot be read: {error.strerror}"
        ) from None
    except ValueError as error:
        raise SettingsError(f"{file} must be TOML in UTF-8 but is not, correct it: {error}") from None


def _keys(table: Mapping[str, Any]) -> Iterator[Key]:
    """The keys that a file sets. What is no table where one belongs comes out as a key that is unknown."""
    for top, value in table.items():
        for name, account in value.items() if top == "accounts" and isinstance(value, dict) else ():
            yield from ((top, name, key) for key in account) if isinstance(account, dict) else [(top, name)]
        if top != "accounts" or not isinstance(value, dict):
            yield (top,)


def _check_known(key: Key, written: str, write: Callable[..., str]) -> None:
    name = key[1] if len(key) == 3 else "default"
    known: list[Key] = [(top,) for top in Settings.model_fields if top != "accounts"]
    known += [("accounts", name, field) for field in AccountSettings.model_fields]
    if key not in known:
        candidates = {" ".join(k): write(*k) for k in known}
        nearest = candidates[difflib.get_close_matches(" ".join(key).lower(), candidates, 1, 0)[0]]
        links = re.search("_(PORT|SERVICE_HOST|SERVICE_PORT)", written)  # of a Service called numbergroup
        hint = " If Kubernetes set it, set enableServiceLinks to false." if links else ""
        raise SettingsError(f"{written} is unknown: did you mean {nearest}?{hint}")


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merged(low[k], v) for k, v in high.items() if isinstance(v, dict) and k in low}
    return low | high | both


def _line(problem: ErrorDetails, written: Mapping[Key, str]) -> str:
    """One line about a value; the value itself is in it unless it may be secret."""
    key = tuple(str(part) for part in problem["loc"] if part != "[key]")
    key = key[: 3 if key[:1] == ("accounts",) else 1]
    where = written.get(key) or next((w for k, w in written.items() if k[: len(key)] == key), _variable(*key))
    if problem["type"] == "missing":
        return f"{where} is missing: set it"
    if problem["type"] == "value_error":
        return f"{where} {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    value = "its value" if key[-1] in _UNQUOTED else f"{problem['input']!r:.60}"
    return f"{where}: {value} {re.sub('^[A-Z][a-z]+ should', 'must', problem['msg'])}"
