"""Planning: a `Change` becomes the fewest calls that carry it out.

The bound that a test holds it to: without a base, one call for each chunk of deletes and each chunk
of adds; with a base, one `replace` (or `create`) and one `add` for each further chunk. Where numbers leave
the group by themselves, those of a chunk leave it together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from numbergroup.engine.commands import NAME, REMARK, Call, CallKind, Command
from numbergroup.engine.merging.merge import Change
from numbergroup.engine.merging.vendor_view import Text, VendorView


class _Target(NamedTuple):
    """`replaces`: whether the vendor can be told all members at once."""

    group_id: str | None
    size: int
    replaces: bool


class _Chunk(NamedTuple):
    """As many numbers as a call may have, which leave the group together."""

    numbers: tuple[str, ...]
    expiry: float | None


def plan(
    change: Change,
    commands: Sequence[Command],
    known: VendorView,
    *,
    group_id: str | None,
    numbers_per_call: int,
    replaces: bool = True,
    marks: bool = True,
) -> list[Call]:
    """The calls that are still needed, in the order in which they must be made.

    An empty list means that the vendor has been told everything already. After a looking call
    (`READ_MEMBERS`) the caller takes in what was found and plans again. For a vendor that has no replace
    (not `replaces`) the only base can be a create, of this very sequence. A create that `marks` its group may
    have a name that a later rename gave; else it has its own, for it is by that name that it is known again.
    """
    if change.delete is not None:
        return [] if group_id is None else [Call(CallKind.DELETE_GROUP, group_id=group_id)]
    target = _Target(group_id, numbers_per_call, replaces)
    if change.create is not None and group_id is None:
        return _creation(change, commands, change.create, target, marks)
    return _numbers(change, commands, known, target) + _renaming(change, commands, known.texts, group_id)


def _numbers(change: Change, commands: Sequence[Command], known: VendorView, target: _Target) -> list[Call]:
    if change.base is None or not (target.replaces or known.complete):
        # A group that one of these made can have no numbers but those that they name.
        gone = [number for number in change.unwanted() if known.is_blank or known.needs(number, False)]
        return _edit(gone, _needed(change, commands, known, target), target)
    return _rebase(change, commands, change.base, known, target)


def _renaming(
    change: Change, commands: Sequence[Command], known: Mapping[str, Text], group_id: str | None
) -> list[Call]:
    """The one call that sets the texts which the vendor does not have yet."""
    wanted = {name: commands[by].text(name) for name, by in change.names.items()}
    new = {name: text for name, text in wanted.items() if name not in known or known[name].value != text}
    if not new:
        return []
    return [Call(CallKind.RENAME, (), group_id, group_name=new.get(NAME), remark=new.get(REMARK))]


def _creation(
    change: Change, commands: Sequence[Command], create: int, target: _Target, marks: bool
) -> list[Call]:
    command = commands[create]
    texts: dict[str, str | None] = {NAME: command.group_name, REMARK: command.remark}
    for name, by in change.names.items():
        if marks or name != NAME:
            texts[name] = commands[by].text(name)
    chunks = _wanted(change, change.wanted(), commands, target)
    # The vendor requires phones: a group that ends empty is made with one number, which is then deleted.
    first, *rest = chunks or [_Chunk(command.numbers[:1], command.number_expiry)]
    calls = [
        Call(
            CallKind.CREATE,
            first.numbers,
            group_name=texts[NAME],
            remark=texts[REMARK],
            expires_at=first.expiry,
        )
    ]
    calls += [_add(chunk, None) for chunk in rest]
    if not chunks:
        calls.append(Call(CallKind.DELETE, first.numbers))
    made = {name: Text(text, None) for name, text in texts.items()}
    return calls + _renaming(change, commands, made, None)


def _rebase(
    change: Change, commands: Sequence[Command], base: int, known: VendorView, target: _Target
) -> list[Call]:
    wanted, group_id = change.wanted(), target.group_id
    # An empty replace cannot be said: replace by one number of the commands', then delete it.
    one = next(iter((*change.decided, *commands[base].numbers[:1])), None)
    if wanted:
        first, *rest = _wanted(change, wanted, commands, target)
        calls = [Call(CallKind.REPLACE, first.numbers, group_id, expires_at=first.expiry)]
        calls += [_add(chunk, group_id) for chunk in rest]
    elif one is not None:
        calls = [Call(CallKind.REPLACE, (one,), group_id), Call(CallKind.DELETE, (one,), group_id)]
    else:
        calls = [Call(CallKind.READ_MEMBERS, group_id=group_id)]
    if known.complete:
        members = set(wanted)
        gone = [n for n in known.possible if n not in members and known.needs(n, False)]
        residue = _edit(gone, _needed(change, commands, known, target), target)
        if len(residue) <= len(calls) or calls[0].kind is CallKind.READ_MEMBERS or not target.replaces:
            return residue
    return calls


def _needed(
    change: Change, commands: Sequence[Command], known: VendorView, target: _Target
) -> Iterable[_Chunk]:
    """What is to be put into the group still."""
    decided, new = change.decided, change.wanted()
    if not known.is_blank:
        new = [n for n in new if known.needs(n, True, commands[decided[n].by].number_expiry)]
    return _wanted(change, new, commands, target)


def _wanted(
    change: Change, numbers: Sequence[str], commands: Sequence[Command], target: _Target
) -> list[_Chunk]:
    """The numbers by when they leave the group, in the order of the first of each."""
    if all(command.number_expiry is None for command in commands):
        return [_Chunk(some, None) for some in _chunks(numbers, target.size)]
    together: dict[float | None, list[str]] = {}
    for number in numbers:
        expiry = commands[change.decided[number].by].number_expiry
        together.setdefault(expiry, []).append(number)
    return [_Chunk(some, expiry) for expiry, all_ in together.items() for some in _chunks(all_, target.size)]


def _edit(gone: Sequence[str], new: Iterable[_Chunk], target: _Target) -> list[Call]:
    deletes = [Call(CallKind.DELETE, some, target.group_id) for some in _chunks(gone, target.size)]
    return deletes + [_add(chunk, target.group_id) for chunk in new]


def _add(chunk: _Chunk, group_id: str | None) -> Call:
    return Call(CallKind.ADD, chunk.numbers, group_id, expires_at=chunk.expiry)


def _chunks(numbers: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(numbers), size):
        yield tuple(numbers[start : start + size])
