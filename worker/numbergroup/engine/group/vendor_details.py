"""What the vendor says of its calls beyond their outcome, as it goes into results (`data.vendor`).

A result has what was said of the calls that decided its command's numbers, as its `requestIds` name those:
counts of several calls are summed up, of several ids the last one counts, and of the reasons it has those for
its own `rejectedNumbers`. The counts are the calls': of a call that was made for several commands, each of
them gets the same.
"""

from collections.abc import Collection, Iterable
from typing import Any

import orjson

from numbergroup.engine.calls import Details
from numbergroup.engine.commands import Command


def encode_details(calls: Iterable[Details], command: Command, rejected: Collection[str]) -> bytes | None:
    """The JSON object for the result of `command`, whose `rejected` numbers the vendor did not take; `None`
    where the vendor said nothing."""
    counts: dict[str, int] = {}
    ids: dict[str, int | str] = {}
    reasons: dict[str, str] = {}
    for call in calls:
        for name, count in call.counts.items():
            counts[name] = counts.get(name, 0) + count
        ids.update(call.ids)
        if rejected:
            own = [number for number in rejected if number in call.reasons]
            reasons |= {spelt: call.reasons[n] for n, spelt in zip(own, command.as_written(own), strict=True)}
    members: dict[str, Any] = counts | ids
    if reasons:
        members["reasons"] = reasons
    return orjson.dumps(members) if members else None
