"""Changing the letters: each page is one script, with its counters and its entry in the audit stream.

Every method may raise `LedgerUnavailable`. Then it is not known whether the page at hand was changed: asking
again does nothing twice, for what is done is gone from the letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import orjson
from redis.asyncio import Redis

from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.port import LedgerUnavailable

PAGE = 100
"""So many letters are changed at once, at most."""
PAGE_BYTES = 4 * 1024 * 1024
"""And so many bytes of them, more or less."""

_SHARED = [keys.LETTER_COUNT, keys.FINGERPRINTS, keys.SHAPES, keys.LETTERED, keys.AUDIT]
_UNCOUNTED = "-"
_ORDERS_A_UNIT = 2**20

Arguments = list[bytes | str | int]


@dataclass(slots=True)
class Action:
    """One thing that an operator does, in as many pages as it takes.

    The audit stream has one entry of it, which always says what is done by then; `asked` is what selected
    the letters.
    """

    who: str
    name: str
    asked: dict[str, Any] = field(default_factory=dict)
    entry: bytes = b""
    changed: int = 0
    ids: bytes = b""
    listed: int = 0


@dataclass(slots=True, frozen=True)
class Move:
    """A letter on its way to the side log of `partition`: `group` is the one that is watched for it."""

    letter: Letter
    partition: int
    event: bytes
    replay: bytes
    group: str | None


@dataclass(slots=True, frozen=True)
class Arrival:
    """A letter from elsewhere, with its fingerprint's `shape`. Its order counts if it is `of_this_ledger`."""

    letter: Letter
    shape: bytes | None
    of_this_ledger: bool


class LetterChanger:
    """`client` must not send twice what it got no answer to: what was done is said by the answers."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client
        folder = files(__package__)
        prelude = folder.joinpath("prelude.lua").read_text()

        def script(name: str) -> Any:
            return client.register_script(prelude + folder.joinpath(f"{name}.lua").read_text())

        self._replay, self._discard = script("replay"), script("discard")
        self._edit, self._import = script("edit"), script("import")

    async def replay(self, action: Action, moves: Sequence[Move]) -> list[bool]:
        """Move them, in this order, to the side logs. False: it was gone, or edited, meanwhile."""
        arguments: Arguments = []
        for move in moves:
            letter = move.letter
            stays = move.group == letter.lettered
            arguments += [*_removal(letter, leaves=None if stays else letter.lettered)]
            arguments += ["" if stays else move.group or "", keys.of_partition(move.partition, keys.SIDE)]
            arguments += [move.event, move.replay, letter.original or b""]
        return await self._run(self._replay, action, arguments)

    async def discard(self, action: Action, letters: Sequence[Letter]) -> list[bool]:
        """Remove them for good. False: it was gone, or edited, meanwhile."""
        arguments = [one for letter in letters for one in _removal(letter, leaves=letter.lettered)]
        return await self._run(self._discard, action, arguments)

    async def edit(self, action: Action, letter: Letter, edited: Letter, now_ms: int) -> bool:
        """Write it anew. False: it was gone, or edited by somebody else, meanwhile."""
        stays = letter.lettered == edited.lettered
        stream, index, letter_id, as_json, entry, _print, group, since = _removal(
            letter, leaves=None if stays else letter.lettered
        )
        enters = "" if stays else edited.lettered or ""
        arguments: Arguments = [stream, index, letter_id, as_json, entry, group, since, enters, now_ms]
        for name, value in edited.fields.items():
            arguments += [name, value]
        return (await self._run(self._edit, action, arguments))[0]

    async def add(self, action: Action, arrivals: Sequence[Arrival], now_ms: int) -> list[bool]:
        """Write letters from elsewhere. False: one of that id is there.

        One whose order means nothing here gets the next: only what comes after it counts as decided since.
        """
        async with translate_errors(LedgerUnavailable):
            unit = int(await self._client.incr(keys.SETTLEMENTS))
        arguments: Arguments = []
        for place, arrival in enumerate(arrivals):
            letter = arrival.letter
            next_order = unit * _ORDERS_A_UNIT + place
            keeps = arrival.of_this_ledger and letter.order is not None and letter.order < next_order
            order = letter.order if keeps else next_order
            fields = {**letter.fields, b"order": str(order).encode()}
            ordered = Letter(letter.partition, letter.entry, fields)
            stream, index, letter_id, as_json, *_ = _removal(ordered, leaves=None)
            arguments += [stream, index, letter_id, as_json, letter.partition, ordered.counted_as or ""]
            arguments += [arrival.shape or b"", ordered.lettered or "", now_ms, 2 * len(fields)]
            for name, value in fields.items():
                arguments += [name, value]
        return await self._run(self._import, action, arguments, keys.LETTER_PARTITIONS)

    async def _run(
        self, script: Any, action: Action, letters: Sequence[bytes | str | int], *more_keys: str
    ) -> list[bool]:
        # Open at its end: the script says how many letters, and which.
        detail = orjson.dumps(action.asked)[:-1] + (b"," if action.asked else b"")
        so_far: Arguments = [action.entry, action.changed, action.ids, action.listed]
        async with translate_errors(LedgerUnavailable):
            entry, changed, ids, listed, answers = await script(
                keys=[*_SHARED, *more_keys], args=[action.who, action.name, detail, *so_far, *letters]
            )
        action.entry, action.changed, action.ids, action.listed = entry, int(changed), ids, int(listed)
        return [bool(answer) for answer in answers]


def _removal(letter: Letter, *, leaves: str | None) -> list[str]:
    """What a script needs to take a letter out."""
    counted = letter.counted_as
    return [
        keys.of_partition(letter.partition, keys.DEAD_LETTERS),
        keys.of_partition(letter.partition, keys.LETTER_INDEX),
        letter.id,
        orjson.dumps(letter.id).decode(),
        letter.entry,
        _UNCOUNTED if counted is None else counted,
        leaves or "",
        keys.since(leaves) if leaves else "",
    ]
