"""Messages for intake's tests, and what is read from them."""

import json
from typing import Any

from numbergroup.engine.commands import Command, CommandKey, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.verdicts import Refusal

PHONE = "85211111114"
KEY = CommandKey("crm", "c-1")


def event(name: str = "c-1", /, type_: str = "update", data: Any = None, **attributes: Any) -> dict[str, Any]:
    """A good command, but for what is said."""
    given = {"groupId": "g", "operateType": "add", "phones": [PHONE]} if data is None else data
    envelope = {"specversion": "1.0", "id": name, "source": "crm", "type": f"numbergroup.{type_}.v1"}
    return envelope | {"data": given} | attributes


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def entry(value: Any, *settled: int) -> Entry:
    """A message of the broker, from its bytes or from what they say."""
    raw = value if isinstance(value, bytes) else body(value)
    return Entry(0, "1-0", raw, settled=set(settled))


def read(value: Any, *settled: int) -> list[Command | Refusal]:
    return Intake().read(entry(value, *settled))


def one_command(value: Any) -> Command:
    (item,) = read(value)
    assert isinstance(item, Command), item
    return item


def one_refusal(value: Any) -> Refusal:
    (item,) = read(value)
    assert isinstance(item, Refusal), item
    return item
