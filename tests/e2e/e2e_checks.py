"""What holds at the end of every scenario, whatever happened on the way."""

import re
from collections.abc import Collection, Iterable

from e2e_answers import Answers
from e2e_commands import Script
from e2e_processes import eventually
from e2e_stage import Stage

from numbergroup_contracts.results import Status


def all_settled(stage: Stage, script: Script, answers: Answers, within_s: float = 40.0) -> None:
    """Wait until the broker is empty; then every command has one result, and every group is right."""
    eventually(lambda: answers.count >= len(script.events), "a result for every command", within_s)
    eventually(lambda: not stage.backlog(), "an empty queue", 10.0)
    answered_once(script, answers)
    assert stage.vendor.groups() == script.groups
    _request_ids_are_the_vendors(stage, answers)


def answered_once(script: Script, answers: Answers) -> None:
    """Exactly one result for every command, each under an id of its own."""
    assert answers.count == len(script.events)
    assert set(answers.of) == {event["id"] for event in script.events}
    assert len({answers.one(name).id for name in answers.of}) == answers.count


def _request_ids_are_the_vendors(stage: Stage, answers: Answers) -> None:
    known = {call["requestId"] for call in stage.vendor.calls()}
    for name in answers.of:
        data = answers.one(name).data
        assert set(data.requestIds) <= known
        assert data.requestIds or data.status not in (Status.APPLIED, Status.SUPERSEDED)


def private_parts(output: str, numbers: Collection[str], secrets: Iterable[str]) -> list[str]:
    """The phone numbers and secrets that occur in `output`, be it inside of other digits."""
    lengths = {len(number) for number in numbers}
    found = {secret for secret in secrets if secret in output}
    for run in set(re.findall("[0-9]{7,}", output)):
        for length in lengths:
            windows = (run[first : first + length] for first in range(len(run) - length + 1))
            found.update(window for window in windows if window in numbers)
    return sorted(found)
