"""Dead letters as workers write them, for tests of those who read them."""

import hashlib
from typing import Any

import orjson

NUMBERS = ("85211111114", "85235753351")


def since_key(field: str) -> str:
    return f"numbergroup:since:{hashlib.blake2b(field.encode(), digest_size=12).hexdigest()}"


def group_field(handle: str, account: str = "default") -> str:
    kind, _, name = handle.partition(":")
    return f"{account}\0{kind}\0{name}"


def update(
    name: str, group: str = "id:g-1", phones: Any = NUMBERS, operation: str = "add", **attributes: Any
) -> bytes:
    """The command of a letter."""
    kind, _, handle = group.partition(":")
    addressed = {"groupId" if kind == "id" else "groupKey": handle}
    data = {**addressed, "operateType": operation, "phones": phones}
    head = {"specversion": "1.0", "id": name, "source": "crm", "type": "numbergroup.update.v1"}
    return orjson.dumps({**head, "data": data, **attributes})


def letter(
    name: str = "c-1",
    *,
    order: int | None = 1 << 20,
    group: str | None = "id:g-1",
    account: str | None = "default",
    body: bytes | None = None,
    kind: str = "refused",
    code: str | None = "1002",
    message: str = "parameter error",
    fingerprint: str | None = "0123456789ab",
    partition: int = 0,
    letter_id: str | None = None,
    time: str = "2026-11-21T09:30:01.483Z",
    **more: Any,
) -> dict[str, Any]:
    """Arguments of `write`; `order` and `fingerprint` `None`: a letter of an earlier version.

    `more` goes into the description.
    """
    letter_id = letter_id or f"{partition}-{name}-0"
    described: dict[str, Any] = {
        "id": letter_id,
        "time": time,
        "partition": partition,
        "entry": name,
        "index": None,
        "error": {"kind": kind, "code": code, "message": message},
        "command": {"id": name, "source": "crm", "type": "numbergroup.update.v1"},
        "account": account,
        "group": group,
        "requestIds": ["1602248485121429507"],
    }
    if fingerprint is not None:
        described |= {"fingerprint": fingerprint, "attempts": 1, "firstTime": time, "replays": 0}
        described |= {"history": [], "via": {"listed": False, "replyTo": None}}
    described |= more
    if body is None:
        body = update(name, group or "id:g-1")
    return {"described": described, "body": body, "order": order, "partition": partition}


def write(pipe: Any, one: dict[str, Any], entry: str = "*") -> None:
    """Queue the letter and all that is counted of it, as the worker's settling does.

    `entry`: its id in the stream, by which the index knows it; with `*` the caller has to add that.
    """
    described, partition, order = one["described"], one["partition"], one["order"]
    fields = {"id": described["id"], "letter": orjson.dumps(described), "body": one["body"]}
    if order is not None:
        fields["order"] = order
    pipe.xadd(f"numbergroup:{{{partition}}}:dead-letters", fields, id=entry)
    if order is None:
        return
    pipe.hset(f"numbergroup:{{{partition}}}:dead-letters:index", described["id"], entry)
    pipe.sadd("numbergroup:dead-letters:partitions", partition)
    pipe.incr("numbergroup:dead-letters:count")
    pipe.hincrby("numbergroup:dead-letters:fingerprints", described["fingerprint"], 1)
    shape = {name: described["error"][name] for name in ("kind", "code", "message")}
    pipe.hset("numbergroup:dead-letters:shapes", described["fingerprint"], orjson.dumps(shape))
    if described["group"] is not None:
        pipe.hincrby("numbergroup:lettered", group_field(described["group"], described["account"]), 1)
