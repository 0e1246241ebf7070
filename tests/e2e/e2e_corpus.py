"""Messages that are no commands, as FAULTS.md lists them, and odd ones that are."""

import gzip
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

GROUP = "corpus"
NUMBER = "85277000001"
_LONE_SURROGATE = "\\ud800"


@dataclass(frozen=True)
class Bad:
    """A body that must be refused: with a result if `answered` names a command, and always with a letter.

    The letter of an event of an array has the event, any other the whole body.
    """

    name: str
    body: bytes
    answered: str | None = None
    event: bytes | None = None

    @property
    def kept(self) -> bytes:
        return self.body if self.event is None else self.event


def event(name: str, data: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """A good command under the id `name`, but for what the arguments say."""
    wanted = {"groupId": GROUP, "operateType": "add", "phones": [NUMBER]} | (data or {})
    envelope = {"specversion": "1.0", "id": name, "source": "e2e", "type": "numbergroup.update.v1"}
    return envelope | {"data": wanted} | attributes


def unreadable() -> list[Bad]:
    """Nobody can be answered: there is no telling who sent them."""
    good = json.dumps(event("unreadable")).encode()
    nameless = event("nameless")
    del nameless["id"]
    sourceless = event("sourceless")
    del sourceless["source"]
    return [
        Bad("empty", b""),
        Bad("spaces", b" \r\n\t"),
        Bad("not JSON", b"add 85277000001 to corpus, please"),
        Bad("YAML", b"specversion: '1.0'\nid: yaml\nphones:\n- '85277000001'\n"),
        Bad("pickle", pickle.dumps(event("pickle"))),
        Bad("compressed", gzip.compress(good)),
        Bad("UTF-16", good.decode().encode("utf-16")),
        Bad("NUL", b"\0" * 16),
        Bad("a number", b"85277000001"),
        Bad("a text", b'"85277000001"'),
        Bad("null", b"null"),
        Bad("true", b"true"),
        Bad("NaN", b"NaN"),
        Bad("an integer of 5,000 digits", b"9" * 5_000),
        Bad("nested arrays without end", b"[" * 100_000),
        Bad("nested arrays", b"[" * 100_000 + b"]" * 100_000, event=b"[" * 99_999 + b"]" * 99_999),
        Bad("an array in an array", b"[[" + good + b"]]", event=b"[" + good + b"]"),
        Bad("an empty array", b"[]"),
        Bad("an empty object", b"{}"),
        Bad("no id", json.dumps(nameless).encode()),
        Bad("no source", json.dumps(sourceless).encode()),
        Bad("an empty id", json.dumps(event("")).encode()),
        Bad("an id too long", json.dumps(event("x" * 129)).encode()),
        Bad("an id that is a number", json.dumps(event("x") | {"id": 7}).encode()),
        Bad("an id with line ends", json.dumps(event("x\r\nX-Forged: 1")).encode()),
        Bad("an id that moves the cursor", json.dumps(event("x\x1b[2J")).encode()),
        Bad("a lone surrogate for an id", json.dumps(event("ID")).replace("ID", _LONE_SURROGATE).encode()),
        Bad("10 MB of nothing", b"x" * 10_000_000),
    ]


def readable() -> list[Bad]:
    """Who sent them can be read, and is answered."""
    found = [Bad(name, body, name) for name, body in _readable()]
    assert len({bad.name for bad in found}) == len(found)
    return found


def _readable() -> Iterator[tuple[str, bytes]]:
    for name, data in _DATA.items():
        yield name, json.dumps(event(name, data)).encode()
    for name, attributes in _ATTRIBUTES.items():
        yield name, json.dumps(event(name) | attributes).encode()
    for name, raw in _RAW_NUMBERS.items():
        yield name, json.dumps(event(name, sequence="RAW")).replace('"RAW"', raw).encode()
    whole = json.dumps(event("truncated")).encode()
    yield "truncated", whole[: whole.index(b"phones")]
    yield "BOM", b"\xef\xbb\xbf" + json.dumps(event("BOM")).encode()
    yield "invalid UTF-8", json.dumps(event("invalid UTF-8")).encode().replace(b"852", b"\xff\xfe")
    lone = json.dumps(event("lone surrogate", {"groupId": "SURROGATE"})).replace("SURROGATE", _LONE_SURROGATE)
    yield "lone surrogate", lone.encode()
    yield "10 MB", json.dumps(event("10 MB", {"remark": "x" * 10_000_000})).encode()


_DATA: dict[str, dict[str, Any]] = {
    "a boolean for an integer": {"operateType": True},
    "an operation out of range": {"operateType": 3},
    "an unknown operation": {"operateType": "merge"},
    "an unknown field": {"phone": NUMBER},
    "a tagged type": {"phones": {"__type__": "decimal", "__value__": NUMBER}},
    "phones as a number": {"phones": int(NUMBER)},
    "phones as numbers": {"phones": [int(NUMBER)]},
    "phones as null": {"phones": None},
    "no phones": {"phones": []},
    "no phones in a text": {"phones": ""},
    "a plus": {"phones": ["+" + NUMBER]},
    "a leading zero": {"phones": ["0" + NUMBER]},
    "too many digits": {"phones": [NUMBER * 2]},
    "full-width digits": {"phones": ["\uff18\uff15\uff12\uff17\uff17\uff10\uff10\uff10\uff10\uff10\uff11"]},
    "Arabic digits": {"phones": ["\u0668\u0665\u0662\u0667\u0667\u0660\u0660\u0660\u0660\u0660\u0661"]},
    "a zero-width space": {"phones": ["852\u200b77000001"]},
    "a line end after a number": {"phones": [NUMBER + "\n"]},
    "line ends in a group id": {"groupId": "corpus\r\nX-Forged: 1"},
    "terminal escapes in a group id": {"groupId": "\x1b]0;corpus\x07"},
    "NUL in a group id": {"groupId": "cor\0pus"},
    "two handles": {"groupKey": "corpus"},
    "an unknown group key": {"groupId": None, "groupKey": "never-created"},
    "expiresAt": {"expiresAt": "2030-01-01T00:00:00Z"},
}

_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "an unknown type": {"type": "numbergroup.move.v1"},
    "an unknown version": {"type": "numbergroup.update.v2"},
    "no type": {"type": None},
    "an unknown specversion": {"specversion": "2.0"},
    "no data": {"data": None},
    "data as a text": {"data": json.dumps(event("inner")["data"])},
    "pickle as content type": {"datacontenttype": "application/x-python-serialize"},
    "yaml as content type": {"datacontenttype": "application/x-yaml"},
    "an unknown account": {"account": "nobody"},
    "a time without a zone": {"time": "2026-11-21T00:00:00"},
    "a reply queue with an escape": {"replyto": "numbergroup:replies:\x1b[2J"},
}

