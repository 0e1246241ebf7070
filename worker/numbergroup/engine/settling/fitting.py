"""Splits and shortens replies that are larger than the broker's limit for messages.

The broker would refuse such a message each time, and the partition would wait for it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from numbergroup.engine.commands import CommandKey, Origin
from numbergroup.engine.decoding.json_scanner import split_array
from numbergroup.engine.records import variant_event_id
from numbergroup.engine.settling.dead_letters import DeadLetterRecord, build_refusal_dead_letter
from numbergroup.engine.settling.results import encode_fault
from numbergroup.engine.settling.settlement import Reply
from numbergroup.engine.verdicts import Fault, Refusal
from numbergroup_contracts.results import Status

TOO_LARGE = "too-large"
REPLY_QUEUE = "reply-queue"
_OPTIONAL = ("rejectedNumbers", "vendor", "requestIds", "groupKey", "groupId")
_ESSENTIAL = ("specversion", "id", "source", "type", "time")
_FILL = 0.9
_MAX_ERROR_TEXT = 200


class FittedReplies(NamedTuple):
    """Replies within the limit.

    `dead_letters`: of lists that failed because of their size. `dropped`: the ids of commands whose results
    could not be made small enough.
    """

    replies: list[Reply]
    dead_letters: list[DeadLetterRecord]
    dropped: list[str]


def fit_replies(replies: Sequence[Reply], max_bytes: int) -> FittedReplies:
    """Return the replies, in order, with bodies of at most `max_bytes`.

    An array is split into several. A list that is too large becomes `failed` (`too-large`, with a `limit`
    that would fit), because it changed nothing. Any other result keeps its status, which tells what the
    vendor did: optional members are left out, and `error` says so.
    """
    fitted = FittedReplies([], [], [])
    for reply in replies:
        if len(reply.body) <= max_bytes:
            fitted.replies.append(reply)
        elif reply.body.startswith(b"["):
            results = split_array(reply.body)[0]
            shortened = [_shorten(result, reply, max_bytes - 2, fitted) for result in results]
            fitted.replies.extend(
                reply._replace(body=b"[%b]" % b",".join(pack))
                for pack in _pack([result for result in shortened if result is not None], max_bytes - 2)
            )
        elif (body := _shorten(reply.body, reply, max_bytes, fitted)) is not None:
            fitted.replies.append(reply._replace(body=body))
    return fitted


def add_error(body: bytes, fault: Fault) -> bytes:
    """Add an `error` to the result, or to each result of an array, that has none. The status stays."""
    content = orjson.loads(body)
    for event in content if isinstance(content, list) else [content]:
        event["data"].setdefault("error", encode_fault(fault))
    return orjson.dumps(content)


def to_default_queue(reply: Reply, reason: str) -> Reply:
    """Return the reply for the default queue, with an `error` that says why its own queue is not used."""
    fault = Fault(
        REPLY_QUEUE, None, f"the reply queue takes nothing ({reason}): this result is in the default one"
    )
    return reply._replace(queue=None, body=add_error(reply.body, fault))


def _pack(results: Sequence[bytes], max_bytes: int) -> list[list[bytes]]:
    """Divide the results, in order, into packs of at most `max_bytes`, counting a comma between two."""
    packs: list[list[bytes]] = []
    size = max_bytes
    for result in results:
        if size + 1 + len(result) > max_bytes:
            packs.append([])
            size = -1
        packs[-1].append(result)
        size += 1 + len(result)
    return packs


def _shorten(event: bytes, reply: Reply, max_bytes: int, fitted: FittedReplies) -> bytes | None:
    """Return the result with at most `max_bytes`; `None`, and an entry in `fitted.dropped`, if impossible."""
    if len(event) <= max_bytes:
        return event
    result = orjson.loads(event)
    data = result["data"]
    command = data["command"]
    if "groups" in data:
        groups, key = data.pop("groups"), CommandKey(command["source"], command["id"])
        data.pop("total", None)
        fault = Fault(TOO_LARGE, None, _describe_list(len(event), len(groups), max_bytes))
        dead_letter = _build_list_dead_letter(reply, result, key, fault)
        data |= {"status": Status.FAILED.value, "error": encode_fault(fault)}
        # A new id, so that consumers do not drop it as a repeat of a list that fitted.
        result["id"] = variant_event_id(key, f"{TOO_LARGE} {result['id']}")
        if dead_letter is not None:
            fitted.dead_letters.append(dead_letter)
            data["deadLetterId"] = dead_letter.id
    else:
        fault = Fault(
            TOO_LARGE,
            None,
            f"parts of this result are left out: it has {len(event):,} bytes, and the broker takes "
            f"{max_bytes:,} at most",
        )
        for name in _OPTIONAL:
            data.pop(name, None)
        data.setdefault("error", encode_fault(fault))
    for smaller in (result, _essential_members(result)):
        body = orjson.dumps(smaller)
        if len(body) <= max_bytes:
            return body
    fitted.dropped.append(command["id"])
    return None


def _essential_members(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with only the members that identify the command and tell its outcome."""
    data, command = result["data"], result["data"]["command"]
    error = data["error"] | {"message": data["error"]["message"][:_MAX_ERROR_TEXT]}
    essential_data = {
        "command": {"id": command["id"], "source": command["source"]},
        "status": data["status"],
        "error": error,
        "deadLetterId": data.get("deadLetterId"),
    }
    return {**{name: result[name] for name in _ESSENTIAL if name in result}, "data": essential_data}


def _describe_list(size: int, groups: int, max_bytes: int) -> str:
    sizes = f"the list has {size:,} bytes in {groups:,} groups, and the broker takes {max_bytes:,} at most"
    limit = int(groups * max_bytes * _FILL / size)
    if groups == 1:
        return f"{sizes}: the group alone is too large; numbergroup groups list shows it"
    return f"{sizes}: ask for fewer at once, with a limit of {max(1, limit)}"


def _build_list_dead_letter(
    reply: Reply, result: dict[str, Any], key: CommandKey, fault: Fault
) -> DeadLetterRecord | None:
    """Return the list's dead letter; `None` if the command's message is not known."""
    entry = reply.entry
    if entry is None:
        return None
    index, body = 0, entry.body
    if entry.is_array:
        index, body = next(
            (
                (position, raw)
                for position, raw in enumerate(split_array(entry.body)[0])
                if _read_key(raw) == tuple(key)
            ),
            (index, body),
        )
    refusal = Refusal(
        Origin(
            entry,
            index,
            reply_to=reply.queue,
            correlation_id=result.get("correlationid"),
            traceparent=result.get("traceparent"),
        ),
        fault.message,
        body,
        key=key,
        type=result["data"]["command"].get("type"),
        account=result["data"].get("account"),
        kind=fault.kind,
        status=Status.FAILED,
    )
    return build_refusal_dead_letter(refusal, datetime.fromisoformat(result["time"]).timestamp(), 0)


def _read_key(raw: bytes) -> tuple[Any, Any] | None:
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return (event.get("source"), event.get("id")) if isinstance(event, dict) else None
