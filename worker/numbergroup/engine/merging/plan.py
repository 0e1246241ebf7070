"""Plans the fewest vendor calls that carry out a `Change`.

Tests check this upper bound. Without a base: one call per chunk of deletes and per chunk of adds. With one:
one `replace` or `create`, and one `add` for each further chunk. The numbers of a chunk share their expiry.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from numbergroup.engine.calls import Call, CallKind
from numbergroup.engine.commands import NAME, REMARK, Command
from numbergroup.engine.merging.merge import Change
from numbergroup.engine.merging.vendor_view import TextWrite, VendorView


class _Target(NamedTuple):
    """The group that calls go to, and the limits of these calls.

    `size`: the most numbers per call. `has_replace`: whether the vendor can replace all members in one call.
    """

    group_id: str | None
    size: int
    has_replace: bool


class _Chunk(NamedTuple):
    """Numbers for one call, with one expiry (Unix seconds)."""

    numbers: tuple[str, ...]
    expiry: float | None


def plan(
    change: Change,
    commands: Sequence[Command],
    view: VendorView,
    *,
    group_id: str | None,
    numbers_per_call: int,
    has_replace: bool = True,
    writes_marker: bool = True,
) -> list[Call]:
    """Return the calls that are still needed, in order. An empty list means that nothing is left to do.

    After a `READ_MEMBERS` call, the caller updates `view` with the members and plans again.
    Without `has_replace`, the only possible base is a create of this sequence.
    With `writes_marker`, the create call may carry the name of a later rename. Without it, the create keeps
    its own name, because a lost create is identified by that name.
    """
    if change.delete is not None:
        return [] if group_id is None else [Call(CallKind.DELETE_GROUP, group_id=group_id)]
    target = _Target(group_id, numbers_per_call, has_replace)
    if change.create is not None and group_id is None:
        return _create_calls(change, commands, change.create, target, writes_marker=writes_marker)
    renames = _rename_calls(change, commands, view.texts, group_id)
    return _number_calls(change, commands, view, target) + renames


def _number_calls(
    change: Change, commands: Sequence[Command], view: VendorView, target: _Target
) -> list[Call]:
    """Return the calls that change the members of an existing group."""
    if change.base is None or not (target.has_replace or view.complete):
        # A group that this sequence created has only numbers that its commands name.
        deletes = [
            number
            for number in change.numbers_to_delete()
            if view.is_blank or view.needs_write(number, False)
        ]
        return _edit_calls(deletes, _missing_chunks(change, commands, view, target), target)
    return _rebase_calls(change, commands, change.base, view, target)


def _rename_calls(
    change: Change, commands: Sequence[Command], texts: Mapping[str, TextWrite], group_id: str | None
) -> list[Call]:
    """Return the call, if one is needed, that sets the texts which differ from `texts` at the vendor."""
    wanted = {name: commands[position].text_value(name) for name, position in change.texts.items()}
    changed = {name: text for name, text in wanted.items() if name not in texts or texts[name].value != text}
    if not changed:
        return []
    return [Call(CallKind.RENAME, (), group_id, group_name=changed.get(NAME), remark=changed.get(REMARK))]


def _create_calls(
    change: Change,
    commands: Sequence[Command],
    create: int,
    target: _Target,
    *,
    writes_marker: bool,
) -> list[Call]:
    """Return the calls that create the group and bring it into its final state."""
    command = commands[create]
    texts: dict[str, str | None] = {NAME: command.group_name, REMARK: command.remark}
    for name, position in change.texts.items():
        if writes_marker or name != NAME:
            texts[name] = commands[position].text_value(name)
    chunks = _expiry_chunks(change, change.numbers_to_add(), commands, target)
    # The vendor requires phones. A group that ends empty is created with one number, which is then deleted.
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
    calls += [_add_call(chunk, None) for chunk in rest]
    if not chunks:
        calls.append(Call(CallKind.DELETE, first.numbers))
    created = {name: TextWrite(text, None) for name, text in texts.items()}
    return calls + _rename_calls(change, commands, created, None)


def _rebase_calls(
    change: Change, commands: Sequence[Command], base: int, view: VendorView, target: _Target
) -> list[Call]:
    """Return the calls that give the group exactly the members that the change adds.

    This is a `replace`, or fewer single edits if all current members are known.
    """
    to_add, group_id = change.numbers_to_add(), target.group_id
    # The vendor has no empty replace: the group is replaced by one named number, which is then deleted.
    any_number = next(iter((*change.winners, *commands[base].numbers[:1])), None)
    if to_add:
        first, *rest = _expiry_chunks(change, to_add, commands, target)
        calls = [Call(CallKind.REPLACE, first.numbers, group_id, expires_at=first.expiry)]
        calls += [_add_call(chunk, group_id) for chunk in rest]
    elif any_number is not None:
        numbers = (any_number,)
        calls = [Call(CallKind.REPLACE, numbers, group_id), Call(CallKind.DELETE, numbers, group_id)]
    else:
        calls = [Call(CallKind.READ_MEMBERS, group_id=group_id)]
    if view.complete:
        members = set(to_add)
        deletes = [n for n in view.possible_members if n not in members and view.needs_write(n, False)]
        edits = _edit_calls(deletes, _missing_chunks(change, commands, view, target), target)
        if len(edits) <= len(calls) or calls[0].kind is CallKind.READ_MEMBERS or not target.has_replace:
            return edits
    return calls


def _missing_chunks(
    change: Change, commands: Sequence[Command], view: VendorView, target: _Target
) -> Iterable[_Chunk]:
    """Return the numbers that still have to be added, in chunks."""
    winners, numbers = change.winners, change.numbers_to_add()
    if not view.is_blank:
        numbers = [
            n for n in numbers if view.needs_write(n, True, commands[winners[n].position].number_expiry)
        ]
    return _expiry_chunks(change, numbers, commands, target)


def _expiry_chunks(
    change: Change, numbers: Sequence[str], commands: Sequence[Command], target: _Target
) -> list[_Chunk]:
    """Return the numbers in chunks of equal expiry, in the order in which the expiries first occur."""
    if all(command.number_expiry is None for command in commands):
        return [_Chunk(chunk, None) for chunk in _chunks(numbers, target.size)]
    by_expiry: dict[float | None, list[str]] = {}
    for number in numbers:
        expiry = commands[change.winners[number].position].number_expiry
        by_expiry.setdefault(expiry, []).append(number)
    return [
        _Chunk(chunk, expiry) for expiry, group in by_expiry.items() for chunk in _chunks(group, target.size)
    ]


def _edit_calls(deletes: Sequence[str], adds: Iterable[_Chunk], target: _Target) -> list[Call]:
    calls = [Call(CallKind.DELETE, chunk, target.group_id) for chunk in _chunks(deletes, target.size)]
    return calls + [_add_call(chunk, target.group_id) for chunk in adds]


def _add_call(chunk: _Chunk, group_id: str | None) -> Call:
    return Call(CallKind.ADD, chunk.numbers, group_id, expires_at=chunk.expiry)


def _chunks(numbers: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(numbers), size):
        yield tuple(numbers[start : start + size])
