"""Vendor details: encodes what the vendor reports beyond a call's outcome, for a result's `data.vendor`.

A result contains the details of the calls that its `requestIds` name. Counts of several calls are added up;
of several ids the last is used; reasons are given for its own `rejectedNumbers` only. Counts belong to calls:
if a call was made for several commands, each result has the same counts.
"""

from collections.abc import Collection, Iterable
from typing import Any

import orjson

from numbergroup.engine.calls import Details
from numbergroup.engine.commands import Command


def encode_details(calls: Iterable[Details], command: Command, rejected: Collection[str]) -> bytes | None:
    """Return the JSON object for the result of `command`; `None` if the vendor reported no details.

    `rejected`: those of its numbers that the vendor did not accept.
    """
    counts: dict[str, int] = {}
    ids: dict[str, int | str] = {}
    reasons: dict[str, str] = {}
    for call in calls:
        for name, count in call.counts.items():
            counts[name] = counts.get(name, 0) + count
        ids.update(call.ids)
        if rejected:
            own = [number for number in rejected if number in call.reasons]
            written = command.as_received(own)
            reasons |= {spelling: call.reasons[number] for number, spelling in zip(own, written, strict=True)}
    members: dict[str, Any] = counts | ids
    if reasons:
        members["reasons"] = reasons
    return orjson.dumps(members) if members else None
