"""Probation: how workers that die again and again find out of which message. Pure.

A crash says that one of the messages in hand may be the reason. One or two say no more, for most have other
reasons: a deploy, a machine without memory. From the second on it is written down which messages are in
hand before they are looked at, and after each further crash fewer are let in at a time, until the culprit is
alone.

    crashes      1        2                             …            K - 2    K - 1          K
    suspects     (any)    (any)                         in hand at every crash since         condemned
    at a time    all      max_pending ^ (1 - 1/(K-3))   ever fewer   1        1              1

Whoever survives is no suspect any more: one that was settled, or lived with for a while (its group may be
parked, and groups are independent). When there are no suspects left, all is forgotten.

The promise: condemned is only what was in hand at each of the last K - 2 crashes that were counted, and
alone at the last of them (from K = 4 on, at the last two: else several kills from outside, in a row, would
condemn whatever they meet). What had been lived with may be in hand beside it, but then only the 2K-th crash
condemns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile

_UNRECORDED = 2
"""At so many crashes it begins to be written down what is in hand."""
_LIFE_S = 600.0
"""Who has lived for so long, whatever it had in hand, is not in a crash loop."""


@dataclass(slots=True, frozen=True)
class InHand:
    """Digests of the messages that were let in and not settled, one of each, in their order.

    `elsewhere`: the worker had messages of other partitions in hand, too.
    """

    fresh: tuple[str, ...] = ()
    lived_with: tuple[str, ...] = ()
    elsewhere: bool = False

    def __bool__(self) -> bool:
        return bool(self.fresh or self.lived_with)


@dataclass(slots=True, frozen=True)
class History:
    """What is known of a partition's crashes, since all was well.

    `suspects`: digests of the messages that may be the reason, empty when it may be any. `condemned`: the
    one that is; it must not be decoded any more. `unread`: it killed even so, and must not be looked at.
    """

    crashes: int = 0
    suspects: tuple[str, ...] = ()
    condemned: str | None = None
    unread: bool = False

    def after(self, in_hand: InHand, most: int) -> "History":
        """Another crash, with these messages in hand; at `most` crashes the culprit is condemned."""
        if self.crashes < _UNRECORDED:
            return History(self.crashes + 1)
        if not in_hand:
            # It died of something else. If it did so at its start, an innocent message would be next.
            return self
        held = _once((*in_hand.fresh, *in_hand.lived_with))
        if self.condemned in held:
            return replace(self, unread=self.unread or in_hand.fresh == (self.condemned,))
        known = frozenset(self.suspects)
        suspects = tuple(one for one in held if one in known) if known else held
        crashes = self.crashes + 1
        if not suspects:
            # None of them was in hand before: whatever killed then, this is the first that is known of it.
            suspects, crashes = held, _UNRECORDED + 1
        alone = len(in_hand.fresh) == 1 and in_hand.fresh[0] in suspects
        if alone and crashes >= (2 * most if in_hand.lived_with or in_hand.elsewhere else most):
            return History(crashes, in_hand.fresh, in_hand.fresh[0])
        return History(crashes, suspects)


@dataclass(slots=True, frozen=True)
class Caution:
    """`max_crashes`: how many condemn, 3 at least. `max_pending`: how much may be in hand at all.

    `patience_s`: for so long a message is waited for until it is settled; then it is one to be lived with.
    """

    max_crashes: int = 5
    max_pending: int = 20_000
    patience_s: float = 30.0

    def limit(self, crashes: int) -> int | None:
        """How many suspects may be in hand after so many crashes; None for no limit."""
        if crashes < _UNRECORDED:
            return None
        # At the last two of K crashes it must have been alone: an accident hardly hits the same one twice.
        stages = max(1, self.max_crashes - 3)
        share: float = self.max_pending ** (1 - min(crashes - 1, stages) / stages)
        return max(1, round(share))


@dataclass(slots=True)
class Probation:
    """One owner's, from `began` on. Messages go by tags, what they say by digests; times are seconds.

    All that its predecessor had in hand is among the next `max_pending` messages.
    """

    history: History
    caution: Caution
    began: float
    _suspects: frozenset[str] = frozenset()
    _fresh: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lived_with: dict[str, str] = field(default_factory=dict)
    _head: set[str] = field(default_factory=set)
    """What is in hand of the messages that the predecessor may have had in hand."""
    _let_in: int = 0
    _left: set[str] = field(default_factory=set)
    _moved_at: float = 0.0

    def __post_init__(self) -> None:
        self._suspects = frozenset(self.history.suspects)
        self._left = set(self._suspects)
        self._moved_at = self.began

    @property
    def recorded(self) -> bool:
        """Whether what is in hand must be written down, before it is looked at."""
        return self.history.crashes >= _UNRECORDED

    @property
    def watching(self) -> bool:
        """Whether a message is waited for, until it is settled or has been lived with."""
        return bool(self._fresh)

    def in_hand(self, elsewhere: bool = False) -> InHand:
        fresh = _once(digest for digest, _ in self._fresh.values())
        return InHand(fresh, _once(self._lived_with.values()), elsewhere)

    def limit(self, digest: str) -> int | None:
        """How many of its kind may be in hand: of the suspects, or of those that nobody has accused yet."""
        crashes = self.history.crashes
        if self._suspects and digest not in self._suspects:
            crashes = min(crashes, _UNRECORDED)
        return self.caution.limit(crashes)

    def room(self, digests: Sequence[str], now: float) -> int:
        """How many of the next messages may be let in. Suspects and others are never in hand together."""
        self._look(now)
        self._moved_at = now
        if not digests:
            return 0
        most, accused = self.limit(digests[0]), digests[0] in self._suspects
        if most is None:
            return len(digests)
        # Of those in hand one tells for all.
        if any((digest in self._suspects) is not accused for digest, _ in islice(self._fresh.values(), 1)):
            return 0
        alike = takewhile(lambda digest: (digest in self._suspects) is accused, digests)
        return min(max(0, most - len(self._fresh)), len([*alike]))

    def let_in(self, tags: Sequence[str], digests: Sequence[str], now: float) -> None:
        """These are in hand from now on."""
        self._fresh.update((tag, (digest, now)) for tag, digest in zip(tags, digests, strict=True))
        self._head.update(tags[: max(0, self.caution.max_pending - self._let_in)])
        self._let_in += len(tags)

    def come_again(self, tags: Iterable[str]) -> None:
        """What is in hand of these counts no more: the broker took it back, and delivers it once more."""
        for tag in tags:
            self._fresh.pop(tag, None)
            self._lived_with.pop(tag, None)
            self._let_in -= tag in self._head
            self._head.discard(tag)

    def settled(self, tags: Iterable[str], now: float) -> None:
        """These have left the broker."""
        for tag in tags:
            digest = self._lived_with.pop(tag, None)
            if tag in self._fresh:
                digest, _ = self._fresh.pop(tag)
            self._head.discard(tag)
            if digest is not None:
                self._left.discard(digest)
                self._moved_at = now

    def over(self, now: float) -> bool:
        """Whether all who might have been the reason were survived."""
        self._look(now)
        if self.history.suspects and not self._left:
            return True
        through = self._let_in >= self.caution.max_pending and not self._head
        return through or now - self.began >= _LIFE_S

    def idle(self, now: float) -> bool:
        """Whether there was nothing to let in for a while, and nothing is in hand: it is over then, too."""
        busy = self._fresh or self._lived_with
        return not busy and now - self._moved_at >= self.caution.patience_s

    def _look(self, now: float) -> None:
        for tag, (digest, since) in [*self._fresh.items()]:
            if now - since < self.caution.patience_s:
                break
            del self._fresh[tag]
            self._lived_with[tag] = digest
            self._head.discard(tag)
            if digest != self.history.condemned:
                self._left.discard(digest)


def _once(digests: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(digests))
