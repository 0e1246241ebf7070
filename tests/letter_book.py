"""Letters in memory, as `worker/brokers/settle.lua` keeps them, and the operator who replays them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from numbergroup.engine.commands import Entry, GroupRef
from numbergroup.engine.replays import REPLAY_TAG_PREFIX, LaterWrites, Replay
from numbergroup.engine.settling.dead_letters import DeadLetterRecord
from numbergroup.engine.settling.settlement import Settlement
from numbergroup_contracts.dead_letters import DeadLetter, PastFailure

_STEP = 2**20


def field_of(ref: GroupRef) -> str:
    return f"{ref.account}\0{ref.kind}\0{ref.name}"


@dataclass
class LetterBook:
    """`side` has what is being replayed, by its tag; `lettered` counts letters and replays by group."""

    letters: dict[str, tuple[int, DeadLetterRecord]] = field(default_factory=dict)
    side: dict[str, tuple[bytes, Replay]] = field(default_factory=dict)
    lettered: Counter[str] = field(default_factory=Counter)
    since: dict[str, LaterWrites] = field(default_factory=dict)
    settlements: int = 0
    _tags: int = 0

    def write(self, unit: Settlement) -> None:
        if unit.dead_letters or unit.decisions:
            self.settlements += 1
        base = self.settlements * _STEP
        for letter in unit.dead_letters:
            name, held = letter.id, self.letters.get(letter.id)
            if held is not None and held[1].fingerprint != letter.fingerprint:
                name = f"{letter.id}.{letter.fingerprint}"
            if name in self.letters:
                continue
            order = base + letter.position if letter.order is None else letter.order
            self.letters[name] = (order, letter)
            if letter.group is not None:
                self.lettered[field_of(letter.group)] += 1
        for decision in unit.decisions:
            name = field_of(decision.group)
            if not self.lettered[name]:
                continue
            since = self.since.setdefault(name, LaterWrites())
            order = base + decision.position if decision.order is None else decision.order
            if decision.number is None:
                since.add(order, ())
            else:
                since.add(-1, [(decision.number, decision.present, order)])
        for tag, name in unit.replayed:
            if self.side.pop(tag, None) is not None and name is not None:
                self.lettered[name] -= 1
        for name in [name for name, count in self.lettered.items() if not count]:
            del self.lettered[name]
            self.since.pop(name, None)

    def replay(self, letter_id: str, body: bytes | None = None, *, force: bool = False) -> Entry:
        """Move the letter to the side log; the entry that a worker reads of it there."""
        order, letter = self.letters.pop(letter_id)
        contents = DeadLetter.model_validate_json(letter.description)
        replay = Replay(
            letter_id,
            contents.replays + 1,
            order,
            None if letter.group is None else field_of(letter.group),
            None if contents.firstTime is None else contents.firstTime.timestamp(),
            contents.attempts,
            (*contents.history, PastFailure(time=contents.time, error=contents.error)),
            force,
        )
        self._tags += 1
        tag = f"{REPLAY_TAG_PREFIX}{self._tags}-0"
        self.side[tag] = (letter.body if body is None else body, replay)
        return self.read(tag)

    def read(self, tag: str, partition: int = 0, settled: Iterable[int] = ()) -> Entry:
        body, replay = self.side[tag]
        return Entry(partition, tag, body, settled=set(settled), replay=replay)

    def known_since(self, ref: GroupRef) -> LaterWrites | None:
        """A copy: a look-up is of its moment."""
        found = self.since.get(field_of(ref))
        return None if found is None else LaterWrites(found.everything, dict(found.numbers))


def description(letter: DeadLetterRecord) -> dict[str, object]:
    contents: dict[str, object] = orjson.loads(letter.description)
    return contents
