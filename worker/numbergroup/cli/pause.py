"""`numbergroup pause` and `numbergroup resume`: what is said to all workers, through the ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis

from numbergroup.brokers.redis.connect import connect
from numbergroup.cli.ledger import ledger_failure, ledger_url
from numbergroup.cli.operator_name import operator_name
from numbergroup.cli.resuming import throttled_until, what_follows
from numbergroup.cli.screen import print_json
from numbergroup.cli.status.status_report import StatusReport, build_status_report
from numbergroup.cli.times import in_utc
from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.ledger.control_store import RedisControlStore
from numbergroup.ledger.overview import read_overview
from numbergroup.ledger.port import LedgerUnavailable, Pause
from numbergroup.settings import Settings, SettingsError, load_settings
from numbergroup.text.escaping import escaped
from numbergroup_contracts.event import Identifier

T = TypeVar("T")
Target = str | GroupRef
"""An account's name, or a group."""

_LONGEST_REASON = 500
_NAME: TypeAdapter[str] = TypeAdapter(Identifier)


def account(name: str) -> str:
    """Raises `typer.BadParameter` for what can be no account's name."""
    return _checked(name, "NAME")


def group(handle: str, of_account: str) -> GroupRef:
    """The group of `id:…`, `key:…` or a bare id without a colon. Raises `typer.BadParameter`."""
    kind, colon, name = handle.partition(":")
    if not colon:
        kind, name = HandleKind.ID, handle
    elif kind not in (HandleKind.ID, HandleKind.KEY):
        shown = escaped(handle)
        raise typer.BadParameter(
            f"is it the groupId or the groupKey that is {shown!r}? Say id:{shown} or key:{shown}",
            param_hint="HANDLE",
        )
    return GroupRef(_checked(of_account, "--account"), HandleKind(kind), _checked(name, "HANDLE"))


def run_pause(target: Target, reason: str, as_json: bool) -> None:
    """Pause it, and say what was done. Raises `SettingsError` where no worker could hear of it."""
    settings = load_settings()
    reason, me = escaped(" ".join(reason.split()))[:_LONGEST_REASON], operator_name()

    async def act(control_store: RedisControlStore, _: Redis) -> tuple[bool, Pause | None]:
        done = await control_store.pause(target, reason, me)
        return done, (await control_store.read_pauses()).get(target)

    changed, found = _with_control_store(settings, act)
    _warn(settings, target)
    if as_json:
        _print_json(
            target, {"paused": True, "changed": changed, **({} if found is None else _as_json(found))}
        )
    elif changed:
        typer.echo(f"paused {_named(target)}: no call of it begins until it is resumed")
    else:
        typer.echo(f"{_named(target)} was paused already{'' if found is None else _by(found)}")


def run_resume(target: Target, as_json: bool) -> None:
    """Resume it, and say what was done. Raises `SettingsError` where no worker could hear of it."""
    settings, me = load_settings(), operator_name()

    async def act(control_store: RedisControlStore, client: Redis) -> tuple[bool, StatusReport | None]:
        changed = await control_store.resume(target, me)
        try:
            overview = await read_overview(client, settings.partitions)
        except LedgerUnavailable:
            # It is resumed all the same.
            return changed, None
        return changed, build_status_report(overview, None, settings.max_dead_letters, in_hand_counts=False)

    changed, found = _with_control_store(settings, act)
    _warn(settings, target)
    follows = what_follows(found, target) if found else None
    if as_json:
        until = throttled_until(found, target) if found else None
        tried = {} if until is None else {"throttledUntil": in_utc(until)}
        _print_json(target, {"paused": False, "changed": changed, **tried})
    elif changed:
        typer.echo(f"resumed {_named(target)}" + (f"; {follows}" if follows else ""))
    else:
        otherwise = "if something else held it up, it is tried now"
        typer.echo(f"no operator had paused {_named(target)}; {follows or otherwise}")


def _with_control_store(settings: Settings, act: Callable[[RedisControlStore, Redis], Awaitable[T]]) -> T:
    if settings.broker_url is not None and settings.effective_ledger_url is None:
        raise SettingsError(
            "no NUMBERGROUP_LEDGER_URL: workers on RabbitMQ are told through a Redis, and without one nobody "
            "can reach them. Set it, for the workers, too; or stop the worker"
        )
    url = ledger_url(settings)

    async def connected() -> T:
        client = connect(url)
        try:
            return await act(RedisControlStore(client), client)
        finally:
            await client.aclose()

    try:
        return asyncio.run(connected())
    except LedgerUnavailable as error:
        raise ledger_failure(settings, error) from None


def _warn(settings: Settings, target: Target) -> None:
    name = target if isinstance(target, str) else target.account
    if name not in settings.accounts:
        typer.echo(f"warning: no account {escaped(name)} is configured here: is the name right?", err=True)


def _checked(name: str, where: str) -> str:
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise typer.BadParameter("1 to 128 printable characters are needed", param_hint=where) from None


def _named(target: Target) -> str:
    if isinstance(target, str):
        return f"account {escaped(target)}"
    return f"group {target.kind}:{escaped(target.name)} of account {escaped(target.account)}"


def _by(pause: Pause) -> str:
    if not pause.operator:
        return f": {escaped(pause.reason)}"
    return f" by {escaped(pause.operator)} at {in_utc(pause.since)}" + (
        f": {escaped(pause.reason)}" if pause.reason else ""
    )


def _as_json(pause: Pause) -> dict[str, str]:
    return {"reason": pause.reason, "who": pause.operator, "since": in_utc(pause.since)}


def _print_json(target: Target, said: dict[str, Any]) -> None:
    name = target if isinstance(target, str) else target.account
    of_group = {} if isinstance(target, str) else {"group": f"{target.kind}:{target.name}"}
    print_json({"account": name, **of_group, **said})
