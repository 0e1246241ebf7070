"""Moves messages from the lists of kombu's producers into the partitions' streams.

kombu pushes to the left, so the oldest message is at the right end of a list. A message's body becomes the
entry's `event`, unchanged; the reply address and other facts of its envelope become the entry's field
`kombu`, a note.
"""

import asyncio
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import orjson
from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.brokers.redis.envelope import Unpacked, unpack
from numbergroup.engine.commands import Command, Entry, HandleKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.decoding.json_scanner import split_array
from numbergroup.engine.verdicts import Refusal
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup_contracts import names

NOTE = b"kombu"
"""The field that marks an entry as moved from a list. It is safe if producers write it themselves: they could
state the same in an envelope."""

LISTS = (names.COMMANDS, *(f"{names.COMMANDS}\x06\x16{step}" for step in (3, 6, 9)))
"""kombu's lists, one for each of its priorities, in the order in which it reads them."""

_POLL_S = 0.04
_MAX_MESSAGES = 500
_MAX_BYTES = 256 * 1024
_NOTE_FIELDS = ("reply_to", "correlation_id", "problem")
_LONGEST_TEXT = 255
_LONGEST_NOTE = 4_096

log = get_logger("commands")


def encode_note(message: Unpacked) -> bytes:
    """Return the facts of an envelope beside its body as JSON, for the field `NOTE`."""
    facts = {name: getattr(message, name) for name in _NOTE_FIELDS}
    return orjson.dumps({name: text for name, text in facts.items() if text is not None})


def decode_note(value: bytes) -> dict[str, Any] | None:
    """Return a note's facts as keyword arguments of `Entry`; `None` if the value is no note."""
    try:
        facts = orjson.loads(value) if len(value) <= _LONGEST_NOTE else None
    except ValueError:
        return None
    if not isinstance(facts, dict):
        return None
    texts = {name: text for name in _NOTE_FIELDS if isinstance(text := facts.get(name), str) and text}
    return {"from_list": True} | {name: text[:_LONGEST_TEXT] for name, text in texts.items()}


class ListMover:
    """Moves messages in order, each atomically; `intake` decodes them to find their partitions."""

    def __init__(self, client: Redis, partitions: int, intake: Intake) -> None:
        self._client = client
        self._partitions = partitions
        self._intake = intake
        self._others: list[bytes] = []
        here = files(__package__)
        self._peek = client.register_script(here.joinpath("peek.lua").read_text())
        self._move = client.register_script(here.joinpath("move.lua").read_text())

    async def move_messages(self, epoch: int) -> None:
        """Move some messages, or wait a little if there are none.

        Raises `StaleEpoch` if partition 0 has another owner, and `BrokerUnavailable`.
        """
        async with translate_errors(BrokerUnavailable):
            lists = await self._client.exists(*LISTS)
            peeked: Any = lists and await self._peek(keys=LISTS, args=[_MAX_MESSAGES, _MAX_BYTES])
        name, messages, others = peeked or (b"", [], [])
        self._report_other_types(others)
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
        # Otherwise the list changed in between, for example because an answer was lost: the next call reads
        # it again.

    def _report_other_types(self, others: list[bytes]) -> None:
        """Log each key that is no list, once until its type changes."""
        for key in others:
            if key not in self._others:
                log.error("nothing is read from this key: it is no list", key=key.decode())
        self._others = others

    def _shares(self, message: Unpacked) -> Iterable[tuple[int, bytes]]:
        """Return each partition's share of a message: the body with the events of its groups, in their
        order."""
        if self._partitions == 1 or message.problem is not None:
            return [(0, message.body)]
        entry = Entry(0, "", message.body)
        shares: dict[int, list[int]] = {}
        for item in self._intake.read(entry):
            partition, index = self._place(item)
            shares.setdefault(partition, []).append(index)
        if len(shares) == 1:
            return [(partition, message.body) for partition in shares]
        events, _ = split_array(message.body)
        return [
            (partition, b"[" + b",".join(events[index] for index in indexes) + b"]")
            for partition, indexes in shares.items()
        ]

    def _place(self, item: Command | Refusal) -> tuple[int, int]:
        if isinstance(item, Refusal):
            return 0, item.origin.index
        group = item.group
        has_no_handle = group.kind is HandleKind.OWN
        return 0 if has_no_handle else names.partition_of(group.name, self._partitions), item.origins[0].index
