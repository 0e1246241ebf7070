"""Intake on messages that were good once: whatever became of their bytes, each event comes to an end."""

import json
import re
from typing import Any

import contract_files
from hypothesis import given
from hypothesis import strategies as st
from intake_cases import body, event
from jsonschema import Draft202012Validator
from mutations import mutated
from profiles import examples
from test_intake_properties import read

from numbergroup.engine.commands import Command
from numbergroup.engine.decoding.json_scanner import split_array
from numbergroup.engine.verdicts import Refusal
from numbergroup_contracts.commands import COMMAND_ADAPTER

PHONES = ["85211111114", "85235753351", "4917012345678"]
EVENTS: list[dict[str, Any]] = [
    event("c-1", data={"groupId": "g", "operateType": "add", "phones": PHONES}, sequence=7),
    event("c-2", data={"groupKey": "k", "operateType": 2, "phones": ",".join(PHONES)}, account="default"),
    event("c-3", "create", data={"phones": PHONES, "groupName": "n", "remark": "r", "groupKey": "k"}),
    event("c-4", "delete", data={"groupId": "g"}, expirytime="2030-01-01T00:00:00Z", correlationid="7"),
    event(
        "c-5", "list", data={"limit": 10, "offset": 0}, replyto="numbergroup.replies.crm", x={"a": [1.5, {}]}
    ),
]
BODIES = [*map(body, EVENTS), body(EVENTS), body(EVENTS[:2]), json.dumps(EVENTS, indent=1).encode(), b"[]"]
_VALIDATOR = Draft202012Validator(contract_files.schema("command"))
_PATTERN = re.escape("'^([1-9][0-9]{6,14}(,[1-9][0-9]{6,14})*)?$'")


@given(mutated(st.sampled_from(BODIES)))
@examples(600)
def test_every_event_is_accounted_for(raw: bytes) -> None:
    """It is a command that conforms to the contract, or a refusal that carries its bytes; and no refusal
    shows any."""
    message, items = read(raw)
    events, complete = split_array(raw) if message.is_array else ([raw], True)
    if any(isinstance(item, Command) for item in items):
        assert complete
        assert len(items) == len(events)
    for item in items:
        index = item.origin.index if isinstance(item, Refusal) else item.origins[0].index
        if isinstance(item, Command):
            conforms(item, events[index])
        elif index < len(events) and len(items) == len(events):
            assert item.body in (events[index], raw)
        else:
            assert item.body in (*events, raw)
    kept = [item.body for item in items if isinstance(item, Refusal)]
    if not complete or not events:
        assert raw in kept
    shows_nothing(raw, items)


def conforms(command: Command, raw: bytes) -> None:
    """To the models and, independently of them, to the published schema."""
    model = COMMAND_ADAPTER.validate_json(raw)
    assert (model.id, model.source, model.type) == (command.key.id, command.key.source, command.type)
    assert _VALIDATOR.is_valid(json.loads(raw, parse_constant=not_json)), raw
    assert all(re.fullmatch("[1-9][0-9]{6,14}", number) for number in command.numbers)


def not_json(constant: str) -> None:
    """NaN and the infinities, which RFC 8259 does not have."""
    raise AssertionError(constant)


def shows_nothing(raw: bytes, items: list[Command | Refusal]) -> None:
    digits = set(re.findall(r"[0-9]{7,}", raw.decode(errors="replace")))
    for item in items:
        if isinstance(item, Refusal):
            assert item.message.isprintable()
            assert len(item.message) < 500
            assert not any(run in item.message for run in digits)


@given(mutated(st.sampled_from(BODIES)), st.integers(1, 400))
@examples(150)
def test_the_same_of_what_is_too_large(raw: bytes, limit: int) -> None:
    """Nothing of it is taken, and all of it is kept."""
    _, items = read(raw, limit)
    if len(raw) > limit:
        assert all(isinstance(item, Refusal) for item in items)
        assert raw in [item.body for item in items if isinstance(item, Refusal)]
        shows_nothing(raw, items)
