"""Admission: what a vendor cannot do is said before anything is sent to it."""

from collections.abc import Collection
from typing import Any

import pytest
from engine_bench import Bench
from engine_commands import add, create, delete, delete_group, replace

from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Fault

EDITS = (CommandKind.CREATE, CommandKind.ADD, CommandKind.DELETE)
INDIAN = "(91)?[6-9][0-9]{9}"


def refusal(command: Command, supports: Collection[CommandKind] = CommandKind, **can: Any) -> Fault | None:
    """Why it is refused before any call; `None`: it waits for its turn."""
    bench = Bench(supports=supports, **can)
    bench.deliver(command)
    verdict = bench.verdicts.get("c1")
    assert bench.permits_wanted == (verdict is None)
    if verdict is None:
        return None
    assert verdict.status == "rejected"
    return verdict.fault


@pytest.mark.parametrize("command", [replace("c1", "a"), delete_group("c1")], ids=["replace", "delete group"])
def test_what_the_vendor_has_no_operation_for(command: Command) -> None:
    """The answer says what the vendor can do instead."""
    fault = refusal(command, EDITS)
    assert fault is not None
    assert fault.kind == "unsupported"
    assert fault.message.endswith("what it can: create a group, add numbers, delete numbers")


def test_an_empty_replace_needs_a_list() -> None:
    """Where the members cannot be found out, nobody can take them all out; with a list it can be done."""
    fault = refusal(replace("c1", ""), [*EDITS, CommandKind.REPLACE])
    assert fault is not None
    assert fault.kind == "unsupported"
    assert refusal(replace("c1", "a"), [*EDITS, CommandKind.REPLACE]) is None
    assert refusal(replace("c1", "")) is None


def test_numbers_that_would_have_to_leave_by_themselves() -> None:
    """An expiry that would be lost on the vendor is refused; one that it keeps is not."""
    fault = refusal(add("c1", "a", number_expiry=5.0))
    assert fault is not None
    assert fault.kind == "unsupported"
    assert refusal(add("c1", "a", number_expiry=5.0), number_expiry=True) is None


@pytest.mark.parametrize(
    ("numbers", "place", "count"),
    [
        (["85211111114"], "place 1", "a number"),
        (["919876543210", "1234567", "7654321"], "place 2", "2 of its 3"),
    ],
)
def test_numbers_that_the_vendor_takes_none_of(numbers: list[str], place: str, count: str) -> None:
    """Said by their places: a number is in no error message."""
    fault = refusal(add("c1", numbers), number_pattern=INDIAN)
    assert fault is not None
    assert fault.kind == "invalid"
    assert place in fault.message
    assert count in fault.message
    assert not any(number in fault.message for number in numbers)


def test_numbers_that_fit_the_whole_pattern() -> None:
    """A pattern is for a whole number, with or without anchors."""
    assert refusal(add("c1", ["919876543210", "9876543210"]), number_pattern=INDIAN) is None
    assert refusal(add("c1", ["9876543210"]), number_pattern=f"^{INDIAN}$") is None
    assert refusal(add("c1", ["9198765432101"]), number_pattern=INDIAN) is not None


def test_what_the_provider_objects_to() -> None:
    """A provider knows limits of its vendor that are nobody else's; what it has nothing against goes on."""
    fault = Fault("invalid", None, "groupName: 2 to 50 characters")

    def objection(command: Command) -> Fault | None:
        return fault if command.kind is CommandKind.CREATE else None

    assert refusal(create("c1", "a"), precheck=objection) == fault
    assert refusal(delete("c1", "a"), precheck=objection) is None


def test_a_provider_is_not_asked_about_what_cannot_be_done_anyway() -> None:
    """It may rely on getting commands of its own kinds only."""

    def objection(command: Command) -> Fault | None:
        raise AssertionError(command)

    fault = refusal(replace("c1", "a"), EDITS, precheck=objection)
    assert fault is not None
    assert fault.kind == "unsupported"
