"""What all these programs do with a command: read it, make the vendor's signed call of it, say so."""

import os
import time
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from numbergroup.vendors.signature import sign

BROKER_URL = os.environ.get("BENCH_BROKER_URL", "")
VENDOR_URL = os.environ.get("BENCH_VENDOR_URL", "")
ANSWERS = "bench-answers"
"""The list or queue that gets one entry for each command, after its call."""

Kind = Literal["add", "delete", "replace"]

_KEY, _SECRET = "bench-key", "bench-secret"
_ACTION, _BIZ_TYPE = "updateGroup", "5"
_OPERATE_TYPES: dict[Kind, int] = {"add": 0, "delete": 1, "replace": 2}


@dataclass(frozen=True, slots=True)
class Command:
    """An update.v1 command, as far as the call needs it."""

    id: str
    group: str
    kind: Kind
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One POST to `VENDOR_URL`."""

    headers: dict[str, str]
    body: bytes


def parsed(event: bytes | str) -> Command:
    """The command of a CloudEvent in JSON."""
    return command_of(orjson.loads(event))


def command_of(content: dict[str, Any]) -> Command:
    """The command of a CloudEvent."""
    data = content["data"]
    return Command(content["id"], data["groupId"], data["operateType"], tuple(data["phones"]))


def signed(group: str, kind: Kind, phones: tuple[str, ...]) -> Call:
    """The call as numbergroup makes it, signed for this moment."""
    content = {"groupId": group, "operateType": _OPERATE_TYPES[kind], "phones": ",".join(phones)}
    body = orjson.dumps(content)
    ts = str(int(time.time() * 1000))
    signature = sign(
        access_key=_KEY,
        action=_ACTION,
        biz_type=_BIZ_TYPE,
        ts=ts,
        body=body,
        secret=_SECRET,
        algorithm="md5",
    )
    headers = {
        "Content-Type": "application/json",
        "accessKey": _KEY,
        "action": _ACTION,
        "bizType": _BIZ_TYPE,
        "ts": ts,
        "sign": signature,
    }
    return Call(headers, body)


def succeeded(answer: bytes) -> str:
    """The vendor's requestId. Raises ValueError if it did not accept the call."""
    content = orjson.loads(answer)
    if content["code"] != 0:
        raise ValueError(f"the vendor refused: {content}")
    request_id: str = content["requestId"]
    return request_id


def result(command: Command, request_ids: list[str]) -> bytes:
    """The entry for `ANSWERS`."""
    return orjson.dumps({"id": command.id, "status": "applied", "requestIds": request_ids})
