"""Commands, good and bad, with every attribute at and beyond its limits."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

from numbergroup_contracts.commands import CREATE, DELETE, LIST, RENAME, UPDATE

GOOD: dict[str, dict[str, Any]] = {
    UPDATE: {"groupId": "6a7sd3402px21429s04", "operateType": "add", "phones": ["85211111114"]},
    CREATE: {"phones": ["85211111114", "85235753351"]},
    DELETE: {"groupId": "6a7sd3402px21429s04"},
    RENAME: {"groupId": "6a7sd3402px21429s04", "groupName": "night shift"},
    LIST: {},
}


def command(type_: str = UPDATE, /, data: Any = None, **attributes: Any) -> dict[str, Any]:
    """A good command, but for what is said."""
    event = {"specversion": "1.0", "id": "c-1", "source": "crm", "type": type_}
    return {**event, "data": copy.deepcopy(GOOD.get(type_, {})) if data is None else data, **attributes}


def with_data(type_: str = UPDATE, /, **members: Any) -> dict[str, Any]:
    """A good command, but for these members of its data."""
    return command(type_, GOOD[type_] | members)


UNPRINTABLE = {
    "nul": "a\0b",
    "line-feed": "a\nb",
    "line-feed-at-the-end": "a\n",
    "carriage-return": "a\r",
    "escape": "a\x1b[31m",
    "delete": "a\x7f",
    "c1": "a\x9b31m",
    "no-break-space": "a\xa0b",
    "soft-hyphen": "a\xadb",
    "arabic-letter-mark": "a\u061cb",
    "zero-width-space": "a\u200bb",
    "zero-width-joiner": "a\u200db",
    "line-separator": "a\u2028b",
    "right-to-left-override": "a\u202eb",
    "isolate": "a\u2067b",
    "byte-order-mark": "a\ufeffb",
    "non-character": "a\uffffb",
}
IDENTIFIERS = ["a", "c-1", "x" * 128, "α/β 7", "客户", "🎈", "a b"]
NO_IDENTIFIERS = ["", "x" * 129, 7, True, None, ["a"], {}, *UNPRINTABLE.values()]

TIMES = [
    "2026-11-21T09:30:00Z",
    "2026-11-21t09:30:00.123456789z",
    "2026-11-21T09:30:00+05:30",
    "2026-11-21T09:30:00-00:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "2028-02-29T00:00:00Z",
]
NO_TIMES = [
    "",
    "1763717401",
    1763717401,
    1763717401.5,
    True,
    "2026-11-21",
    "2026-11-21T09:30Z",
    "2026-11-21 09:30:00Z",
    "2026-11-21_09:30:00Z",
    "2026-11-21T09:30:00",
    "2026-11-21T09:30:00,5Z",
    "2026-11-21T09:30:00.Z",
    "2026-11-21T09:30:00+0530",
    "2026-11-21T09:30:00+24:00",
    "2026-11-21T09:30:00\u221205:30",
    "2026-11-21T09:30:60Z",
    "2026-11-21T24:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-31T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "2026-11-21T09:30:00Z\n",
    " 2026-11-21T09:30:00Z",
    "٢٠٢٦-11-21T09:30:00Z",
    [],
]

PHONES: list[Any] = [
    ["8521111"],
    ["852111111141234"],
    ["85211111114", "85211111114"],
    "85211111114",
    "85211111114,85235753351",
]
NO_PHONES: list[Any] = [
    None,
    85211111114,
    True,
    {},
    [85211111114],
    [["85211111114"]],
    [None],
    [""],
    ["852111"],
    ["8521111111412345"],
    ["05211111114"],
    ["+85211111114"],
    ["85211111114\n"],
    [" 85211111114"],
    ["8521111-1114"],
    ["８５２１１１１１１１４"],
    ["٨٥٢١١١١١١١٤"],
    ["852\u200b11111114"],
    ["85211111114,85235753351"],
    ["85211111114", "0"],
    "85211111114,",
    ",85211111114",
    "85211111114, 85235753351",
    "85211111114;85235753351",
    "85211111114\n",
    "85211111114,85235753351\n",
    "+85211111114",
    " ",
]

_MISSING = "(missing)"
_WHOLE = [
    0,
    1,
    2,
    3,
    -1,
    1000,
    1001,
    2**31 - 1,
    2**31,
    2**53 - 1,
    2**53,
    -(2**53) + 1,
    -(2**53),
    2**64,
    10**400,
]
_ODD: list[Any] = [None, True, False, 0.5, "1", "", [], {}]


def _one_of(*pools: list[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*(st.sampled_from(pool) for pool in pools))


_identifier = _one_of(IDENTIFIERS, NO_IDENTIFIERS)
_time = _one_of(TIMES, NO_TIMES, [None])
_text = _one_of(["", "x", "x" * 256, "x" * 257, "x" * 1024, "x" * 1025, "a\nb"], _ODD)
_ATTRIBUTES: dict[str, st.SearchStrategy[Any]] = {
    "specversion": _one_of(["1.0", "1.0\n", "0.3", "1", 1], _ODD),
    "id": _identifier,
    "source": _identifier,
    "time": _time,
    "datacontenttype": _one_of(
        [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/vnd.example+json",
            "text/json",
            "application/xml",
            "application/json\n",
            "application/jsonx",
            "json",
        ],
        _ODD,
    ),
    "subject": _one_of(["x", "x" * 5000, "a\u200db", "", "a\nb", "a\n"], _ODD),
    "traceparent": st.one_of(_identifier, _one_of(["x" * 255, "x" * 256])),
    "correlationid": st.one_of(_identifier, _one_of(["x" * 255, "x" * 256])),
    "account": _identifier,
    "replyto": st.one_of(_identifier, _one_of(["x" * 255, "x" * 256])),
    "expirytime": _time,
    "sequence": _one_of(_WHOLE, _ODD),
    "comexample": _one_of(_WHOLE, _ODD, [{"a": [1]}]),
    "type": st.sampled_from([*GOOD, "numbergroup.update.v2", "", None, 1]),
    "data": _one_of(_ODD, [_MISSING]),
}
_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "groupId": _identifier,
    "groupKey": _identifier,
    "operateType": _one_of(["add", "delete", "replace", "Add", "add\n"], _WHOLE, _ODD),
    "phones": _one_of(PHONES, NO_PHONES, [[], ""]),
    "expiresAt": _time,
    "groupName": _text,
    "remark": _text,
    "limit": _one_of(_WHOLE, _ODD),
    "offset": _one_of(_WHOLE, _ODD),
    "phone": st.just("85211111114"),
}
_OF_TYPE = {
    UPDATE: ("groupId", "groupKey", "operateType", "phones", "expiresAt"),
    CREATE: ("phones", "groupName", "remark", "groupKey", "expiresAt"),
    RENAME: ("groupId", "groupKey", "groupName", "remark"),
    DELETE: ("groupId", "groupKey"),
    LIST: ("limit", "offset"),
}


@st.composite
def commands(draw: st.DrawFn) -> dict[str, Any]:
    """Commands of which a few parts are replaced, added or left out: some still good, most not."""
    type_ = draw(st.sampled_from(list(GOOD)))
    event = command(type_)
    members = st.sampled_from(_OF_TYPE[type_]) | st.sampled_from(list(_MEMBERS))
    for name in draw(st.lists(members, max_size=3)):
        event["data"][name] = draw(_MEMBERS[name] | st.just(_MISSING))
    for name in draw(st.lists(st.sampled_from(list(_ATTRIBUTES)), max_size=2)):
        event[name] = draw(_ATTRIBUTES[name] | st.just(_MISSING))
    if isinstance(event["data"], dict):
        event["data"] = {name: value for name, value in event["data"].items() if value != _MISSING}
    return {name: value for name, value in event.items() if value != _MISSING}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()
