"""`numbergroup publish`."""

import asyncio
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import typer
from redis.exceptions import RedisError

from worker.brokers import embedded
from worker.brokers.connect import connect
from worker.cli.endings import Failure
from worker.cli.lines import read_commands
from worker.engine.model import Command, HandleKind
from worker.ledger import keys
from worker.settings import Settings, load_settings, redact_url

_AT_ONCE = 500
T = TypeVar("T")


def run(file: Path, batch: int, source: str, account: str | None) -> None:
    """Publish every command of the file; prints how many, and where they went."""
    settings = load_settings()
    commands = read_commands(file, source, account)
    url = broker_url(settings)
    count = asyncio.run(_publish(url, commands, batch, settings.partitions))
    typer.echo(f"published {len(commands)} commands in {count} messages to {redact_url(url)}")


def broker_url(settings: Settings) -> str:
    """The configured broker, or the embedded one of a worker that runs on this machine."""
    if settings.broker_url is not None:
        return settings.broker_url.get_secret_value()
    return f"redis://127.0.0.1:{embedded.PORT}/0"


def unreachable(url: str, error: Exception) -> Failure:
    return Failure(
        f"no broker at {redact_url(url)} ({error}): set NUMBERGROUP_BROKER_URL, or start `numbergroup run`"
    )


def partition_of(command: Command, partitions: int) -> int:
    """CRC-32 of the handle, as in zlib; what has no handle may go anywhere, and goes to 0."""
    if command.group.kind is HandleKind.OWN:
        return 0
    return zlib.crc32(command.group.name.encode()) % partitions


async def _publish(url: str, commands: Sequence[tuple[bytes, Command]], batch: int, partitions: int) -> int:
    streams: dict[int, list[bytes]] = {}
    for body, command in commands:
        streams.setdefault(partition_of(command, partitions), []).append(body)
    messages = [
        (keys.commands(partition), bodies[0] if batch == 1 else b"[" + b",".join(bodies) + b"]")
        for partition, events in streams.items()
        for bodies in _chunks(events, batch)
    ]
    client = connect(url)
    try:
        for some in _chunks(messages, _AT_ONCE):
            pipe = client.pipeline(transaction=False)
            for stream, body in some:
                pipe.xadd(stream, {"event": body})
            await pipe.execute()
    except (RedisError, OSError) as error:
        raise unreachable(url, error) from None
    finally:
        await client.aclose()
    return len(messages)


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
