"""The groups of an account, as the vendor lists them, and what to say when it does not."""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import typer

from numbergroup.bootstrap import open_caller
from numbergroup.bootstrap.brokers import count_backlog
from numbergroup.bootstrap.vendor_advice import suggest_settings
from numbergroup.brokers.amqp import queue_depth
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import UnfitServer, connect
from numbergroup.cli.broker import broker_failure, broker_url, is_amqp_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.ledger import ledger_failure, ledger_url
from numbergroup.cli.output import pluralize
from numbergroup.engine.commands import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    CommandKind,
    Group,
    Outcome,
    Throttled,
    Unavailable,
)
from numbergroup.engine.group.creation import strip_marker
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability import logging
from numbergroup.settings import Settings, load_settings, require_accounts
from numbergroup.vendors.port import Capabilities
from numbergroup_contracts.commands import PHONE


class Account:
    """One account of the settings, whose vendor can list groups.

    Raises `SettingsError` when none is configured, `typer.BadParameter` for another name, and for a vendor
    that has no list.
    """

    def __init__(self, name: str) -> None:
        self.settings: Settings = load_settings()
        self.name = name
        accounts = require_accounts(self.settings)
        if name not in accounts:
            known = ", ".join(sorted(accounts))
            raise typer.BadParameter(
                f"no account {name!r} is configured, only {known}", param_hint="--account"
            )
        account = accounts[name]
        self.can: Capabilities = account.vendor().capabilities
        if CommandKind.LIST not in self.can.commands:
            raise typer.BadParameter(
                f"unsupported: the vendor of account {name!r} ({account.provider}) has no list of groups",
                param_hint="--account",
            )

    @property
    def speakable(self) -> Callable[[str], object]:
        """Whether a command for the account may name this number."""
        contract = re.compile(PHONE).fullmatch
        if self.can.number_pattern is None:
            return contract
        vendors = re.compile(self.can.number_pattern).fullmatch
        return lambda number: contract(number) and vendors(number)

    def listed(self, *, whole: bool = True) -> Sequence[Group]:
        """Return all groups in the vendor's order, without the workers' markers in their remarks.

        Raises `CommandError` when the vendor does not answer. When some groups may be missing, raises
        `CommandError` if the `whole` list is needed, and otherwise prints a warning.
        """
        settings = self.settings
        logging.configure(settings.log_format, "error" if settings.log_level == "error" else "warning")
        try:
            outcome = asyncio.run(self._look())
        except LedgerUnavailable as error:
            raise ledger_failure(settings, error) from None
        if not isinstance(outcome, Applied):
            raise CommandError(
                f"the groups of account {self.name} cannot be listed: {_why(outcome)}"
                f"{suggest_settings(settings, self.name, outcome)}"
            )
        groups = outcome.groups or ()
        if not outcome.complete:
            problem = outcome.incomplete_reason
            if whole:
                raise CommandError(
                    f"the groups of account {self.name} cannot be compared: {problem}; try again"
                )
            typer.echo(f"warning: {problem}", err=True)
        return [strip_marker(group) for group in groups]

    async def _look(self) -> Outcome:
        async with open_caller(self.settings, self.name, await self._ledger()) as (caller, limiter):
            await limiter.acquire()
            # Any look through all groups; this one promises nothing else.
            ended = await caller.run(Call(CallKind.READ_MEMBERS), _Nobody(), _nothing_to_record)
        return ended.outcome

    async def _ledger(self) -> str | None:
        """Where the workers, if there are any, keep the account's rate limit."""
        if self.settings.broker_url is None:
            return ledger_url(self.settings) if await _is_there(embedded.PORT) else None
        return None if self.settings.effective_ledger_url is None else ledger_url(self.settings)

    def waiting(self) -> str | None:
        """What to say of commands that wait in the broker, if any do; also when nobody knows."""
        try:
            count = asyncio.run(self._count())
        except (BrokerUnavailable, UnfitServer) as error:
            return f"whether commands wait in the broker is not known: {broker_failure(self.settings, error)}"
        if not count:
            return None
        verb = "waits" if count == 1 else "wait"
        return f"{pluralize(count, 'message')} {verb} in the broker: what they will change is not in this"

    async def _count(self) -> int:
        settings = self.settings
        if settings.broker_url is None and not await _is_there(embedded.PORT):
            return 0
        url = broker_url(settings)
        if is_amqp_url(url):
            return sum((await asyncio.to_thread(queue_depth.count_ready, url, settings.partitions)).values())
        client = connect(url)
        try:
            return sum((await count_backlog(url, client, settings.partitions)).values())
        finally:
            await client.aclose()


class _Nobody:
    """Who looks holds no lease."""

    async def outlives(self, _: float) -> bool:
        return True


async def _nothing_to_record(_: float) -> bool:
    return True


async def _is_there(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _why(outcome: Outcome) -> str:
    match outcome:
        case AccountFault(code, message):
            return f"the vendor does not take the account's credentials ({code}): {message}"
        case Throttled(retry_after_s, _, message):
            when = "later" if retry_after_s is None else f"in {retry_after_s:.0f} s"
            return f"the vendor asks for fewer calls: {message}; try again {when}"
        case Unavailable(message):
            return message
        case _:
            return f"{getattr(outcome, 'message', outcome)} ({getattr(outcome, 'code', None)})"
