"""What only a stream can hold."""

import json

import pytest
from e2e_answers import letters
from e2e_commands import Script
from e2e_corpus import NUMBER
from e2e_processes import eventually
from e2e_stage import COMMANDS, Stage

pytestmark = pytest.mark.redis_server


def test_entry_without_event(stage: Stage) -> None:
    """An entry that has other fields than `event` is kept with all of them."""
    stage.redis.client.xadd(COMMANDS, {"command": "add", "phones": NUMBER, b"\xff": b"\x00\xfe"})
    stage.worker()
    eventually(lambda: not stage.backlog(), "an empty stream")
    ((letter, body),) = letters(stage.redis.client)
    assert letter.command is None
    assert {"command": "add", "phones": NUMBER}.items() <= json.loads(body).items()
    assert letter.error.message.startswith("the entry has 3 fields (command, phones, ")
    assert "no field event" in letter.error.message


def test_an_event_in_another_field(stage: Stage) -> None:
    """The producer is answered, and told which field it should have been; the letter holds the event, so that
    it can be replayed as it is."""
    answers, event = stage.answers(), Script().create("k")
    stage.redis.client.xadd(COMMANDS, {"body": json.dumps(event)})
    stage.worker()
    eventually(lambda: answers.count, "the answer")
    ((result,),) = answers.of.values()
    assert (result.data.status, result.data.command.id) == ("rejected", event["id"])
    assert result.data.error is not None
    assert "has the field body and no field event" in result.data.error.message
    ((letter, body),) = letters(stage.redis.client)
    assert json.loads(body) == event
    assert letter.error.kind == "invalid"
