"""From commands in whatever form to messages: nothing here knows a broker."""

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

_CHUNK = 1_000
_CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """A command that is one. `handle` is its group's, empty where it addresses none."""

    body: bytes
    handle: str


@dataclass(frozen=True, slots=True)
class Message:
    """`lane`: the stream or routing key that it goes to. `commands`: how many are in the body."""

    lane: str
    body: bytes
    commands: int


def chunks(commands: Iterable[Publishable], batch: int, most_bytes: int) -> Iterator[list[Event]]:
    """Some thousand commands at a time, as events; raises `InvalidCommand` before a chunk that has one."""
    most = batch * -(-_CHUNK // batch)
    chunk: list[Event] = []
    size = 0
    for index, command in enumerate(commands):
        event = read(command, index, most_bytes)
        chunk.append(event)
        size += len(event.body)
        if len(chunk) == most or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def read(command: Publishable, index: int, most_bytes: int) -> Event:
    """JSON stays as it stands, byte by byte."""
    try:
        body = _body(command)
        if b"NaN" in body or b"Infinity" in body:
            # pydantic takes what RFC 8259 does not have, and the worker refuses.
            from_json(body, allow_inf_nan=False)
        found = COMMAND_ADAPTER.validate_json(body)
    except ValidationError as error:
        # Not its own text: that quotes the values, and phone numbers are among them.
        raise InvalidCommand(index, explain(error)) from None
    except ValueError as error:
        raise InvalidCommand(index, f"not JSON: {error}") from None
    if len(body) > most_bytes:
        raise InvalidCommand(index, f"it has {len(body):,} bytes, a message may have {most_bytes:,}")
    return Event(body, handle_of(found))


def _body(command: Publishable) -> bytes:
    if isinstance(command, bytes):
        return command
    if isinstance(command, str):
        return command.encode()
    if isinstance(command, BaseModel):
        return command.model_dump_json(exclude_none=True).encode()
    return to_json(command)


def handle_of(command: AnyCommand) -> str:
    """What partitions are chosen by."""
    if command.type == CREATE:
        return command.data.groupKey or ""
    return "" if command.type == LIST else command.data.handle


def messages(
    events: Sequence[Event], lane_of: Callable[[str], str], batch: int, most_bytes: int
) -> Iterator[Message]:
    """The order within a lane is kept; an array is of one lane, and no larger than a message may be."""
    if batch == 1:
        yield from (Message(lane_of(event.handle), event.body, 1) for event in events)
        return
    lanes: dict[str, list[bytes]] = {}
    for event in events:
        lanes.setdefault(lane_of(event.handle), []).append(event.body)
    for lane, bodies in lanes.items():
        for some in _packed(bodies, batch, most_bytes):
            yield Message(lane, _array(some, most_bytes), len(some))


def _packed(bodies: Sequence[bytes], most: int, most_bytes: int) -> Iterator[list[bytes]]:
    """Runs of `most` events, fewer where the array would be too large."""
    run: list[bytes] = []
    size = 1
    for body in bodies:
        if run and (len(run) == most or size + len(body) + 1 > most_bytes):
            yield run
            run, size = [], 1
        run.append(body)
        size += len(body) + 1
    if run:
        yield run


def _array(bodies: Sequence[bytes], most_bytes: int) -> bytes:
    array = b"[" + b",".join(bodies) + b"]"
    # An event may be as large as a message; the brackets around it would be too much.
    return array if len(array) <= most_bytes else bodies[0]
