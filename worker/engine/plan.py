"""Planning: a `Change` becomes the fewest calls that carry it out.

The bound that a test holds it to: without a base, one call for each chunk of deletes and each chunk
of adds; with a base, one `replace` (or `create`) and one `add` for each further chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.engine.merge import Change
from worker.engine.model import Call, CallKind, Command


class Told(NamedTuple):
    """What the vendor was last told of a number, and the requestId of the call that told it."""

    present: bool
    request_id: str | None


@dataclass(slots=True)
class Known:
    """What is known of the group at the vendor from calls of commands that are not settled yet.

    `complete` means that numbers which are not in `told` are known to be absent; `base_request`
    is the call that made it so.
    """

    told: dict[str, Told] = field(default_factory=dict)
    complete: bool = False
    base_request: str | None = None

    def apply(self, call: Call, request_id: str | None) -> None:
        """Take in that the vendor carried `call` out."""
        if call.kind in (CallKind.REPLACE, CallKind.CREATE):
            self.learn_all(call.numbers, request_id)
        elif call.kind in (CallKind.ADD, CallKind.DELETE):
            told = Told(call.kind is CallKind.ADD, request_id)
            self.told.update(dict.fromkeys(call.numbers, told))

    def learn_all(self, members: Sequence[str], request_id: str | None) -> None:
        """Take in that the group has exactly `members`."""
        self.told = dict.fromkeys(members, Told(True, request_id))
        self.complete = True
        self.base_request = request_id

    def doubt(self, call: Call) -> None:
        """Take in that nobody knows whether the vendor carried `call` out."""
        if call.kind in (CallKind.ADD, CallKind.DELETE) and not self.complete:
            for number in call.numbers:
                self.told.pop(number, None)
        else:
            self.told = {}
            self.complete = False

    def says(self, number: str, present: bool) -> bool:
        """Whether it is certain that the number is (not) in the group."""
        told = self.told.get(number)
        if told is None:
            return self.complete and not present
        return told.present is present


def plan(
    change: Change, commands: Sequence[Command], known: Known, *, group_id: str | None, numbers_per_call: int
) -> list[Call]:
    """The calls that are still needed, in the order in which they must be made.

    An empty list means that the vendor has been told everything already. After a looking call
    (`READ_MEMBERS`) the caller takes in what was found and plans again.
    """
    if change.delete is not None:
        return [] if group_id is None else [Call(CallKind.DELETE_GROUP, group_id=group_id)]
    if change.create is not None and group_id is None:
        return _creation(change, commands[change.create], numbers_per_call)
    if change.base is None:
        gone = [number for number in change.unwanted() if not known.says(number, False)]
        new = [number for number in change.wanted() if not known.says(number, True)]
        return _edit(gone, new, group_id, numbers_per_call)
    return _rebase(change, known, group_id, numbers_per_call)


def _creation(change: Change, create: Command, size: int) -> list[Call]:
    # The vendor requires phones: a group that ends empty is made with one number, which is then deleted.
    wanted = change.wanted() or list(create.numbers[:1])
    first, *rest = _chunks(wanted, size)
    calls = [Call(CallKind.CREATE, first, group_name=create.group_name, remark=create.remark)]
    calls += [Call(CallKind.ADD, chunk) for chunk in rest]
    if not change.wanted():
        calls.append(Call(CallKind.DELETE, first))
    return calls


def _rebase(change: Change, known: Known, group_id: str | None, size: int) -> list[Call]:
    wanted = change.wanted()
    if wanted:
        first, *rest = _chunks(wanted, size)
        calls = [Call(CallKind.REPLACE, first, group_id)]
        calls += [Call(CallKind.ADD, chunk, group_id) for chunk in rest]
    elif change.decided:
        # An empty replace cannot be said: replace by one number of the commands', then delete it.
        one = (next(iter(change.decided)),)
        calls = [Call(CallKind.REPLACE, one, group_id), Call(CallKind.DELETE, one, group_id)]
    else:
        calls = [Call(CallKind.READ_MEMBERS, group_id=group_id)]
    if known.complete:
        target = set(wanted)
        gone = [number for number, told in known.told.items() if told.present and number not in target]
        new = [number for number in wanted if not known.says(number, True)]
        residue = _edit(gone, new, group_id, size)
        if len(residue) <= len(calls) or calls[0].kind is CallKind.READ_MEMBERS:
            return residue
    return calls


def _edit(gone: Sequence[str], new: Sequence[str], group_id: str | None, size: int) -> list[Call]:
    return [Call(CallKind.DELETE, chunk, group_id) for chunk in _chunks(gone, size)] + [
        Call(CallKind.ADD, chunk, group_id) for chunk in _chunks(new, size)
    ]


def _chunks(numbers: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(numbers), size):
        yield tuple(numbers[start : start + size])
