"""Loads settings from the environment, and from the files that it names."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.errors import PREFIX, Key, SettingsError, variable
from numbergroup.settings.files import read_env_file, read_secret_files, read_toml
from numbergroup.settings.keys import drop_key, explain_unknown_key, find_variables, list_keys
from numbergroup.settings.model import Settings
from numbergroup.settings.urls import SecretUrl
from numbergroup.settings.vendors import credential_keys
from numbergroup_contracts.publishing.urls import InvalidUrl, check_tls, parse, unverified

_OF_ENVIRONMENT = (("config",), ("env_file",))
_UNQUOTED = {"broker_url", "ledger_url", "base_url"}


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Returns the settings of `environ` (by default the process's), and of the files that it names.

    Raises SettingsError with all settings that are unknown, unreadable, empty, of a wrong type, or out of
    range.
    """
    problems: list[str] = []
    variables, variable_names = _read_environment(os.environ if environ is None else environ, problems)
    table, written = _read_table(variables.get(("config",), ""), problems)
    source = EnvSettingsSource(Settings, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {variable(*key).lower(): value for key, value in variables.items()}
    values = _merge(table, source())
    written |= variable_names
    file_keys = read_secret_files(values, written, credential_keys(), problems)
    written |= file_keys
    problems += _check_tls_files(values, written)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [
            line
            for problem in error.errors(include_url=False)
            if not (problem["type"] == "missing" and _find_key(problem) in file_keys)
            for line in _explain_problem(problem, written)
        ]
    else:
        if not problems:
            return _disable_verification(settings)
    # Raised outside of `except`, whose context would contain the values.
    first, *others = dict.fromkeys(problems)
    raise SettingsError(first, others=others)


def _read_table(file: str, problems: list[str]) -> tuple[dict[str, Any], dict[Key, str]]:
    """Returns the known settings of the TOML file, and how each key is written there.

    Unknown keys are added to `problems`. Raises SettingsError at once if the file cannot be read, because
    other problems may follow from that.
    """
    table = _read_file(read_toml, file, problems) if file.strip() else {}
    written: dict[Key, str] = {}
    for key in [*list_keys(table)]:
        text = f"{'.'.join(key)} in {file}"
        problem = explain_unknown_key(key, text, lambda *parts: ".".join(parts))
        if problem is None and key in _OF_ENVIRONMENT:
            problem = f"{text} has no effect there: set {variable(*key)} in the environment"
        if problem is None:
            written[key] = text
        else:
            problems.append(problem)
            drop_key(table, key)
    return table, written


def _read_file(read: Callable[[str], dict[str, Any]], file: str, problems: list[str]) -> dict[str, Any]:
    try:
        return read(file)
    except SettingsError as error:
        first, *others = [*problems, str(error)]
        raise SettingsError(first, others=others) from None


def _check_tls_files(values: Mapping[str, Any], written: Mapping[Key, str]) -> Iterator[str]:
    """Yields problems with the TLS files that URLs name. The model refuses invalid URLs."""
    for key in ("broker_url", "ledger_url"):
        url = values.get(key)
        if not isinstance(url, str):
            continue
        try:
            address = parse(url.strip())
        except InvalidUrl:
            continue
        try:
            check_tls(address)
        except InvalidUrl as error:
            yield f"{written[key,]} {error}"


def _disable_verification(settings: Settings) -> Settings:
    """Returns the settings with `TLS_VERIFY=off` applied to the URLs of broker and ledger."""
    if settings.tls_verify == "on":
        return settings
    urls = {key: getattr(settings, key) for key in ("broker_url", "ledger_url")}
    changed = {key: SecretUrl(unverified(url.get_secret_value())) for key, url in urls.items() if url}
    return settings.model_copy(update=changed)


def _read_environment(
    environ: Mapping[str, str], problems: list[str]
) -> tuple[dict[Key, str], dict[Key, str]]:
    """Returns the values that the environment and its file set, and the names of the variables.

    The environment overrides the file.
    """
    variable_names = find_variables(environ, problems)
    variables = {key: environ[name] for key, name in variable_names.items()}
    file = variables.get(("env_file",), "")
    if not file.strip():
        return variables, variable_names
    more = _read_file(read_env_file, file, problems)
    for key, name in find_variables(more, problems, file).items():
        where = f"{name} in {file}"
        if key == ("env_file",):
            problems.append(f"{where} has no effect there: an environment file names no other")
        elif key not in variables:
            variables[key], variable_names[key] = more[name], where
    return variables, variable_names


def require_accounts(settings: Settings) -> dict[str, AccountSettings]:
    """Returns the accounts. Raises SettingsError if there is none."""
    if not settings.accounts:
        key, secret = (variable("accounts", "default", part) for part in ("access_key", "access_secret"))
        raise SettingsError(f"no account is configured: set {key} and {secret} to what the vendor gave you")
    return settings.accounts


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merge(low[k], v) for k, v in high.items() if isinstance(v, dict) and k in low}
    return low | high | both


def _find_key(problem: ErrorDetails) -> Key:
    key = tuple(str(part) for part in problem["loc"] if part != "[key]")
    return key[: 3 if key[:1] == ("accounts",) else 1]


def _explain_problem(problem: ErrorDetails, written: Mapping[Key, str]) -> list[str]:
    """Returns the error lines for a validation problem. They quote the value unless it may be secret."""
    key = _find_key(problem)
    where = written.get(key) or next((w for k, w in written.items() if k[: len(key)] == key), variable(*key))
    if problem["type"] == "missing":
        return [f"{where} is missing: set it"]
    if problem["type"] == "value_error":
        error = problem["ctx"]["error"]
        return [f"{where} {error}"] if key else [*error.args]
    value = "its value" if key[-1] in _UNQUOTED.union(credential_keys()) else _quote_value(problem["input"])
    return [f"{where}: {value} {re.sub('^[A-Z][a-z]+ should', 'must', problem['msg'])}"]


def _quote_value(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except ValueError:  # a number with more digits than Python converts to text
        return "its value"
