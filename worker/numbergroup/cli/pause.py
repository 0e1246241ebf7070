"""`numbergroup pause` and `numbergroup resume`: they change what workers poll in the ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import typer
from redis.asyncio import Redis

from numbergroup.brokers.redis.connect import connect
from numbergroup.cli.identifiers import check_identifier
from numbergroup.cli.ledger import ledger_failure, ledger_url
from numbergroup.cli.operator_name import operator_name
from numbergroup.cli.output import print_json
from numbergroup.cli.resuming import describe_delay, throttled_until
from numbergroup.cli.status.status_report import StatusReport, build_status_report
from numbergroup.cli.times import format_utc
from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.ledger.control_store import RedisControlStore
from numbergroup.ledger.overview import read_overview
from numbergroup.ledger.port import LedgerUnavailable, Pause
from numbergroup.settings import Settings, load_settings
from numbergroup.text.escaping import escaped

T = TypeVar("T")
Target = str | GroupRef
"""The name of an account, or a group."""

_MAX_REASON = 500


def parse_account(name: str) -> str:
    """Return the name. Raises `typer.BadParameter` when no account can have it."""
    return check_identifier(name, "NAME")


def parse_group(handle: str, account: str) -> GroupRef:
    """Return the group of `id:…`, `key:…` or an id without a colon. Raises `typer.BadParameter`."""
    kind, colon, name = handle.partition(":")
    if not colon:
        kind, name = HandleKind.ID, handle
    elif kind not in (HandleKind.ID, HandleKind.KEY):
        shown = escaped(handle)
        raise typer.BadParameter(
            f"{shown!r} may be a groupId or a groupKey: use id:{shown} or key:{shown}", param_hint="HANDLE"
        )
    account = check_identifier(account, "--account")
    return GroupRef(account, HandleKind(kind), check_identifier(name, "HANDLE"))


def run_pause(target: Target, reason: str, *, as_json: bool) -> None:
    """Pause the target and print the result. Raises `SettingsError` when workers have no common ledger."""
    settings, operator = load_settings(), operator_name()
    reason = escaped(" ".join(reason.split()))[:_MAX_REASON]

    async def work(control_store: RedisControlStore, _: Redis) -> tuple[bool, Pause | None]:
        changed = await control_store.pause(target, reason, operator)
        return changed, (await control_store.read_pauses()).get(target)

    changed, pause = _with_control_store(settings, work)
    _warn_if_unknown(settings, target)
    if as_json:
        details = {} if pause is None else _pause_as_json(pause)
        _print_json(target, {"paused": True, "changed": changed, **details})
    elif changed:
        typer.echo(f"paused {_describe(target)}: no call of it begins until it is resumed")
    else:
        origin = "" if pause is None else _describe_origin(pause)
        typer.echo(f"{_describe(target)} was paused already{origin}")


def run_resume(target: Target, *, as_json: bool) -> None:
    """Resume the target and print the result. Raises `SettingsError` when workers have no common ledger."""
    settings, operator = load_settings(), operator_name()

    async def work(control_store: RedisControlStore, client: Redis) -> tuple[bool, StatusReport | None]:
        changed = await control_store.resume(target, operator)
        try:
            overview = await read_overview(client, settings.partitions)
        except LedgerUnavailable:
            # The target is resumed; only the delay is unknown.
            return changed, None
        report = build_status_report(
            overview, None, settings.max_dead_letters, backlog_includes_in_hand=False
        )
        return changed, report

    changed, report = _with_control_store(settings, work)
    _warn_if_unknown(settings, target)
    delay = describe_delay(report, target) if report else None
    if as_json:
        until = throttled_until(report, target) if report else None
        throttled = {} if until is None else {"throttledUntil": format_utc(until)}
        _print_json(target, {"paused": False, "changed": changed, **throttled})
    elif changed:
        typer.echo(f"resumed {_describe(target)}" + (f"; {delay}" if delay else ""))
    else:
        delay = delay or "if something else delayed it, it is tried now"
        typer.echo(f"no operator had paused {_describe(target)}; {delay}")


def _with_control_store(settings: Settings, work: Callable[[RedisControlStore, Redis], Awaitable[T]]) -> T:
    url = ledger_url(settings)

    async def run_connected() -> T:
        client = connect(url)
        try:
            return await work(RedisControlStore(client), client)
        finally:
            await client.aclose()

    try:
        return asyncio.run(run_connected())
    except LedgerUnavailable as error:
        raise ledger_failure(settings, error) from None


def _warn_if_unknown(settings: Settings, target: Target) -> None:
    account = _account_of(target)
    if account not in settings.accounts:
        typer.echo(f"warning: no account {escaped(account)} is configured here: is the name right?", err=True)


def _account_of(target: Target) -> str:
    return target if isinstance(target, str) else target.account


def _describe(target: Target) -> str:
    if isinstance(target, str):
        return f"account {escaped(target)}"
    return f"group {target.kind}:{escaped(target.name)} of account {escaped(target.account)}"


def _describe_origin(pause: Pause) -> str:
    if not pause.operator:
        return f": {escaped(pause.reason)}"
    reason = f": {escaped(pause.reason)}" if pause.reason else ""
    return f" by {escaped(pause.operator)} at {format_utc(pause.since)}{reason}"


def _pause_as_json(pause: Pause) -> dict[str, str]:
    return {"reason": pause.reason, "who": pause.operator, "since": format_utc(pause.since)}


def _print_json(target: Target, result: dict[str, Any]) -> None:
    group = {} if isinstance(target, str) else {"group": f"{target.kind}:{target.name}"}
    print_json({"account": _account_of(target), **group, **result})