_RAW_NUMBERS = {
    "a sequence of 5,000 digits": "9" * 5_000,
    "NaN for a sequence": "NaN",
    "1e999": "1e999",
    "a fraction": "1.5",
}


def odd_but_good() -> dict[str, bytes]:
    """Commands that look wrong and are not, by their ids; `ODD_NUMBERS` are what they add."""
    one, *others = ODD_NUMBERS
    twice = json.dumps(event("first", {"phones": [one]}))[:-1] + ', "id": "a duplicate key"}'
    odd = [
        event("the future", {"phones": others[:1]}, time="2099-01-01T00:00:00Z"),
        event("an extension", {"phones": others[1:2]}, partitionkey="x"),
        event("a text of phones", {"phones": ",".join([others[2], others[2]])}),
        event("an operation as a number", {"phones": others[3:4], "operateType": 0}),
        event("null attributes", {"phones": others[4:5]}, replyto=None, account=None, sequence=None),
        event("a foreign reply queue", {"phones": others[5:6]}, replyto="celery"),
        event("10,000 phones", {"phones": others[6:]}),
    ]
    found = {command["id"]: json.dumps(command).encode() for command in odd}
    escaped = json.dumps(event("escapes", {"phones": [one]})).replace("852", "\\u0038\\u00352")
    return found | {"a duplicate key": twice.encode(), "escapes": escaped.encode()}


ODD_NUMBERS = [f"8527{n:07}" for n in range(10_007)]
