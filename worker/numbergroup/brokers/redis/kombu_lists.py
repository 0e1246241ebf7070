"""The lists to which kombu's producers publish, and the way from there into the partitions' streams.

kombu pushes to the left: the right end of a list is its oldest message. Of each message its body goes on
as it is; what its envelope says beside is a note in a field of its own.
"""

import asyncio
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import orjson
from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.brokers.redis.envelope import Unpacked, unpack
from numbergroup.engine.commands import Command, Entry, HandleKind, Refusal
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.decoding.lenient_decode import elements
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup_contracts import names

NOTE = b"kombu"
"""The field of an entry that came over a list. Any producer may write it: it says nothing that its
producer might not say in an envelope."""

LISTS = (names.COMMANDS, *(f"{names.COMMANDS}\x06\x16{step}" for step in (3, 6, 9)))
"""One for each priority that kombu has, in the order in which it serves them."""

_POLL_S = 0.04
_MOST_MESSAGES = 500
_MOST_BYTES = 256 * 1024
_NOTED = ("reply_to", "correlation_id", "problem")
_LONGEST_TEXT = 255
_LONGEST_NOTE = 4_096

log = get_logger("commands")


def encode_note(message: Unpacked) -> bytes:
    """What the envelope says beside the body, for the field `NOTE`."""
    said = {name: getattr(message, name) for name in _NOTED}
    return orjson.dumps({name: text for name, text in said.items() if text is not None})


def decode_note(value: bytes) -> dict[str, Any] | None:
    """What a note says: properties of an `Entry`; `None` if it is no note."""
    try:
        said = orjson.loads(value) if len(value) <= _LONGEST_NOTE else None
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    texts = {name: text for name in _NOTED if isinstance(text := said.get(name), str) and text}
    return {"listed": True} | {name: text[:_LONGEST_TEXT] for name, text in texts.items()}


class ListMover:
    """Moves what is on the lists, all of it or nothing, in order; `intake` tells whose each event is."""

    def __init__(self, client: Redis, partitions: int, intake: Intake) -> None:
        self._client = client
        self._partitions = partitions
        self._intake = intake
        self._others: list[bytes] = []
        here = files(__package__)
        self._peek = client.register_script(here.joinpath("peek.lua").read_text())
        self._move = client.register_script(here.joinpath("move.lua").read_text())

    async def move_messages(self, epoch: int) -> None:
        """Move some messages, or wait a little where there are none.

        Raises `StaleEpoch` when partition 0 has another owner, and `BrokerUnavailable`.
        """
        async with translate_errors(BrokerUnavailable):
            used = await self._client.exists(*LISTS)
            found: Any = used and await self._peek(keys=LISTS, args=[_MOST_MESSAGES, _MOST_BYTES])
        name, messages, others = found or (b"", [], [])
        self._complain(others)
        if not messages:
            await asyncio.sleep(_POLL_S)
            return
        args: list[bytes | str | int] = [epoch, len(messages), *messages]
        for raw in messages:
            unpacked = unpack(raw, self._intake.max_bytes)
            for partition, body in self._shares(unpacked):
                args += (partition + 1, body, encode_note(unpacked))
        streams = [keys.commands(partition) for partition in range(self._partitions)]
        failpoints.hit("moving from a list")
        async with translate_errors(BrokerUnavailable):
            answer = await self._move(keys=[keys.of_partition(0, keys.EPOCH), name, *streams], args=args)
        if answer == b"stale":
            raise StaleEpoch(f"partition 0: epoch {epoch} is over")
        failpoints.hit("moved from a list")
        # Or else the list had changed in between (the answer to moving the same got lost): look again.

    def _complain(self, others: list[bytes]) -> None:
        """Name the keys that are no lists, once for as long as they stay so."""
        for key in others:
            if key not in self._others:
                log.error("nothing is read from this key: it is no list", key=key.decode())
        self._others = others

    def _shares(self, message: Unpacked) -> Iterable[tuple[int, bytes]]:
        """What each partition gets of a message: the events of its groups, in their order."""
        if self._partitions == 1 or message.problem is not None:
            return [(0, message.body)]
        entry = Entry(0, "", message.body)
        shares: dict[int, list[int]] = {}
        for item in self._intake.read(entry):
            partition, index = self._place(item)
            shares.setdefault(partition, []).append(index)
        if len(shares) == 1:
            return [(partition, message.body) for partition in shares]
        events, _ = elements(message.body)
        return [
            (partition, b"[" + b",".join(events[index] for index in indexes) + b"]")
            for partition, indexes in shares.items()
        ]

    def _place(self, item: Command | Refusal) -> tuple[int, int]:
        if isinstance(item, Refusal):
            return 0, item.origin.index
        group = item.group
        own = group.kind is HandleKind.OWN
        return 0 if own else names.partition_of(group.name, self._partitions), item.origins[0].index
