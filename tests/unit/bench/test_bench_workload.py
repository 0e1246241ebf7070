"""What contenders are given."""

from collections import Counter

import orjson
import pytest
from bench.workload import Workload

from numbergroup_contracts.commands import BATCH_ADAPTER, COMMAND_ADAPTER, UpdateGroup


def test_the_same_for_every_contender() -> None:
    """A workload is its parameters: made in another process, it has the same bytes."""
    events = Workload(3, 10, numbers=1).events()
    assert events == Workload(3, 10, numbers=1).events()
    assert events != Workload(3, 10, numbers=1, seed=2).events()
    assert [orjson.loads(event) for event in events] == [
        {
            "specversion": "1.0",
            "id": f"1-{index:07}",
            "source": "bench",
            "type": "numbergroup.update.v1",
            "data": {"groupId": group, "operateType": operation, "phones": [phone]},
        }
        for index, (group, operation, phone) in enumerate(
            [
                ("group-000001", "add", "8520000000366"),
                ("group-000008", "add", "8520000001697"),
                ("group-000007", "add", "8520000001453"),
            ]
        )
    ]


@pytest.mark.parametrize("skew", ["uniform", "zipf"])
@pytest.mark.parametrize("numbers", [1, 2, 300])
def test_all_of_it_is_as_the_contract_has_it(skew: str, numbers: int) -> None:
    """Every event is a valid command over the groups that were asked for, with so many different numbers."""
    work = Workload(200, 10, numbers, "zipf" if skew == "zipf" else "uniform")
    found = [COMMAND_ADAPTER.validate_json(event) for event in work.events()]
    assert len({command.id for command in found}) == 200
    for command in found:
        assert isinstance(command, UpdateGroup)
        assert len(command.data.numbers) == numbers
    handles = {command.data.handle for command in found if isinstance(command, UpdateGroup)}
    assert handles <= {f"group-{group:06}" for group in range(10)}


def test_arrays_have_the_same_commands() -> None:
    """Every contender is given the same commands, however they are packed."""
    work = Workload(250, 10)
    arrays = work.arrays(100)
    assert [len(BATCH_ADAPTER.validate_json(array)) for array in arrays] == [100, 100, 50]
    assert b"[" + b",".join(work.events()) + b"]" == b"".join(arrays).replace(b"][", b",")


def test_the_skew() -> None:
    """By Zipf's law the first group has about twice what the second has; uniformly, about the same."""
    for skew, expected in (("zipf", 2.0), ("uniform", 1.0)):
        work = Workload(20_000, 20, skew="zipf" if skew == "zipf" else "uniform")
        of = Counter(orjson.loads(event)["data"]["groupId"] for event in work.events())
        assert of["group-000000"] / of["group-000001"] == pytest.approx(expected, rel=0.15)


def test_warming_up_repeats_no_command() -> None:
    """What warms a worker up is not recognised in what is measured as a repetition."""
    work = Workload(100, 10)
    ids = {orjson.loads(event)["id"] for event in work.events()}
    assert not ids & {orjson.loads(event)["id"] for event in work.warm_up().events()}
    assert len(work.warm_up(7).events()) == 7
