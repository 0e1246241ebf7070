"""What replays must not undo, where one waits while letters come that are replayed in their turn."""

import pytest
from engine_commands import BY_ID, add, replace

from numbergroup.engine.commands import Command
from numbergroup.engine.events import LookupResult
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.replays import LATEST, LaterWrites, Replay, RetryHistory


def replayed(command: Command, order: int) -> Command:
    command.retry_history = RetryHistory(Replay("letter", 1, order))
    return command


@pytest.mark.parametrize("again", [add("c9", "a"), replace("c9", "b")], ids=["add", "replace"])
def test_what_was_decided_before_a_letter_came_is_not_later_than_it(again: Command) -> None:
    """When the first replay was waiting, everybody was later; the ledger knows who came before the second."""
    partition, group = PartitionState(), GroupState(BY_ID, 0)
    partition.note_order(
        replayed(add("c1", "a"), 5), group, LookupResult(later_writes={BY_ID: LaterWrites()})
    )
    assert group.later_writes is not None
    group.later_writes.add(LATEST, [("a", False, LATEST)])
    looked_up = LaterWrites(6, {"a": (False, 7)})
    partition.note_order(replayed(again, 10), group, LookupResult(later_writes={BY_ID: looked_up}))
    assert group.later_writes.presence_after("a", 10) is None
    assert group.later_writes.everything == 6
    assert group.later_writes.presence_after("a", 5) is False


def test_what_is_decided_during_the_look_up_is_later() -> None:
    """The ledger cannot know it yet."""
    partition, group = (
        PartitionState(writes_during_lookup={BY_ID: LaterWrites(-1, {"a": (False, LATEST)})}),
        GroupState(BY_ID, 0),
    )
    partition.note_order(
        replayed(add("c1", "a"), 5), group, LookupResult(later_writes={BY_ID: LaterWrites()})
    )
    assert group.later_writes is not None
    assert group.later_writes.presence_after("a", 5) is False
