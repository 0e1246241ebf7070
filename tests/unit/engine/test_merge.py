"""Merging: the last word on a number wins, and it is known whose word it was."""

import pytest
from engine_commands import BY_KEY, add, create, delete, delete_group, replace
from engine_strategies import keyed_commands, memberships
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import OneByOne

from numbergroup.engine.commands import Command
from numbergroup.engine.merging.merge import Op, batch_length, merge


def test_an_add_undone_by_a_delete_is_still_deleted() -> None:
    """`add` then `delete` is `delete`, never nothing: the number may have been in the group before."""
    change = merge([add("c1", "a"), delete("c2", "a")], exists=True)
    assert change.numbers_to_delete() == ["a"]
    assert change.numbers_to_add() == []


def test_a_delete_undone_by_an_add_is_still_added() -> None:
    """`delete` then `add` is `add`, never nothing: the number may not have been in the group."""
    change = merge([delete("c1", "a"), add("c2", "a")], exists=True)
    assert change.numbers_to_add() == ["a"]
    assert change.numbers_to_delete() == []


def test_the_decider_of_each_number_is_kept() -> None:
    """Provenance: each number knows the place of the command that said the last word on it."""
    change = merge([add("c1", "ab"), delete("c2", "b"), add("c3", "c")], exists=True)
    deciders = {number: decision.position for number, decision in change.winners.items()}
    assert deciders == {"a": 0, "b": 1, "c": 2}


def test_a_replace_is_the_base_that_later_commands_edit() -> None:
    """`replace` clears what was said before it; later adds and deletes edit its numbers."""
    change = merge([add("c1", "x"), replace("c2", "ab"), delete("c3", "b"), add("c4", "c")], exists=True)
    assert change.base == 1
    assert sorted(change.numbers_to_add()) == ["a", "c"]
    assert "x" not in change.winners


def test_a_creation_is_merged_with_what_follows() -> None:
    """A create and later changes are one creation with the final numbers."""
    change = merge([create("c1", "ab"), delete("c2", "a", BY_KEY), add("c3", "c", BY_KEY)], exists=False)
    assert change.create == change.base == 0
    assert sorted(change.numbers_to_add()) == ["b", "c"]


def test_a_batch_ends_with_a_deletion_of_the_group() -> None:
    """What follows the deletion of a group is not merged with what precedes it."""
    commands = [add("c1", "a", BY_KEY), delete_group("c2", BY_KEY), create("c3", "b"), add("c4", "c", BY_KEY)]
    assert batch_length(commands) == 2
    assert batch_length(commands[2:]) == 2


def test_what_cannot_apply_is_refused_alone() -> None:
    """An update of an unknown group, and one creation too many, are refused; the others go on."""
    commands = [add("c1", "a", BY_KEY), create("c2", "b"), create("c3", "c"), add("c4", "d", BY_KEY)]
    change = merge(commands, exists=False)
    assert {place: fault.kind for place, fault in change.refused.items()} == {
        0: "unknown-group",
        2: "conflict",
    }
    assert sorted(change.numbers_to_add()) == ["b", "d"]


def test_the_command_that_made_the_group_is_no_second_creation() -> None:
    """A create whose group was made in an earlier try of the same batch is the base, not a conflict."""
    first = create("c1", "ab")
    change = merge([first, delete("c2", "a", BY_KEY)], exists=False, created_by=first)
    assert change.create is None
    assert change.refused == {}
    assert change.base == 0
    assert change.numbers_to_add() == ["b"]


@pytest.mark.parametrize("kind", ["twice", "after"])
def test_a_create_beside_the_one_that_made_the_group_is_refused(kind: str) -> None:
    """The group of an unsettled create exists: any other create of the same key is a conflict."""
    first, second = create("c1", "ab"), create("c2", "c")
    commands = [first, second] if kind == "twice" else [first, add("c3", "d", BY_KEY), second]
    change = merge(commands, exists=False, created_by=first)
    assert change.refused.keys() == {len(commands) - 1}
    assert "c" not in change.winners


@given(commands=keyed_commands(), exists=st.booleans(), initial=memberships)
def test_merging_says_of_every_number_what_the_commands_say_one_by_one(
    commands: list[Command], exists: bool, initial: set[str]
) -> None:
    """The merged change, applied to any membership, gives what the commands give one by one."""
    batch = commands[: batch_length(commands)]
    model = OneByOne.starting_with(BY_KEY, initial if exists else None)
    applied = model.apply_all(batch)
    change = merge(batch, exists=exists)

    assert [place not in change.refused for place in range(len(batch))] == applied
    final = model.groups.get(BY_KEY)
    if final is None:
        assert change.delete is not None or (change.create is None and not exists)
        return
    before = set() if change.base is not None else initial
    assert (before - set(change.numbers_to_delete())) | set(change.numbers_to_add()) == final


@given(commands=keyed_commands(), exists=st.booleans(), skip=st.sets(st.integers(0, 9)))
def test_skipped_commands_leave_no_trace(commands: list[Command], exists: bool, skip: set[int]) -> None:
    """Expired commands are passed over as if they had never been there."""
    kept = [command for place, command in enumerate(commands) if place not in skip]
    with_gaps, without = merge(commands, exists=exists, skip=skip), merge(kept, exists=exists)
    assert {n: d.op for n, d in with_gaps.winners.items()} == {n: d.op for n, d in without.winners.items()}
    assert (with_gaps.base is None) == (without.base is None)
    assert len(with_gaps.refused) == len(without.refused)
    for number, decision in with_gaps.winners.items():
        assert commands[decision.position] is kept[without.winners[number].position]


def test_every_update_decides_with_its_own_operation() -> None:
    """`add` puts in, `delete` takes out, `replace` puts in."""
    for make, op in ((add, Op.ADD), (delete, Op.DELETE), (replace, Op.ADD)):
        assert merge([make("c1", "a")], exists=True).winners["a"].op is op
