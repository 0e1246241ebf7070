"""Results as a worker would write them, and as the command line prints them."""

import json
from collections.abc import Iterable
from typing import Any

from e2e_stage import REPLIES, Stage

from numbergroup_contracts.results import RESULT, SOURCE, ResultEvent


def result(name: str) -> dict[str, Any]:
    data = {"command": {"id": name, "source": "e2e", "type": "numbergroup.update.v1"}, "status": "applied"}
    return {"specversion": "1.0", "id": f"r-{name}", "source": SOURCE, "type": RESULT, "data": data}


def answer(stage: Stage, *bodies: object, queue: str = REPLIES) -> None:
    """Write to a reply stream, as a worker would."""
    for body in bodies:
        stage.redis.client.xadd(queue, {"event": json.dumps(body)})


def names(out: str) -> list[str]:
    """The commands that were answered, in order."""
    return [ResultEvent.model_validate_json(line).data.command.id for line in out.splitlines()]


def some(first: int, count: int) -> Iterable[dict[str, Any]]:
    return (result(f"c-{number}") for number in range(first, first + count))
