"""Shares: everything is owned by somebody, evenly, and no more moves than has to."""

import random

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.runtime.fair_share import fair_share

PARTITIONS = st.integers(1, 1024)
WORKERS = st.integers(1, 1100)


def dues(workers: int, partitions: int) -> list[int]:
    """What each is due, by seniority."""
    return [fair_share(rank, workers, partitions) for rank in range(workers)]


@given(WORKERS, PARTITIONS)
def test_all_partitions_and_evenly(workers: int, partitions: int) -> None:
    """Each partition is somebody's, and no worker has more than one more than another."""
    shares = dues(workers, partitions)
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@given(WORKERS, PARTITIONS)
def test_a_newcomer_moves_its_own_share_only(workers: int, partitions: int) -> None:
    """Nobody gets more because somebody comes, and what the others give is what the newcomer gets."""
    before, after = dues(workers, partitions), dues(workers + 1, partitions)
    given_up = [old - new for old, new in zip(before, after, strict=False)]
    assert min(given_up) >= 0
    assert sum(given_up) == after[-1]


@given(st.integers(2, 1100), PARTITIONS, st.data())
def test_what_is_left_is_all_that_moves(workers: int, partitions: int, data: st.DataObject) -> None:
    """Whoever goes, nobody gives anything up for it."""
    gone = data.draw(st.integers(0, workers - 1))
    before, after = dues(workers, partitions), dues(workers - 1, partitions)
    taken = [new - old for old, new in zip(before[:gone] + before[gone + 1 :], after, strict=True)]
    assert min(taken) >= 0
    assert sum(taken) == before[gone]


class World:
    """Workers that keep to their shares, in any order: owned partitions by worker, the most senior first."""

    def __init__(self, partitions: int, chance: random.Random) -> None:
        self.owned: list[set[int]] = []
        self.free = set(range(partitions))
        self.partitions = partitions
        self.chance = chance
        self.moved = 0

    def turn(self, rank: int) -> bool:
        """What a worker does at its turn; whether it did anything."""
        mine, share = self.owned[rank], fair_share(rank, len(self.owned), self.partitions)
        before = len(mine)
        while len(mine) > share:
            given_up = self.chance.choice(sorted(mine))
            mine.remove(given_up)
            self.free.add(given_up)
        while len(mine) < share and self.free:
            taken = self.chance.choice(sorted(self.free))
            self.free.remove(taken)
            mine.add(taken)
            self.moved += 1
        return len(mine) != before

    def come_to_rest(self) -> None:
        idle = 0
        while idle < 2:
            order = self.chance.sample(range(len(self.owned)), len(self.owned))
            idle = 0 if sum(self.turn(rank) for rank in order) else idle + 1


@given(st.integers(1, 64), st.lists(st.integers(0, 9), min_size=1, max_size=20), st.randoms())
def test_they_come_to_rest(partitions: int, story: list[int], chance: random.Random) -> None:
    """However workers come and go, all is soon owned, and only what had to move has moved."""
    world = World(partitions, chance)
    for step in story:
        if step < len(world.owned) > 1:
            left = world.owned.pop(step)
            world.free |= left
            moves = len(left)
        else:
            world.owned.append(set())
            moves = fair_share(len(world.owned) - 1, len(world.owned), partitions)
        world.moved = 0
        world.come_to_rest()
        assert not world.free
        assert [len(owned) for owned in world.owned] == dues(len(world.owned), partitions)
        assert world.moved == moves
