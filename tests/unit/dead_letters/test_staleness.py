"""How stale a letter is, against a model: one group, to which commands are applied one by one."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.commands import Command, CommandKey, CommandKind, GroupRef, HandleKind
from numbergroup.ledger.dead_letters.staleness import (
    Staleness,
    compute_staleness,
    numbers_added_since,
)
from numbergroup.ledger.keys import ALL_NUMBERS

REF = GroupRef("default", HandleKind.ID, "g-1")
CHANGES = (CommandKind.ADD, CommandKind.DELETE, CommandKind.REPLACE)
NUMBERS = ("85211111111", "85211111112", "85211111113", "85211111114")

numbers = st.lists(st.sampled_from(NUMBERS), min_size=1, unique=True).map(tuple)
changes = st.tuples(st.sampled_from(CHANGES), numbers)


def command(kind: CommandKind, of: Sequence[str] = NUMBERS) -> Command:
    return Command(CommandKey("crm", "c-1"), "", kind, REF, tuple(of), "", [])


def applied(group: set[str], kind: CommandKind, of: Sequence[str]) -> set[str]:
    match kind:
        case CommandKind.ADD:
            return group | set(of)
        case CommandKind.DELETE:
            return group - set(of)
        case _:
            return set(of)


def noted(later: Sequence[tuple[CommandKind, Sequence[str]]], order: int) -> dict[str, str]:
    """What workers note of commands that are decided from `order` on."""
    since: dict[str, str] = {}
    for at, (kind, of) in enumerate(later, order):
        if kind is CommandKind.REPLACE:
            since[ALL_NUMBERS] = str(at)
        else:
            since |= dict.fromkeys(of, f"{'+' if kind is CommandKind.ADD else '-'}{at}")
    return since


def test_what_is_left_out_is_named_as_it_was_written() -> None:
    """It is looked up in the one spelling of the account, and shown to people in the producer's."""
    one = command(CommandKind.ADD, ("6591234567", "85211111111"))
    one.normalize_numbers(lambda number: f"91{number}" if len(number) == 10 else number)
    assert one.numbers == ("916591234567", "85211111111")
    assert compute_staleness(one, 1, {"916591234567": "-2"}) == Staleness(("6591234567",))
    assert compute_staleness(one, 1, {"6591234567": "-2"}) == Staleness()
    assert compute_staleness(one, 1, {ALL_NUMBERS: "2"}) == Staleness(
        ("6591234567", "85211111111"), superseded=True
    )


@given(st.sets(st.sampled_from(NUMBERS)), changes, st.lists(changes), st.lists(changes))
def test_a_replay_undoes_nothing(
    before: set[str],
    letter: tuple[CommandKind, Sequence[str]],
    earlier: list[tuple[CommandKind, Sequence[str]]],
    later: list[tuple[CommandKind, Sequence[str]]],
) -> None:
    """Replayed without the numbers that are stale, a command leaves the group as if it had stood at its
    place; what was decided before it has no say in that."""
    kind, of = letter
    since = noted(earlier, 0) | noted(later, 100)
    order = 99
    for change in earlier:
        before = applied(before, *change)
    wanted, now = applied(before, kind, of), before
    for change in later:
        wanted, now = applied(wanted, *change), applied(now, *change)

    stale = compute_staleness(command(kind, of), order, since)
    if not stale.superseded:
        rest = [one for one in of if one not in stale.left_out]
        kept = numbers_added_since(order, since) if kind is CommandKind.REPLACE else []
        now = applied(now, kind, [*rest, *kept])
    assert now == wanted


@given(changes, st.lists(changes, min_size=1))
def test_superseded(
    letter: tuple[CommandKind, Sequence[str]], later: list[tuple[CommandKind, Sequence[str]]]
) -> None:
    """A command is superseded when nothing of it is left, and not before."""
    stale = compute_staleness(command(*letter), 0, noted(later, 1))
    by_all = any(kind is CommandKind.REPLACE for kind, _ in later)
    by_each = letter[0] is not CommandKind.REPLACE and set(letter[1]) <= {n for _, of in later for n in of}
    assert stale.superseded == (by_all or by_each)


def test_groups_as_a_whole() -> None:
    """What creates or deletes a group is stale when the whole group was decided since, and a deletion when
    anything was: it would take that with it. A list never is."""
    whole = {ALL_NUMBERS: "7", NUMBERS[0]: "+9"}
    for kind in (CommandKind.CREATE, CommandKind.DELETE_GROUP):
        assert compute_staleness(command(kind), 6, whole).superseded
        assert not compute_staleness(command(kind), 9, whole)
    assert not compute_staleness(command(CommandKind.CREATE), 0, {NUMBERS[0]: "+9"})
    assert compute_staleness(command(CommandKind.DELETE_GROUP), 8, {NUMBERS[0]: "-9"}).superseded
    assert not compute_staleness(command(CommandKind.LIST, ()), 0, whole)


@given(st.text(), st.text())
def test_junk_decides_nothing(word: str, everything: str) -> None:
    """Whatever lies in the ledger, nothing raises; what is no order is none."""
    since = {NUMBERS[0]: "?" + word, ALL_NUMBERS: "x" + everything}
    assert compute_staleness(command(CommandKind.ADD), 0, since) == Staleness()
    compute_staleness(command(CommandKind.REPLACE), 0, {NUMBERS[0]: word, ALL_NUMBERS: everything})


def test_what_cannot_be_an_order() -> None:
    """It decides nothing, however long it is."""
    junk = {ALL_NUMBERS: "9" * 5_000, NUMBERS[0]: "+" + "9" * 5_000}
    assert compute_staleness(command(CommandKind.ADD), 1, junk) == Staleness()
    assert numbers_added_since(1, junk) == []
