"""How much a report says."""

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.snapshot import GroupView, PartitionView, Snapshot
from numbergroup.runtime.reporting import shorten


def view(parked: int, held: int) -> PartitionView:
    def groups(count: int) -> list[GroupView]:
        refs = [GroupRef("default", HandleKind.ID, f"g-{n}") for n in range(count)]
        return [GroupView(ref, 1, 1, None, None, None) for ref in refs]

    return PartitionView(9, 9, 1.0, groups(parked), parked, groups(held), held)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=30), st.integers(1, 100))
def test_no_report_grows_without_bounds(counts: list[tuple[int, int]], most: int) -> None:
    """However many partitions there are, only so many groups are named, those that waited longest of each
    partition; how many there are is said nevertheless."""
    whole = Snapshot({}, {number: view(*pair) for number, pair in enumerate(counts)})
    short = shorten(whole, most)
    assert short.partitions.keys() == whole.partitions.keys()
    for number, one in short.partitions.items():
        full = whole.partitions[number]
        assert (one.parked_groups, one.paused_groups) == (full.parked_groups, full.paused_groups)
        assert one.parked == full.parked[: len(one.parked)]
        assert one.paused == full.paused[: len(one.paused)]
        assert bool(one.parked) == bool(full.parked)
    named = sum(len(one.parked) for one in short.partitions.values())
    assert named <= max(most, len(counts))
    if len(counts) == 1:
        assert named == min(most, counts[0][0])
