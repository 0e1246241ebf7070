"""Answers that are larger than a broker's messages may be: several are split, and one is cut down.

A broker that refuses a message refuses it whenever it is sent, and the partition would wait for it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from numbergroup.engine.commands import CommandKey, Fault, Origin, Refusal
from numbergroup.engine.decoding.lenient_decode import split_array
from numbergroup.engine.records import variant_event_id
from numbergroup.engine.settling.dead_letters import DeadLetterRecord, build_refusal_dead_letter
from numbergroup.engine.settling.settlement import Reply
from numbergroup_contracts.results import Status

TOO_LARGE = "too-large"
REPLY_QUEUE = "reply-queue"
_OPTIONAL = ("rejectedNumbers", "vendor", "requestIds", "groupKey", "groupId")
_ESSENTIAL = ("specversion", "id", "source", "type", "time")
_ROOM = 0.9
_SHORT = 200


class Fitted(NamedTuple):
    """`letters`: of the lists that failed because of their size. `dropped`: the ids of the commands whose
    answers could not be made small enough."""

    replies: list[Reply]
    dead_letters: list[DeadLetterRecord]
    dropped: list[str]


def fit_replies(replies: Sequence[Reply], most_bytes: int) -> Fitted:
    """The replies, in order, with no body of more than `most_bytes`.

    An array is split into several. A list that is too large is `failed` (`too-large`, with a `limit` that
    would do), for nothing was changed. Any other result keeps its status, which says what the vendor did:
    what may be left out is left out, and `error` says so.
    """
    found = Fitted([], [], [])
    for reply in replies:
        if len(reply.body) <= most_bytes:
            found.replies.append(reply)
        elif reply.body.startswith(b"["):
            parts = split_array(reply.body)[0]
            cut = [_cut_down(part, reply, most_bytes - 2, found) for part in parts]
            found.replies.extend(
                reply._replace(body=b"[%b]" % b",".join(some))
                for some in _packed([part for part in cut if part is not None], most_bytes - 2)
            )
        elif (body := _cut_down(reply.body, reply, most_bytes, found)) is not None:
            found.replies.append(reply._replace(body=body))
    return found


def add_error(body: bytes, fault: Fault) -> bytes:
    """The result, or each of an array of them, with this `error` if it has none: its status stays."""
    found = orjson.loads(body)
    for event in found if isinstance(found, list) else [found]:
        event["data"].setdefault("error", _error(fault))
    return orjson.dumps(found)


def to_default_queue(reply: Reply, reason: str) -> Reply:
    """The reply to the default queue, with an `error` that says why its own queue does not take it."""
    fault = Fault(
        REPLY_QUEUE, None, f"the reply queue takes nothing ({reason}): this result is in the default one"
    )
    return reply._replace(queue=None, body=add_error(reply.body, fault))


def _packed(parts: Sequence[bytes], most_bytes: int) -> list[list[bytes]]:
    """In order, as many together as there is room for, with a comma between two."""
    packs: list[list[bytes]] = []
    size = most_bytes
    for part in parts:
        if size + 1 + len(part) > most_bytes:
            packs.append([])
            size = -1
        packs[-1].append(part)
        size += 1 + len(part)
    return packs


def _cut_down(event: bytes, reply: Reply, most_bytes: int, found: Fitted) -> bytes | None:
    if len(event) <= most_bytes:
        return event
    result = orjson.loads(event)
    data = result["data"]
    command = data["command"]
    if "groups" in data:
        groups, key = data.pop("groups"), CommandKey(command["source"], command["id"])
        data.pop("total", None)
        fault = Fault(TOO_LARGE, None, _too_long(len(event), len(groups), most_bytes))
        letter = _letter_of_list(reply, result, key, fault)
        data |= {"status": Status.FAILED.value, "error": _error(fault)}
        # Another outcome than that of the list that fits: consumers who drop repeats must not drop it.
        result["id"] = variant_event_id(key, f"{TOO_LARGE} {result['id']}")
        if letter is not None:
            found.dead_letters.append(letter)
            data["deadLetterId"] = letter.id
    else:
        fault = Fault(
            TOO_LARGE,
            None,
            f"parts of this result are left out: it has {len(event):,} bytes, and the broker takes "
            f"{most_bytes:,} at most",
        )
        for name in _OPTIONAL:
            data.pop(name, None)
        data.setdefault("error", _error(fault))
    for smaller in (result, _essence(result)):
        body = orjson.dumps(smaller)
        if len(body) <= most_bytes:
            return body
    found.dropped.append(command["id"])
    return None


def _essence(result: dict[str, Any]) -> dict[str, Any]:
    """What says whose answer it is, and what became of the command."""
    data, command = result["data"], result["data"]["command"]
    error = data["error"] | {"message": data["error"]["message"][:_SHORT]}
    short = {
        "command": {"id": command["id"], "source": command["source"]},
        "status": data["status"],
        "error": error,
        "deadLetterId": data.get("deadLetterId"),
    }
    return {**{name: result[name] for name in _ESSENTIAL if name in result}, "data": short}


def _too_long(size: int, groups: int, most_bytes: int) -> str:
    said = f"the list has {size:,} bytes in {groups:,} groups, and the broker takes {most_bytes:,} at most: "
    limit = int(groups * most_bytes * _ROOM / size)
    if groups == 1:
        return said + "the group alone is too large; numbergroup groups list shows it"
    return f"{said}ask for fewer at once, with a limit of {max(1, limit)}"


def _letter_of_list(
    reply: Reply, result: dict[str, Any], key: CommandKey, fault: Fault
) -> DeadLetterRecord | None:
    """The list's dead letter; None where it is not known what message it came in."""
    entry = reply.entry
    if entry is None:
        return None
    index, body = 0, entry.body
    if entry.is_array:
        index, body = next(
            ((at, raw) for at, raw in enumerate(split_array(entry.body)[0]) if _key_of(raw) == tuple(key)),
            (index, body),
        )
    origin = Origin(entry, index, reply.queue, result.get("correlationid"), result.get("traceparent"))
    refusal = Refusal(
        origin,
        fault.message,
        body,
        key,
        result["data"]["command"].get("type"),
        result["data"].get("account"),
        fault.kind,
        Status.FAILED,
    )
    return build_refusal_dead_letter(refusal, datetime.fromisoformat(result["time"]).timestamp(), 0)


def _key_of(raw: bytes) -> tuple[Any, Any] | None:
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return (event.get("source"), event.get("id")) if isinstance(event, dict) else None


def _error(fault: Fault) -> dict[str, str | None]:
    return {"kind": fault.kind, "code": fault.code, "message": fault.message}
