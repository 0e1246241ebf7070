"""Commands as they come over the wire, and what is written back, checked against the contracts."""

import json
from collections.abc import Iterable
from typing import Any

from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Refusal
from numbergroup_contracts import DeadLetter, ResultEvent
from numbergroup_contracts.results import RESULT_ADAPTER

UPDATE = "numbergroup.update.v1"


def event(name: str, numbers: Iterable[str] = ("8521111111",), **attributes: Any) -> dict[str, Any]:
    """An update that adds the numbers to the group `g-1`, unless told otherwise."""
    given = attributes.pop("data", {})
    data = {"groupId": "g-1", "operateType": "add", "phones": list(numbers), **given}
    return {"specversion": "1.0", "id": name, "source": "test", "type": UPDATE, "data": data, **attributes}


def entry(tag: str, *events: Any, array: bool | None = None) -> Entry:
    """A message of the broker: one event, or an array of several."""
    as_array = len(events) != 1 if array is None else array
    return Entry(0, tag, json.dumps(list(events) if as_array else events[0]).encode())


def read(message: Entry) -> list[Command | Refusal]:
    return Intake().read(message)


def commands(message: Entry) -> list[Command]:
    items = read(message)
    found = [item for item in items if isinstance(item, Command)]
    assert len(found) == len(items), "not all of them are commands"
    return found


def results(unit: Settlement) -> list[ResultEvent]:
    """All results of a unit in order, each reply checked against the contract."""
    found: list[ResultEvent] = []
    for reply in unit.replies:
        said = RESULT_ADAPTER.validate_json(reply.body)
        found += said if isinstance(said, list) else [said]
    return found


def letters(unit: Settlement) -> list[DeadLetter]:
    """All letters of a unit, each checked against the contract."""
    described = [DeadLetter.model_validate_json(letter.description) for letter in unit.dead_letters]
    assert [letter.id for letter in unit.dead_letters] == [letter.id for letter in described]
    return described
