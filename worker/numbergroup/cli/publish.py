"""`numbergroup publish`."""

import uuid
from pathlib import Path

import typer

from numbergroup.cli.broker import broker_failure, broker_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.ndjson import read_commands
from numbergroup.cli.output import pluralize
from numbergroup.settings import Settings, load_settings, redact_url
from numbergroup.text.escaping import escaped
from numbergroup_contracts.publishing import ExchangeType, PublishError, deliver

_TIMEOUT_S = 10.0


def run(file: Path, *, batch: int, source: str, account: str | None, exchange: str | None) -> None:
    """Publish all commands of the file; print how many, and to which broker.

    `exchange`: the type of RabbitMQ's exchange, if the user knows it.
    """
    exchange_type = _parse_exchange_type(exchange)
    settings = load_settings()
    url = broker_url(settings)
    attributes = {"source": source} | ({} if account is None else {"account": account})
    commands = read_commands(
        file, lambda _: {"id": str(uuid.uuid4()), **attributes}, settings.max_message_bytes
    )
    bodies = (body for body, _ in commands)
    try:
        receipt = deliver(
            bodies,
            url,
            partitions=settings.partitions,
            batch=batch,
            max_message_bytes=settings.max_message_bytes,
            exchange=exchange_type,
            timeout_s=_TIMEOUT_S,
        )
    except PublishError as error:
        raise _publish_failure(settings, error) from None
    # With the id of a single command the user can look for its result.
    command_id = f" (id {escaped(commands[0][1].key.id)})" if len(commands) == 1 else ""
    messages = f" in {pluralize(receipt.messages, 'message')}" if batch > 1 else ""
    typer.echo(
        f"published {pluralize(receipt.commands, 'command')}{command_id}{messages} to {redact_url(url)}"
    )


def _parse_exchange_type(name: str | None) -> ExchangeType | None:
    try:
        return None if name is None else ExchangeType(name)
    except ValueError:
        problem = f"{name!r} is not {' or '.join(ExchangeType)}"
        raise typer.BadParameter(problem, param_hint="--exchange") from None


def _publish_failure(settings: Settings, error: PublishError) -> CommandError:
    cause = error.__cause__
    failure = CommandError(error.reason) if cause is None else broker_failure(settings, cause)
    if error.confirmed:
        return CommandError(
            f"{failure}\n  {pluralize(error.confirmed, 'command')} had been published by then"
        )
    return failure
