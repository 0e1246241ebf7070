"""Changes dead letters: each page is one script, which also updates the counters and the audit stream.

Every method may raise `LedgerUnavailable`. Then the page may be changed or not; repeating the call is safe,
because letters that were changed are no longer found.
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
"""The largest number of letters that one script changes."""
PAGE_BYTES = 4 * 1024 * 1024
"""The approximate size, in bytes, of the letters that one script changes."""

_SHARED = [keys.DEAD_LETTER_COUNT, keys.FINGERPRINTS, keys.SHAPES, keys.DEAD_LETTER_GROUPS, keys.AUDIT]
_UNCOUNTED = "-"
_ORDERS_PER_UNIT = 2**20

Arguments = list[bytes | str | int]


@dataclass(slots=True)
class Action:
    """One action of an operator, carried out in one or more pages.

    The audit stream has one entry for it, which each page brings up to date. `selection` is what selected the
    letters.
    """

    operator: str
    name: str
    selection: dict[str, Any] = field(default_factory=dict)
    entry: bytes = b""
    changed: int = 0
    ids: bytes = b""
    listed: int = 0


@dataclass(slots=True, frozen=True)
class ReplayMove:
    """A replay: the letter, and what is written to the replay stream of `partition`.

    `group` is the field of the group whose later decisions are recorded for it.
    """

    letter: Letter
    partition: int
    event: bytes
    replay: bytes
    group: str | None


@dataclass(slots=True, frozen=True)
class ImportedLetter:
    """A letter to import, with the `shape` of its fingerprint.

    Its order is kept only if it `is_from_this_ledger`.
    """

    letter: Letter
    shape: bytes | None
    is_from_this_ledger: bool


class LetterChanger:
    """Changes dead letters. `client` must not retry commands: a retried script would not report what it
    changed."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client
        folder = files(__package__)
        prelude = folder.joinpath("prelude.lua").read_text()

        def script(name: str) -> Any:
            return client.register_script(prelude + folder.joinpath(f"{name}.lua").read_text())

        self._replay, self._discard = script("replay"), script("discard")
        self._edit, self._import = script("edit"), script("import")

    async def replay(self, action: Action, moves: Sequence[ReplayMove]) -> list[bool]:
        """Move the letters, in this order, to the replay streams.

        Returns for each whether it was moved; False if it was removed or edited meanwhile.
        """
        arguments: Arguments = []
        for move in moves:
            letter = move.letter
            keeps_group = move.group == letter.group_field
            arguments += [*_removal_arguments(letter, leaves=None if keeps_group else letter.group_field)]
            arguments += [
                "" if keeps_group else move.group or "",
                keys.of_partition(move.partition, keys.REPLAYS),
            ]
            arguments += [move.event, move.replay, letter.original or b""]
        return await self._run(self._replay, action, arguments)

    async def discard(self, action: Action, letters: Sequence[Letter]) -> list[bool]:
        """Delete the letters.

        Returns for each whether it was deleted; False if it was removed or edited meanwhile.
        """
        arguments = [
            argument
            for letter in letters
            for argument in _removal_arguments(letter, leaves=letter.group_field)
        ]
        return await self._run(self._discard, action, arguments)

    async def edit(self, action: Action, letter: Letter, edited: Letter, now_ms: int) -> bool:
        """Replace a letter. Returns False if it was removed or edited meanwhile."""
        keeps_group = letter.group_field == edited.group_field
        stream, index, letter_id, as_json, entry, _print, group, since = _removal_arguments(
            letter, leaves=None if keeps_group else letter.group_field
        )
        enters = "" if keeps_group else edited.group_field or ""
        arguments: Arguments = [stream, index, letter_id, as_json, entry, group, since, enters, now_ms]
        for name, value in edited.fields.items():
            arguments += [name, value]
        return (await self._run(self._edit, action, arguments))[0]

    async def add(self, action: Action, arrivals: Sequence[ImportedLetter], now_ms: int) -> list[bool]:
        """Add imported letters. Returns for each whether it was added; False if its id exists.

        A letter of another ledger gets the next order of this one: only decisions after the import count as
        later than it.
        """
        async with translate_errors(LedgerUnavailable):
            unit = int(await self._client.incr(keys.SETTLEMENTS))
        arguments: Arguments = []
        for position, arrival in enumerate(arrivals):
            letter = arrival.letter
            next_order = unit * _ORDERS_PER_UNIT + position
            keeps_order = (
                arrival.is_from_this_ledger and letter.order is not None and letter.order < next_order
            )
            order = letter.order if keeps_order else next_order
            fields = {**letter.fields, b"order": str(order).encode()}
            ordered = Letter(letter.partition, letter.entry, fields)
            stream, index, letter_id, as_json, *_ = _removal_arguments(ordered, leaves=None)
            arguments += [stream, index, letter_id, as_json, letter.partition, ordered.counted_as or ""]
            arguments += [arrival.shape or b"", ordered.group_field or "", now_ms, 2 * len(fields)]
            for name, value in fields.items():
                arguments += [name, value]
        return await self._run(self._import, action, arguments, keys.DEAD_LETTER_PARTITIONS)

    async def _run(
        self, script: Any, action: Action, letters: Sequence[bytes | str | int], *more_keys: str
    ) -> list[bool]:
        # The JSON object is left open: the script adds the number of letters and their ids.
        detail = orjson.dumps(action.selection)[:-1] + (b"," if action.selection else b"")
        so_far: Arguments = [action.entry, action.changed, action.ids, action.listed]
        async with translate_errors(LedgerUnavailable):
            entry, changed, ids, listed, answers = await script(
                keys=[*_SHARED, *more_keys], args=[action.operator, action.name, detail, *so_far, *letters]
            )
        action.entry, action.changed, action.ids, action.listed = entry, int(changed), ids, int(listed)
        return [bool(answer) for answer in answers]


def _removal_arguments(letter: Letter, *, leaves: str | None) -> list[str]:
    """Return a script's arguments for removing a letter; `leaves` is the field of the group that it
    leaves."""
    counted = letter.counted_as
    return [
        keys.of_partition(letter.partition, keys.DEAD_LETTERS),
        keys.of_partition(letter.partition, keys.DEAD_LETTER_INDEX),
        letter.id,
        orjson.dumps(letter.id).decode(),
        letter.entry,
        _UNCOUNTED if counted is None else counted,
        leaves or "",
        keys.since(leaves) if leaves else "",
    ]
