"""An account's groups, as its vendor lists them."""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import typer

from numbergroup.bootstrap.brokers import count_backlog
from numbergroup.bootstrap.vendor_advice import suggest_settings
from numbergroup.bootstrap.vendor_calls import make_read_call
from numbergroup.brokers.amqp import queue_depth
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import UnfitServer, connect
from numbergroup.cli.broker import broker_failure, broker_url, is_amqp_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.ledger import ledger_failure, ledger_url
from numbergroup.cli.output import pluralize
from numbergroup.engine.calls import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    Group,
    Outcome,
    Throttled,
    Unavailable,
)
from numbergroup.engine.commands import CommandKind
from numbergroup.engine.group.creation import strip_marker
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability import logging
from numbergroup.settings import Settings, load_settings, require_accounts
from numbergroup.vendors.port import Capabilities
from numbergroup_contracts.commands import PHONE

IsNumber = Callable[[str], object]
"""Returns a true value if commands for the account may contain the number."""


class VendorAccount:
    """A configured account whose vendor can list groups.

    Raises `SettingsError` when no account is configured, and `typer.BadParameter` when this one is not, or
    its vendor cannot list groups.
    """

    def __init__(self, name: str) -> None:
        self.settings: Settings = load_settings()
        self.name = name
        accounts = require_accounts(self.settings)
        if name not in accounts:
            configured = ", ".join(sorted(accounts))
            raise typer.BadParameter(
                f"no account {name!r} is configured, only {configured}", param_hint="--account"
            )
        account = accounts[name]
        self.capabilities: Capabilities = account.create_provider().capabilities
        if CommandKind.LIST not in self.capabilities.commands:
            raise typer.BadParameter(
                f"unsupported: the vendor of account {name!r} ({account.provider}) has no list of groups",
                param_hint="--account",
            )

    @property
    def is_number(self) -> IsNumber:
        """Tells whether commands for the account may contain a number."""
        matches_contract = re.compile(PHONE).fullmatch
        if self.capabilities.number_pattern is None:
            return matches_contract
        matches_vendor = re.compile(self.capabilities.number_pattern).fullmatch
        return lambda number: matches_contract(number) and matches_vendor(number)

    def list_groups(self, *, must_be_complete: bool = True) -> Sequence[Group]:
        """Return all groups in the vendor's order, without the workers' markers in their remarks.

        Raises `CommandError` when the vendor does not answer. When some groups may be missing, raises
        `CommandError` if the list `must_be_complete`, and otherwise prints a warning.
        """
        settings = self.settings
        logging.configure(settings.log_format, "error" if settings.log_level == "error" else "warning")
        try:
            outcome = asyncio.run(self._read_groups())
        except LedgerUnavailable as error:
            raise ledger_failure(settings, error) from None
        if not isinstance(outcome, Applied):
            raise CommandError(
                f"the groups of account {self.name} cannot be listed: {_describe_failure(outcome)}"
                f"{suggest_settings(settings, self.name, outcome)}"
            )
        groups = outcome.groups or ()
        if not outcome.complete:
            problem = outcome.incomplete_reason
            if must_be_complete:
                raise CommandError(
                    f"the groups of account {self.name} cannot be compared: {problem}; try again"
                )
            typer.echo(f"warning: {problem}", err=True)
        return [strip_marker(group) for group in groups]

    async def _read_groups(self) -> Outcome:
        # Without a groupId, this call reads all groups.
        return await make_read_call(
            self.settings, self.name, await self._find_ledger(), Call(CallKind.READ_MEMBERS)
        )

    async def _find_ledger(self) -> str | None:
        """Return the URL of the ledger with the account's rate limit; `None` if no worker has one."""
        if self.settings.broker_url is None:
            return ledger_url(self.settings) if await _is_listening(embedded.PORT) else None
        return None if self.settings.effective_ledger_url is None else ledger_url(self.settings)

    def describe_backlog(self) -> str | None:
        """Return a warning if commands wait in the broker, or may wait there."""
        try:
            count = asyncio.run(self._count_backlog())
        except (BrokerUnavailable, UnfitServer) as error:
            return f"whether commands wait in the broker is not known: {broker_failure(self.settings, error)}"
        if not count:
            return None
        verb = "waits" if count == 1 else "wait"
        return f"{pluralize(count, 'message')} {verb} in the broker: their changes are not considered"

    async def _count_backlog(self) -> int:
        settings = self.settings
        if settings.broker_url is None and not await _is_listening(embedded.PORT):
            return 0
        url = broker_url(settings)
        if is_amqp_url(url):
            return sum((await asyncio.to_thread(queue_depth.count_ready, url, settings.partitions)).values())
        client = connect(url)
        try:
            return sum((await count_backlog(url, client, settings.partitions)).values())
        finally:
            await client.aclose()


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _describe_failure(outcome: Outcome) -> str:
    match outcome:
        case AccountFault(code, message):
            return f"the vendor refuses the account ({code}): {message}"
        case Throttled(retry_after_s, _, message):
            when = "later" if retry_after_s is None else f"in {retry_after_s:.0f} s"
            return f"the vendor throttles the account: {message}; try again {when}"
        case Unavailable(message):
            return message
        case _:
            return f"{getattr(outcome, 'message', outcome)} ({getattr(outcome, 'code', None)})"
