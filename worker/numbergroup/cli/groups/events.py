"""Makes commands for `numbergroup publish` from differences. Pure: without I/O."""

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
    """What all commands of a run share.

    - `run_id`: the prefix of their ids. It must be new in each run, or workers take the commands for repeats.
    - `max_bytes`: the largest size of a command.
    - `numbers_per_call`: the largest number of numbers in a call.
    """

    source: str
    account: str
    run_id: str
    max_bytes: int
    numbers_per_call: int


def make_events(differences: Iterable[Difference], envelope: Envelope) -> Iterator[bytes]:
    """Yield the commands as JSON; those of a group in the order in which they must be applied."""
    count = 0
    for position, difference in enumerate(differences, start=1):
        for kind, data in _make_commands(difference, f"{envelope.run_id}-group-{position}", envelope):
            count += 1
            yield orjson.dumps(_make_event(envelope, count, kind, data))


def _make_event(envelope: Envelope, count: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{envelope.run_id}-{count}",
        "source": envelope.source,
        "type": kind,
        "account": envelope.account,
        "data": data,
    }


def _make_commands(
    difference: Difference, key: str, envelope: Envelope
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield types and `data` of commands. `key`: the groupKey of a group that takes several to create."""
    for step in difference.steps:
        if step.kind is CommandKind.DELETE_GROUP:
            yield DELETE, {"groupId": difference.group_id}
        elif step.kind is CommandKind.CREATE:
            yield from _create_group({"groupName": difference.name}, {"groupKey": key}, step, envelope)
        else:
            yield from _update_group({"groupId": difference.group_id}, step, envelope)


def _create_group(
    name: dict[str, Any], key: dict[str, Any], step: Step, envelope: Envelope
) -> Iterator[tuple[str, dict[str, Any]]]:
    first, *rest = _split_numbers(step.numbers, name | key, envelope)
    yield CREATE, {**name, **(key if rest else {}), "phones": first}
    for part in rest:
        yield UPDATE, {**key, "operateType": "add", "phones": part}


def _update_group(
    address: dict[str, Any], step: Step, envelope: Envelope
) -> Iterator[tuple[str, dict[str, Any]]]:
    operation = _OPERATIONS[step.kind]
    for part in _split_numbers(step.numbers, address, envelope):
        yield UPDATE, {**address, "operateType": operation, "phones": part}
        if step.kind is CommandKind.REPLACE:
            operation = "add"


def _split_numbers(
    numbers: tuple[str, ...], address: dict[str, Any], envelope: Envelope
) -> Iterator[tuple[str, ...]]:
    """Yield the numbers in the fewest parts that fit into messages; each part fills whole calls."""
    overhead = len(orjson.dumps(_make_event(envelope, 0, UPDATE, address))) + _SPARE_BYTES
    limit = max(1, (envelope.max_bytes - overhead) // _NUMBER_BYTES)
    if limit > envelope.numbers_per_call:
        limit -= limit % envelope.numbers_per_call
    for start in range(0, len(numbers), limit):
        yield numbers[start : start + limit]
