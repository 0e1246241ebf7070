"""Encodes and decodes the record of crashes: its history, and the messages in hand.

Decoding never raises for a bad value: it logs what this version cannot read, and forgets it.
"""

import orjson
from pydantic import TypeAdapter, ValidationError

from numbergroup.engine.partition.poison_detection import History, InHand, Step
from numbergroup.observability.logging import get_logger

_HISTORY = TypeAdapter(History)
_IN_HAND: TypeAdapter[tuple[Step | None, tuple[str, ...], int]] = TypeAdapter(
    tuple[Step | None, tuple[str, ...], int]
)

log = get_logger("ledger")


def encode_history(history: History) -> bytes:
    """Return the crash history as JSON."""
    return orjson.dumps(history)


def decode_history(data: bytes | None) -> History:
    """Return the crash history; an empty one if there is none or it cannot be read."""
    try:
        return _HISTORY.validate_json(data, strict=True) if data is not None else History()
    except ValidationError:
        log.error("what is noted of crashes cannot be read: it is forgotten")
        return History()


def encode_in_hand(in_hand: InHand) -> bytes:
    """Return the messages in hand as JSON."""
    return orjson.dumps([in_hand.step, in_hand.digests, in_hand.place])


def decode_in_hand(data: bytes | None) -> InHand:
    """Return the messages in hand; none if nothing is stored or it cannot be read."""
    try:
        return InHand(*_IN_HAND.validate_json(data)) if data else InHand()
    except ValidationError:
        log.error("what is noted of messages in hand cannot be read: it is forgotten")
        return InHand()
