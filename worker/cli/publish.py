"""`numbergroup publish`."""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import typer
from redis.exceptions import RedisError

from contracts.names import partition_of
from worker.brokers.connect import connect
from worker.cli.broker import broker_failure, broker_url
from worker.cli.endings import Failure
from worker.cli.lines import read_commands
from worker.cli.screen import counted
from worker.engine.model import Command, HandleKind
from worker.ledger import keys
from worker.settings import Settings, load_settings, redact_url

_AT_ONCE = 500

Message = tuple[str, bytes, int]
"""A stream, a body for it, and how many commands are in the body."""


def run(file: Path, batch: int, source: str, account: str | None) -> None:
    """Publish every command of the file; prints how many, and where they went."""
    settings = load_settings()
    url = broker_url(settings)
    head = {"source": source} | ({} if account is None else {"account": account})
    commands = read_commands(file, lambda _: {"id": str(uuid.uuid4()), **head}, settings.max_message_bytes)
    messages = list(_messages(commands, batch, settings.partitions, settings.max_message_bytes))
    asyncio.run(_publish(settings, messages))
    # Whoever sent one bare command wants to look for its answer.
    named = f" (id {commands[0][1].key.id})" if len(commands) == 1 else ""
    packed = f" in {counted(len(messages), 'message')}" if batch > 1 else ""
    typer.echo(f"published {counted(len(commands), 'command')}{named}{packed} to {redact_url(url)}")


def _partition(command: Command, partitions: int) -> int:
    """What has no handle may go anywhere, and goes to 0."""
    return 0 if command.group.kind is HandleKind.OWN else partition_of(command.group.name, partitions)


def _messages(
    commands: Sequence[tuple[bytes, Command]], batch: int, partitions: int, most_bytes: int
) -> Iterator[Message]:
    streams: dict[int, list[bytes]] = {}
    for body, command in commands:
        streams.setdefault(_partition(command, partitions), []).append(body)
    for partition, events in streams.items():
        stream = keys.commands(partition)
        if batch == 1:
            yield from ((stream, event, 1) for event in events)
        else:
            yield from (
                (stream, b"[" + b",".join(some) + b"]", len(some))
                for some in _packed(events, batch, most_bytes)
            )


def _packed(events: Sequence[bytes], most: int, most_bytes: int) -> Iterator[list[bytes]]:
    """Runs of `most` events, fewer where the array would be larger than a message may be."""
    run: list[bytes] = []
    size = 1
    for event in events:
        if run and (len(run) == most or size + len(event) + 1 > most_bytes):
            yield run
            run, size = [], 1
        run.append(event)
        size += len(event) + 1
    if run:
        yield run


async def _publish(settings: Settings, messages: Sequence[Message]) -> None:
    client = connect(broker_url(settings))
    rest = iter(messages)
    sent = 0
    try:
        while some := list(islice(rest, _AT_ONCE)):
            pipe = client.pipeline(transaction=False)
            for stream, body, _ in some:
                pipe.xadd(stream, {"event": body})
            for (_, _, count), answer in zip(some, await pipe.execute(raise_on_error=False), strict=True):
                if isinstance(answer, Exception):
                    raise answer
                sent += count
    except (RedisError, OSError) as error:
        failure = broker_failure(settings, error)
        if sent:
            raise Failure(f"{failure}\n  {counted(sent, 'command')} had been published by then") from None
        raise failure from None
    finally:
        await client.aclose()
