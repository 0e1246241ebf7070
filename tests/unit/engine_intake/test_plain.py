"""What intake parses by: the same commands are well-formed, and say the same, as by the contract's models."""

import json
from typing import Any

import pytest
from contract_files import EXAMPLES
from hypothesis import example, given
from hypothesis import strategies as st
from intake_cases import PHONE, event
from pydantic import BaseModel, ValidationError
from test_intake_properties import events

from numbergroup.engine.decoding.fast_decode import (
    InvalidCombination,
    check_combination,
    parse_event,
    parse_events,
)
from numbergroup_contracts.commands import (
    BATCH_ADAPTER,
    COMMAND_ADAPTER,
    CreateGroup,
    DeleteGroup,
    ListGroups,
    UpdateGroup,
)

EXAMPLE_FILES = sorted(EXAMPLES.glob("command-*.json"))
COMMANDS = (CreateGroup, UpdateGroup, DeleteGroup, ListGroups)


def by_models(raw: bytes) -> list[dict[str, Any]] | None:
    """The events of a message; `None` if the models refuse it."""
    try:
        found = (
            BATCH_ADAPTER.validate_json(raw) if raw.startswith(b"[") else [COMMAND_ADAPTER.validate_json(raw)]
        )
    except ValidationError:
        return None
    return [one.model_dump(exclude_unset=True) for one in found]


def plainly(raw: bytes) -> list[dict[str, Any]] | None:
    try:
        found = parse_events(raw) if raw.startswith(b"[") else [parse_event(raw)]
        for one in found:
            check_combination(one)
    except (ValidationError, InvalidCombination):
        return None
    return found


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda path: path.stem)
def test_golden_examples(path: Any) -> None:
    """Each is taken, and says what the models say."""
    found = plainly(path.read_bytes())
    assert found is not None
    assert found == by_models(path.read_bytes())


@given(events() | st.lists(events(), max_size=3))
@example(event(expirytime="2026-11-21T09:30:00Z", sequence=3, account="a", time="2026-11-21T09:30:00+08:00"))
@example(event(expirytime=1_795_000_000))
@example(event(sequence="3"))
@example(event(data={"groupId": "g", "groupKey": "k", "operateType": "add", "phones": [PHONE]}))
@example(event(data={"operateType": "add", "phones": [PHONE]}))
@example(event(data={"groupId": "g", "operateType": "add", "phones": []}))
@example(event(data={"groupId": "g", "operateType": 2, "phones": ""}))
@example(
    event(data={"groupId": "g", "operateType": "replace", "phones": [], "expiresAt": "2026-11-21T09:30:00Z"})
)
@example(event("c-1", "create", data={"phones": []}))
@example(event("c-1", "delete", data={}))
@example(event("c-1", "list", data={"limit": 3, "offset": None}))
@example([])
def test_the_same_as_by_models(message: Any) -> None:
    """Whatever comes: refused by both, or taken by both for the same."""
    raw = json.dumps(message).encode()
    assert plainly(raw) == by_models(raw)


def test_every_rule_of_several_fields_is_known() -> None:
    """A model that gets another validator of its own must get it in `check`, too, and be named here."""
    checks = {
        f"{kind.__name__}.{name}"
        for command in COMMANDS
        for kind in (command, command.model_fields["data"].annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name in kind.__pydantic_decorators__.model_validators
    }
    assert checks == {"CreateData._check_phones", "DeleteData._check", "UpdateData._check"}
