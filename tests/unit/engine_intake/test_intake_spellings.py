"""Numbers that may be written in several ways: one spelling is made of them before anything goes by them."""

import pytest
from intake_cases import entry, event

from numbergroup.engine.commands import Command
from numbergroup.engine.decoding.intake import Intake

INTAKE = Intake(spellings={"india": lambda number: f"91{number}" if len(number) == 10 else number})
TEN, TWELVE, ABROAD = "9876543210", "919876543210", "85211111114"


def commands(*events: object) -> list[Command]:
    items = INTAKE.read(entry(list(events) if len(events) > 1 else events[0]))
    return [item for item in items if isinstance(item, Command)]


@pytest.mark.parametrize("kind", ["update", "create"])
def test_numbers_are_spelt_when_they_are_read(kind: str) -> None:
    """What is looked up in the ledger, merged and sent is the one spelling; the producer's own is kept beside
    it. A number that is written in both counts once."""
    data = {"phones": [TEN, ABROAD, TWELVE]}
    more = {"groupId": "g", "operateType": "add"} if kind == "update" else {}
    (command,) = commands(event("c-1", kind, data | more, account="india"))
    assert command.numbers == (TWELVE, ABROAD)
    assert command.as_received(command.numbers) == (TEN, ABROAD)


def test_each_account_has_its_own() -> None:
    """An array may be of several accounts: what one spells does not touch the numbers of another."""
    data = {"groupId": "g", "operateType": "delete", "phones": [TEN]}
    first, second = commands(
        event("c-1", data=data, account="india"), event("c-2", data=data, account="other")
    )
    assert (first.numbers, second.numbers) == ((TWELVE,), (TEN,))


def test_a_spelling_makes_no_command_another() -> None:
    """What counts as the same command is what was written: settings may change between two deliveries."""
    data = {"groupId": "g", "operateType": "add", "phones": [TEN]}
    spelt, plain = event("c-1", data=data, account="india"), Intake()
    (command,) = commands(spelt)
    (as_written,) = plain.read(entry(spelt))
    assert isinstance(as_written, Command)
    assert command.fingerprint == as_written.fingerprint
