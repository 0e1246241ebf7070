"""Reading settings from the environment and the files that it names."""

import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.errors import PREFIX, Key, SettingsError, variable
from numbergroup.settings.files import fill_in, read_env_file, read_toml
from numbergroup.settings.keys import check_known, keys, variables
from numbergroup.settings.model import Settings
from numbergroup.settings.urls import SecretUrl
from numbergroup.settings.vendors import credential_keys
from numbergroup_contracts.publishing.urls import InvalidUrl, check_tls, parse, unverified

_OF_ENVIRONMENT = (("config",), ("env_file",))
_UNQUOTED = {"broker_url", "ledger_url", "base_url"}


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of `environ` (by default the process's) and of the files that it names.

    Raises SettingsError on what is unknown, unreadable, empty, of a wrong type or out of range.
    """
    given, named = _environment(os.environ if environ is None else environ)
    file = given.get(("config",), "")
    table = read_toml(file) if file.strip() else {}
    written = {key: f"{'.'.join(key)} in {file}" for key in keys(table)}
    for key, text in written.items():
        check_known(key, text, lambda *parts: ".".join(parts))
        if key in _OF_ENVIRONMENT:
            raise SettingsError(f"{text} has no effect there: set {variable(*key)} in the environment")
    source = EnvSettingsSource(Settings, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {variable(*key).lower(): value for key, value in given.items()}
    values = _merged(table, source())
    written |= named
    written |= fill_in(values, written, credential_keys())
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    else:
        return _with_urls(settings, written)
    # Not above: its context would hold the values.
    first, *others = dict.fromkeys(_line(problem, written) for problem in problems)
    raise SettingsError(first, others=others)


def _with_urls(settings: Settings, written: Mapping[Key, str]) -> Settings:
    """The settings, once the files that their URLs name were read. With `TLS_VERIFY=off` the URLs contain it:
    it goes wherever a URL goes. Raises SettingsError."""
    changed: dict[str, SecretUrl] = {}
    for key in ("broker_url", "ledger_url"):
        url: SecretUrl | None = getattr(settings, key)
        if url is None:
            continue
        try:
            check_tls(parse(url.get_secret_value()))
        except InvalidUrl as error:
            raise SettingsError(f"{written[key,]} {error}") from None
        if settings.tls_verify == "off":
            changed[key] = SecretUrl(unverified(url.get_secret_value()))
    return settings.model_copy(update=changed) if changed else settings


def _environment(environ: Mapping[str, str]) -> tuple[dict[Key, str], dict[Key, str]]:
    """What the environment and the environment file set, and how it is written there; the former wins."""
    named = variables(environ)
    given = {key: environ[name] for key, name in named.items()}
    file = given.get(("env_file",), "")
    if not file.strip():
        return given, named
    more = read_env_file(file)
    for key, name in variables(more, file).items():
        where = f"{name} in {file}"
        if key == ("env_file",):
            raise SettingsError(f"{where} has no effect there: an environment file names no other")
        if key not in given:
            given[key], named[key] = more[name], where
    return given, named


def require_accounts(settings: Settings) -> dict[str, AccountSettings]:
    """The accounts, at least one; raises SettingsError when there is none."""
    if not settings.accounts:
        key, secret = (variable("accounts", "default", part) for part in ("access_key", "access_secret"))
        raise SettingsError(f"no account is configured: set {key} and {secret} to what the vendor gave you")
    return settings.accounts


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merged(low[k], v) for k, v in high.items() if isinstance(v, dict) and k in low}
    return low | high | both


def _line(problem: ErrorDetails, written: Mapping[Key, str]) -> str:
    """One line about a value; the value itself is in it unless it may be secret."""
    key = tuple(str(part) for part in problem["loc"] if part != "[key]")
    key = key[: 3 if key[:1] == ("accounts",) else 1]
    where = written.get(key) or next((w for k, w in written.items() if k[: len(key)] == key), variable(*key))
    if problem["type"] == "missing":
        return f"{where} is missing: set it"
    if problem["type"] == "value_error":
        return f"{where} {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    value = "its value" if key[-1] in _UNQUOTED.union(credential_keys()) else _quoted(problem["input"])
    return f"{where}: {value} {re.sub('^[A-Z][a-z]+ should', 'must', problem['msg'])}"


def _quoted(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except ValueError:  # a hexadecimal number of more digits than Python writes
        return "its value"
