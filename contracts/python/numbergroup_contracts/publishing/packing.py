"""Validates commands and packs them into messages, for any broker."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from numbergroup_contracts.commands import COMMAND_ADAPTER, CREATE, LIST, AnyCommand
from numbergroup_contracts.explanation import explain
from numbergroup_contracts.publishing.errors import InvalidCommand

Publishable = AnyCommand | Mapping[str, Any] | bytes | str
"""A command: its model, its event as a dict, or its event in JSON."""

_CHUNK_COMMANDS = 1_000
_CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """A valid command. `handle` is its group's; empty if it addresses no group."""

    body: bytes
    handle: str


@dataclass(frozen=True, slots=True)
class Message:
    """`destination`: the stream or routing key. `commands`: how many commands the body has."""

    destination: str
    body: bytes
    commands: int


def read_chunks(commands: Iterable[Publishable], batch: int, max_bytes: int) -> Iterator[list[Event]]:
    """Yield about a thousand commands at a time, as events.

    Raises `InvalidCommand` before it yields a chunk that has an invalid command.
    """
    chunk_size = batch * -(-_CHUNK_COMMANDS // batch)
    chunk: list[Event] = []
    size = 0
    for index, command in enumerate(commands):
        event = read_event(command, index, max_bytes)
        chunk.append(event)
        size += len(event.body)
        if len(chunk) == chunk_size or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def read_event(command: Publishable, index: int, max_bytes: int) -> Event:
    """Return the command as an event. JSON is kept unchanged. Raises `InvalidCommand`."""
    try:
        body = _encode(command)
        if b"NaN" in body or b"Infinity" in body:
            # pydantic accepts them, but RFC 8259 and the worker do not.
            from_json(body, allow_inf_nan=False)
        model = COMMAND_ADAPTER.validate_json(body)
    except ValidationError as error:
        # Not the error's own text: it quotes values, which may be phone numbers.
        raise InvalidCommand(index, explain(error)) from None
    except ValueError as error:
        raise InvalidCommand(index, f"not JSON: {error}") from None
    if len(body) > max_bytes:
        raise InvalidCommand(index, f"it has {len(body):,} bytes, a message may have {max_bytes:,}")
    return Event(body, _handle(model))


def _encode(command: Publishable) -> bytes:
    if isinstance(command, bytes):
        return command
    if isinstance(command, str):
        return command.encode()
    if isinstance(command, BaseModel):
        return command.model_dump_json(exclude_none=True).encode()
    return to_json(command)


def _handle(command: AnyCommand) -> str:
    """Return the handle of the command's group; empty if it addresses no group."""
    if command.type == CREATE:
        return command.data.groupKey or ""
    return "" if command.type == LIST else command.data.handle


def pack_messages(
    events: Sequence[Event], find_destination: Callable[[str], str], batch: int, max_bytes: int
) -> Iterator[Message]:
    """Yield messages with up to `batch` events of one destination each, and at most `max_bytes`.

    The order of events within a destination is kept. `find_destination` maps a handle to its destination.
    """
    if batch == 1:
        yield from (Message(find_destination(event.handle), event.body, 1) for event in events)
        return
    by_destination: dict[str, list[bytes]] = {}
    for event in events:
        by_destination.setdefault(find_destination(event.handle), []).append(event.body)
    for destination, bodies in by_destination.items():
        for run in _split_runs(bodies, batch, max_bytes):
            yield Message(destination, _encode_array(run, max_bytes), len(run))


def _split_runs(bodies: Sequence[bytes], batch: int, max_bytes: int) -> Iterator[list[bytes]]:
    """Yield runs of `batch` events, or fewer if their array would be too large."""
    run: list[bytes] = []
    size = 1
    for body in bodies:
        if run and (len(run) == batch or size + len(body) + 1 > max_bytes):
            yield run
            run, size = [], 1
        run.append(body)
        size += len(body) + 1
    if run:
        yield run


def _encode_array(bodies: Sequence[bytes], max_bytes: int) -> bytes:
    array = b"[" + b",".join(bodies) + b"]"
    # A single event may be as large as a message: then there is no room for brackets.
    return array if len(array) <= max_bytes else bodies[0]
