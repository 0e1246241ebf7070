"""The golden examples: each is valid by model and by schema, and survives being read and written."""

import json
from pathlib import Path
from typing import Any

import pytest
from contract_files import EXAMPLES, schema
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from numbergroup_contracts.commands import (
    BATCH_ADAPTER,
    COMMAND_ADAPTER,
    CREATE,
    DELETE,
    LIST,
    MESSAGE_ADAPTER,
    OPERATIONS,
    RENAME,
    UPDATE,
)
from numbergroup_contracts.dead_letters import DeadLetter
from numbergroup_contracts.results import RESULT_ADAPTER, ResultBatch, ResultEvent, Status

FILES = sorted(EXAMPLES.glob("*.json"))
KINDS: dict[str, TypeAdapter[Any]] = {  # the longer prefix first
    "command-batch": BATCH_ADAPTER,
    "command": COMMAND_ADAPTER,
    "result-batch": TypeAdapter(ResultBatch),
    "result": TypeAdapter(ResultEvent),
    "dead-letter": TypeAdapter(DeadLetter),
}

WIRE_COMMAND = """\
{"specversion": "1.0", "id": "c-1", "source": "crm", "type": "numbergroup.update.v1",
 "data": {"groupId": "6a7sd3402px21429s04", "operateType": "add", "phones": ["85211111114", "85235753351"]}}
"""


def kind_of(path: Path) -> str:
    return next(kind for kind in KINDS if path.name.startswith(kind))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_model_takes_it(example: Path) -> None:
    KINDS[kind_of(example)].validate_json(example.read_bytes())


def test_schema_takes_it(example: Path) -> None:
    validator = Draft202012Validator(schema(kind_of(example)))
    validator.validate(json.loads(example.read_bytes()))


def test_command_has_a_schema_of_its_own(example: Path) -> None:
    """A command is valid by the schema of its type, and by no other type's."""
    event = json.loads(example.read_bytes())
    if kind_of(example) != "command":
        return
    for name in ("create", "update", "delete", "rename", "list"):
        of_type = event["type"] == f"numbergroup.{name}.v1"
        assert Draft202012Validator(schema(name)).is_valid(event) is of_type


def test_reading_and_writing_is_stable(example: Path) -> None:
    """What is written from the model is read as the same model, and written as the same bytes."""
    adapter = KINDS[kind_of(example)]
    first = adapter.validate_json(example.read_bytes())
    for choice in ({}, {"exclude_none": True}, {"exclude_unset": True}):
        written = adapter.dump_json(first, **choice)
        again = adapter.validate_json(written)
        assert again == first
        assert adapter.dump_json(again, **choice) == written


def test_message_adapters_take_it(example: Path) -> None:
    """A message is one event or an array of them."""
    kind = kind_of(example)
    if kind != "dead-letter":
        adapter: TypeAdapter[Any] = MESSAGE_ADAPTER if kind.startswith("command") else RESULT_ADAPTER
        read = adapter.validate_json(example.read_bytes())
        assert isinstance(read, list) is kind.endswith("-batch")


def test_the_commands_of_the_wire_page_are_there() -> None:
    """Verbatim."""
    assert (EXAMPLES / "command-update-add.json").read_text("utf-8") == WIRE_COMMAND


def test_the_result_of_the_wire_page_is_there() -> None:
    """With real values where the page has placeholders."""
    result = json.loads((EXAMPLES / "result-applied.json").read_bytes())
    assert {**result, "id": "<deterministic>", "time": "…", "subject": "<groupId>", "correlationid": "…"} == {
        "specversion": "1.0",
        "id": "<deterministic>",
        "source": "numbergroup",
        "type": "numbergroup.result.v1",
        "time": "…",
        "subject": "<groupId>",
        "correlationid": "…",
        "data": {
            "command": {"id": "c-1", "source": "crm", "type": "numbergroup.update.v1"},
            "status": "applied",
            "account": "default",
            "groupId": "6a7sd3402px21429s04",
            "requestIds": ["1602248485121429504"],
            "mergedCommands": 37,
        },
    }


def test_every_variant_has_an_example() -> None:
    """Every type, form of `operateType` and of `phones`, handle, attribute and status."""
    read = {path: json.loads(path.read_bytes()) for path in FILES}
    lone = [event for path, event in read.items() if kind_of(path) == "command"]
    data = [event["data"] for event in lone]
    assert {event["type"] for event in lone} == {CREATE, UPDATE, DELETE, RENAME, LIST}
    assert {one.get("operateType") for one in data} - {None} == set(OPERATIONS)
    assert {type(one["phones"]) for one in data if "phones" in one} == {str, list}
    assert any(one.get("phones") == [] for one in data)
    assert {name for one in data for name in one} == {
        *("groupId", "groupKey", "operateType", "phones", "expiresAt"),
        *("groupName", "remark", "limit", "offset"),
    }
    everything = json.loads((EXAMPLES / "command-update-all-attributes.json").read_bytes())
    assert set(everything) == set(schema("update")["properties"])
    results = [event for path, event in read.items() if kind_of(path) == "result"]
    assert {event["data"]["status"] for event in results} == {status.value for status in Status}
    assert any(event["data"].get("groups") for event in results)
    assert {kind_of(path) for path in FILES} == set(KINDS)


def test_ids_are_given_once() -> None:
    """So that the examples can be published together."""
    events = [json.loads(path.read_bytes()) for path in FILES if kind_of(path).startswith("command")]
    ids = [one["id"] for event in events for one in (event if isinstance(event, list) else [event])]
    assert len(ids) == len(set(ids))
