"""What only a stream can hold."""

import json

import pytest
from e2e_answers import letters
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
