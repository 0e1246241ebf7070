"""From differences to commands that `numbergroup publish` takes. Pure, but for the ids that come in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from numbergroup.cli.groups.reconcile import Difference, Step
from numbergroup.engine.commands import CommandKind
from numbergroup_contracts.commands import CREATE, DELETE, UPDATE

_NUMBER_BYTES = len('"123456789012345",')
_SPARE_BYTES = 64
_OPERATIONS = {CommandKind.ADD: "add", CommandKind.DELETE: "delete", CommandKind.REPLACE: "replace"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all commands of a run have. Their ids are `run` and a number; `run` must be a new one every time:
    workers would take the commands for those of the last run.

    No command is larger than `most_bytes`; `size`: how many numbers a call has.
    """

    source: str
    account: str
    run: str
    most_bytes: int
    size: int


def events(differences: Iterable[Difference], envelope: Envelope) -> Iterator[bytes]:
    """One command after the other; those of a group in the order in which they must be applied."""
    count = 0
    for place, difference in enumerate(differences, start=1):
        for kind, data in _commands(difference, f"{envelope.run}-group-{place}", envelope):
            count += 1
            yield orjson.dumps(_event(envelope, count, kind, data))


def _event(envelope: Envelope, count: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{envelope.run}-{count}",
        "source": envelope.source,
        "type": kind,
        "account": envelope.account,
        "data": data,
    }


def _commands(difference: Difference, key: str, envelope: Envelope) -> Iterator[tuple[str, dict[str, Any]]]:
    """`key`: the groupKey of a group that has to be made in several commands, for nobody knows its id yet."""
    for step in difference.steps:
        if step.kind is CommandKind.DELETE_GROUP:
            yield DELETE, {"groupId": difference.group_id}
        elif step.kind is CommandKind.CREATE:
            yield from _creation({"groupName": difference.name}, {"groupKey": key}, step, envelope)
        else:
            yield from _updates({"groupId": difference.group_id}, step, envelope)


def _creation(
    name: dict[str, Any], key: dict[str, Any], step: Step, envelope: Envelope
) -> Iterator[tuple[str, dict[str, Any]]]:
    first, *rest = _parts(step.numbers, name | key, envelope)
    yield CREATE, {**name, **(key if rest else {}), "phones": first}
    for part in rest:
        yield UPDATE, {**key, "operateType": "add", "phones": part}


def _updates(address: dict[str, Any], step: Step, envelope: Envelope) -> Iterator[tuple[str, dict[str, Any]]]:
    operation = _OPERATIONS[step.kind]
    for part in _parts(step.numbers, address, envelope):
        yield UPDATE, {**address, "operateType": operation, "phones": part}
        if step.kind is CommandKind.REPLACE:
            operation = "add"


def _parts(
    numbers: tuple[str, ...], address: dict[str, Any], envelope: Envelope
) -> Iterator[tuple[str, ...]]:
    """As few as messages may have; whole calls each, so that cutting them costs none."""
    around = len(orjson.dumps(_event(envelope, 0, UPDATE, address))) + _SPARE_BYTES
    most = max(1, (envelope.most_bytes - around) // _NUMBER_BYTES)
    if most > envelope.size:
        most -= most % envelope.size
    for start in range(0, len(numbers), most):
        yield numbers[start : start + most]
