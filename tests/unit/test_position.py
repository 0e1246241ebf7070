"""How far a stream was read: whether something can lie unread behind that."""

from numbergroup.brokers.redis.position import Position


def read_up_to(*ids: str) -> Position:
    position = Position()
    position.advance(ids)
    return position


def test_nothing_lies_behind() -> None:
    """What was read and is not deleted yet is known; what comes later is not behind."""
    position = read_up_to("1-0", "1-1", "12-0")
    assert position.cursor == "12-0"
    assert position.is_valid("12-0", "1-0")
    position.settle(["1-0"])
    assert position.is_valid("13-0", "1-1")
    position.settle(["1-1", "12-0"])
    assert position.is_valid("13-0", "")


def test_an_empty_read_changes_nothing() -> None:
    """The cursor stays at the last entry that was read, also when that one is deleted."""
    position = read_up_to("1-0", "2-0")
    position.settle(["2-0"])
    position.advance([])
    assert position.cursor == "2-0"


def test_the_last_id_went_back() -> None:
    """Ids are numbers: 9 comes before 10."""
    position = read_up_to("10-0")
    position.settle(["10-0"])
    assert not position.is_valid("9-5", "")
    assert not position.is_valid("0-0", "")


def test_an_entry_that_was_settled_is_back() -> None:
    """A settlement that was lost shows, also when the last id is beyond what was read."""
    position = read_up_to("1-0", "2-0")
    position.settle(["1-0"])
    assert not position.is_valid("3-0", "1-0")


def test_an_entry_that_was_never_read() -> None:
    """So does an entry below the cursor that nobody has read."""
    assert not read_up_to("5-0").is_valid("6-0", "4-0")
