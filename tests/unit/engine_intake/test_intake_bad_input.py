"""Bad input, as FAULTS.md lists it: nothing raises, who can be named is answered, every byte is kept."""

import gzip
import json
import pickle
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from intake_cases import KEY, PHONE, body, entry, event, one_command, one_refusal, read

from numbergroup.engine.commands import Command, CommandKey
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.verdicts import Refusal

GOOD = body(event())


def data(**members: Any) -> dict[str, Any]:
    """A good command but for these members of its data."""
    return event(data={"groupId": "g", "operateType": "add", "phones": [PHONE]} | members)


def raw(value: str, **attributes: Any) -> bytes:
    """A good command with an attribute `x` of this text, which need not be JSON."""
    return body(event(x="RAW", **attributes)).replace(b'"RAW"', value.encode())


UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "spaces": b" \r\n\t",
    "not JSON": b"add 85211111114 please",
    "markup": b"<html><body>503</body></html>",
    "NUL": b"\0" * 100,
    "scalar": b"85211111114",
    "text": b'"85211111114"',
    "true": b"true",
    "null": b"null",
    "NaN": b"NaN",
    "1e999": b"1e999",
    "5,000 digits": b"9" * 5_000,
    "lone surrogate": b'"\\ud800"',
    "only a BOM": b"\xef\xbb\xbf",
    "invalid UTF-8": b"\xff\xfe\xfd{",
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without a BOM": GOOD.decode().encode("utf-16-be"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "empty array": b"[]",
    "empty object": b"{}",
    "unclosed array": b"[",
    "unclosed object": b"{",
    "unclosed text": b'{"id":"',
    "unclosed escape": b'{"id":"\\',
    "closed before opened": b"]}]}",
    "100,000 arrays": b"[" * 100_000,
    "100,000 arrays, closed": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "a million quotes": b'"' * 1_000_000,
    "a million escaped quotes": b'{"' + b'\\"' * 500_000,
    "a million commas": b"[" + b"," * 1_000_000 + b"]",
    "a million scalars": b"[" + b"1," * 500_000 + b"1]",
    "pickle": pickle.dumps(event()),
    "pickle of protocol 0": pickle.dumps(event(), protocol=0),
    "yaml": b"specversion: '1.0'\nid: c-1\nsource: crm\n",
    "yaml in flow style": b"{specversion: '1.0', id: c-1, source: crm}",
    "gzip": gzip.compress(GOOD),
    "deflate": zlib.compress(GOOD),
    "kombu's tagged type": b'{"__type__": "decimal", "__value__": "85211111114"}',
    "kombu's envelope": body({"body": "eyJpZCI6IDF9", "headers": {"id": 1}, "properties": {"source": "crm"}}),
    "no id": body({key: value for key, value in event().items() if key != "id"}),
    "no source": body({key: value for key, value in event().items() if key != "source"}),
    "null id": body(event(id=None)),
    "number as id": body(event(id=1)),
    "boolean as id": body(event(id=True)),
    "array as id": body(event(id=["c-1"])),
    "object as source": body(event(source={"id": "c-1", "source": "crm"})),
    "empty id": body(event(id="")),
    "over-long id": body(event(id="x" * 129)),
    "over-long source": body(event(source="x" * 129)),
    "id with line ends": body(event(id="c-1\r\nforged: 1")),
    "id with a line end": body(event(id="c-1\n")),
    "id with terminal escapes": body(event(id="\x1b[2J")),
    "id with NUL": body(event(id="c\0-1")),
    "id with a lone surrogate": GOOD.replace(b'"c-1"', b'"c\\ud800"'),
    "id with invalid UTF-8": GOOD.replace(b'"c-1"', b'"c\xff"'),
    "id in data only": b'{"data": {"id": "c-1", "source": "crm"}, "x": {"id": "c-2", "source": "crm"}}',
    "cut before the id": b'{"source": "crm", "id": "c-',
    "id taken back": b'{"id": "c-1", "source": "crm", "id": 7}',
    "long, and begins with nothing": b'{"x": "' + b"x" * 10_000_000 + b'", "id": "c-1", "source": "crm"}',
}

READABLE: dict[str, bytes] = {
    "truncated": GOOD[:-30],
    "truncated by one byte": GOOD[:-1],
    "something after it": GOOD + b" x",
    "another one after it": GOOD + b"\n" + body(event("c-2")),
    "BOM": b"\xef\xbb\xbf" + GOOD,
    "invalid UTF-8": GOOD.replace(b'"g"', b'"\xff"'),
    "overlong UTF-8": GOOD.replace(b'"g"', b'"\xc0\xaf"'),
    "surrogate in UTF-8": GOOD.replace(b'"g"', b'"\xed\xa0\x80"'),
    "lone surrogate": GOOD.replace(b'"g"', b'"\\udc00"'),
    "lone surrogate in an extension": raw('"\\ud800"'),
    "NUL": GOOD.replace(b'"g"', b'"g\0"'),
    "escaped NUL": body(data(groupId="g\0")),
    "5,000 digits": raw("9" * 5_000),
    "5,000 digits for a sequence": body(event(sequence="RAW")).replace(b'"RAW"', b"9" * 5_000),
    "NaN": raw("NaN"),
    "-Infinity": raw("-Infinity"),
    "Infinity in depth": raw('{"a": [Infinity]}'),
    "NaN for a sequence": body(event(sequence=float("nan"))),
    "1e999 for a sequence": body(event(sequence="RAW")).replace(b'"RAW"', b"1e999"),
    "100,000 arrays": raw("[" * 100_000 + "]" * 100_000),
    "100,000 arrays, not closed": raw("[" * 100_000),
    "1,000 objects": raw('{"a":' * 1_000 + "1" + "}" * 1_000),
    "leading zero": raw("01"),
    "trailing comma": GOOD[:-1] + b",}",
    "comment": GOOD.replace(b"{", b"{ /* add */ ", 1),
    "single quotes": raw("'x'"),
    "boolean as operateType": body(data(operateType=True)),
    "boolean as sequence": body(event(sequence=True)),
    "fraction as sequence": body(event(sequence=1.5)),
    "unknown field": body(data(phone=PHONE)),
    "unknown field with a number for a name": body(data(**{PHONE: 1})),
    "kombu's tagged type": body(data(groupId={"__type__": "decimal", "__value__": PHONE})),
    "unknown type": body(event(type_="rename")),
    "number as type": body(event(type=85211111114)),
    "phone as type": body(event(type=PHONE)),
    "no type": body(event(type=None)),
    "unknown version of a type": body(event(type="numbergroup.update.v2")),
    "unknown specversion": body(event(specversion="0.3")),
    "no specversion": body(event(specversion=None)),
    "no data": body(event() | {"data": None}),
    "data as text": body(event(data=json.dumps(data()["data"]))),
    "data as array": body(event(data=[PHONE])),
    "data in base64": body({key: value for key, value in event(data_base64="e30=").items() if key != "data"}),
    "group id with line ends": body(data(groupId="g\r\nforged: 1")),
    "group id with terminal escapes": body(data(groupId="\x1b]0;g\x07")),
    "group id that turns the text around": body(data(groupId="g\u202e85")),
    "over-long group id": body(data(groupId="x" * 129)),
    "empty group id": body(data(groupId="")),
    "no handle": body(data(groupId=None)),
    "two handles": body(data(groupKey="k")),
    "full-width digits": body(data(phones=["\uff18\uff15\uff12\uff11\uff11\uff11\uff11\uff11"])),
    "Arabic digits": body(data(phones=["\u0668\u0665\u0662\u0661\u0661\u0661\u0661\u0661"])),
    "zero-width space in a phone": body(data(phones=["852\u200b11111114"])),
    "plus": body(data(phones=["+" + PHONE])),
    "zero first": body(data(phones=["0" + PHONE])),
    "16 digits": body(data(phones=["8521111111412345"])),
    "6 digits": body(data(phones=["852111"])),
    "line end after a phone": body(data(phones=[PHONE + "\n"])),
    "phones as a number": body(data(phones=85211111114)),
    "phones as numbers": body(data(phones=[85211111114])),
    "phones as null": body(data(phones=None)),
    "phones as an object": body(data(phones={PHONE: 1})),
    "no phones": body(data(phones=[])),
    "no phones in a text": body(data(phones="")),
    "space between phones": body(data(phones=f"{PHONE}, {PHONE}")),
    "100,000 bad phones": body(data(phones=["0"] * 100_000)),
    "50,000 unknown fields": body(data(**{f"f{n}": n for n in range(50_000)})),
    "pickle as content type": body(event(datacontenttype="application/x-python-serialize")),
    "yaml as content type": body(event(datacontenttype="application/x-yaml")),
    "time without a zone": body(event(time="2026-11-21T09:30:00")),
    "time as a number": body(event(expirytime=1763717401)),
    "unprintable reply queue": body(event(replyto="q\x1b[2J")),
    "unprintable account": body(event(account="a\n")),
    "10 MB": body(data(remark="x" * 10_000_000)),
    "10 MB of an array in depth": raw("[" * 10_000_000),
}

BETTER_THAN_IT_LOOKS: dict[str, bytes] = {
    "future-dated": body(event(time="2099-01-01T00:00:00Z")),
    "expired": body(event(expirytime="2000-01-01T00:00:00Z")),
    "foreign reply queue": body(event(replyto="celery")),
    "null attributes": body(event(time=None, replyto=None, account=None, sequence=None, expirytime=None)),
    "1e999 in an extension": raw("1e999"),
    "100 arrays in an extension": raw("[" * 100 + "]" * 100),
    "NaN as a word": body(event(x="NaN and Infinity")),
    "duplicate keys": GOOD.replace(b'"id": "c-1"', b'"id": "c-0", "id": "c-1"'),
    "escaped letters": GOOD.replace(b'"c-1"', b'"\\u0063-1"'),
    "10,000 phones": body(data(phones=[str(85_200_000_000 + n) for n in range(10_000)])),
}


@pytest.mark.parametrize("message", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable(message: bytes) -> None:
    """One refusal without a key, with the whole message as it arrived; nothing is shown of it."""
    refusal = one_refusal(message)
    assert refusal.key is None
    assert refusal.body == (message if not refusal.origin.entry.is_array else message[1:-1])
    assert refusal.origin.index == 0
    assert refusal.origin.entry.total == 1
    assert 0 < len(refusal.message) < 500
    assert PHONE not in refusal.message


@pytest.mark.parametrize("message", READABLE.values(), ids=READABLE)
def test_readable(message: bytes) -> None:
    """One refusal whose sender can be answered; nothing is shown of what is wrong."""
    refusal = one_refusal(message)
    assert refusal.key == KEY
    assert refusal.body == message
    assert 0 < len(refusal.message) < 500
    assert refusal.message.isprintable()
    assert "8521" not in refusal.message
    assert refusal.account is None or refusal.account.isprintable()


@pytest.mark.parametrize("message", BETTER_THAN_IT_LOOKS.values(), ids=BETTER_THAN_IT_LOOKS)
def test_better_than_it_looks(message: bytes) -> None:
    """What is not forbidden is taken: whether it can be carried out is for others to say."""
    assert one_command(message).key == KEY


SMALL = [
    *((name, message) for name, message in UNREADABLE.items() if len(message) < 100_000),
    *((name, message) for name, message in READABLE.items() if len(message) < 100_000),
]
# Alone they are one event; in an array their open brackets and quotes, or their bytes, reach further.
BREAKS = {
    *("spaces", "empty", "unclosed array", "unclosed object", "unclosed text", "unclosed escape"),
    *("closed before opened", "cut before the id", "truncated", "truncated by one byte"),
    *(
        "pickle",
        "pickle of protocol 0",
        "gzip",
        "deflate",
        "UTF-16",
        "UTF-16 without a BOM",
        "UTF-32",
        "not JSON",
    ),
    "invalid UTF-8",
}


@pytest.mark.parametrize(
    "message", [m for n, m in SMALL if n not in BREAKS], ids=[n for n, _ in SMALL if n not in BREAKS]
)
def test_one_bad_event_among_good_ones(message: bytes) -> None:
    """It comes to the end that it would have come to alone; the good ones go through, in order."""
    whole = entry(b"[" + b" , ".join([body(event("a")), body(event("b")), message, body(event("c"))]) + b"]")
    items = Intake().read(whole)
    assert (whole.is_array, whole.total) == (True, 4)
    good = [item for item in items if isinstance(item, Command)]
    assert [item.key.id for item in good] == ["a", "b", "c"]
    assert [item.origins[0].index for item in good] == [0, 1, 3]
    (bad,) = [item for item in items if isinstance(item, Refusal)]
    alone = one_refusal(message)
    assert (bad.origin.index, bad.key, bad.body) == (2, alone.key, message.strip())


@pytest.mark.parametrize(
    "message", [m for n, m in SMALL if n in BREAKS], ids=[n for n, _ in SMALL if n in BREAKS]
)
def test_event_that_breaks_its_array(message: bytes) -> None:
    """No byte is lost, and nobody who can be named goes unanswered; the good ones before it at least."""
    whole = entry(b"[" + b",".join([body(event("a")), body(event("b")), message, body(event("c"))]) + b"]")
    items = Intake().read(whole)
    assert whole.total == len(items)
    keys = [item.key for item in items if item.key]
    assert keys[:2] == [CommandKey("crm", "a"), CommandKey("crm", "b")]
    refusals = [item for item in items if isinstance(item, Refusal)]
    assert any(message.strip() in refusal.body for refusal in refusals)


class TestArrays:
    def test_truncated(self) -> None:
        """None of its events is applied: what is whole is answered, and the message kept."""
        message = body([event("a"), event("b"), event("c")])[:-20]
        *answered, rest = read(message)
        assert all(isinstance(item, Refusal) for item in answered)
        assert [item.key for item in answered] == [CommandKey("crm", "a"), CommandKey("crm", "b")]
        assert [item.body for item in answered if isinstance(item, Refusal)] == [
            body(event("a")),
            body(event("b")),
        ]
        assert isinstance(rest, Refusal)
        assert (rest.key, rest.body, rest.origin.index) == (None, message, 2)
        assert rest.origin.entry.total == 3

    @pytest.mark.parametrize("after", [b"x", b",", b"[]", b"\0"])
    def test_something_after_it(self, after: bytes) -> None:
        message = body([event("a"), event("b")]) + after
        items = read(message)
        assert [item.key and item.key.id for item in items] == ["a", "b", None]
        assert isinstance(items[-1], Refusal)
        assert items[-1].body == message

    def test_byte_order_mark(self) -> None:
        """It spoils the message, not who can be named."""
        message = b"\xef\xbb\xbf" + body([event("a"), event("b")])
        items = read(message)
        assert all(isinstance(item, Refusal) for item in items)
        assert [item.key and item.key.id for item in items] == ["a", "b"]
        assert all(isinstance(item, Refusal) for item in read(b"\xef\xbb\xbf[7]"))

    def test_1001_events(self) -> None:
        """All are answered, none is applied; the message itself need not be kept."""
        message = entry([event(f"c-{n}") for n in range(1001)])
        items = Intake().read(message)
        assert all(isinstance(item, Refusal) for item in items)
        assert [item.key.id for item in items if item.key] == [f"c-{n}" for n in range(1001)]
        assert (message.is_array, message.total) == (True, 1001)

    def test_1001_events_some_of_which_are_nobodys(self) -> None:
        """What cannot be answered is one refusal, with the whole message."""
        message = body([event("a"), *[7] * 2000, event("b")])
        items = read(message)
        assert [item.key and item.key.id for item in items] == ["a", "b", None]
        assert [item.origin.index for item in items if isinstance(item, Refusal)] == [0, 2001, 2002]
        assert isinstance(items[-1], Refusal)
        assert items[-1].body == message
        assert items[-1].origin.entry.total == 3

    def test_array_in_an_array(self) -> None:
        """Its events are nobody's: an event is an object."""
        items = read([event("a"), [event("b")], event("c")])
        assert [type(item) for item in items] == [Command, Refusal, Command]
        assert items[1].key is None

    def test_too_large(self) -> None:
        """Those at its beginning are answered; the rest is kept with all of it."""
        message = body([event(f"c-{n}") for n in range(9_000)])
        items = read(message)
        assert all(isinstance(item, Refusal) for item in items)
        keys = [item.key.id for item in items if item.key]
        assert 100 < len(keys) < 1000
        assert keys == [f"c-{n}" for n in range(len(keys))]
        assert isinstance(items[-1], Refusal)
        assert (items[-1].key, items[-1].body) == (None, message)

    @pytest.mark.parametrize(
        "odd", [b"9" * 5_000, b"NaN", b'"\\ud800"', b'"\xff"', b"[" * 5_000 + b"]" * 5_000]
    )
    def test_what_no_parser_reads_in_one_event(self, odd: bytes) -> None:
        """The parser gives up on the whole array; its other events go through all the same."""
        bad = body(event("bad", x="RAW")).replace(b'"RAW"', odd)
        items = read(b"[" + b",".join([body(event("a")), bad, body(event("b", x="NaN"))]) + b"]")
        assert [(type(item), item.key) for item in items] == [
            (Command, CommandKey("crm", "a")),
            (Refusal, CommandKey("crm", "bad")),
            (Command, CommandKey("crm", "b")),
        ]


class TestTooLarge:
    def test_only_the_beginning_is_looked_at(self) -> None:
        """However large it is."""
        message = body(data(remark="[" * 50_000_000))
        tracemalloc.start()
        refusal = one_refusal(message)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert refusal.key == KEY
        assert refusal.body is message
        assert refusal.message == f"the message has {len(message)} bytes, the limit is 1048576"
        assert peak < 1_000_000

    def test_an_id_beyond_it_is_not_found(self) -> None:
        message = b'{"x":"' + b"x" * 70_000 + b'",' + GOOD[1:]
        assert isinstance(Intake().read(entry(message))[0], Command)
        (refusal,) = Intake(70_000).read(entry(message))
        assert refusal.key is None


HEAVY = {
    "arrays": b"[" * 1_000_000,
    "closed arrays": b"[" * 500_000 + b"]" * 500_000,
    "objects": b'{"a":' * 200_000,
    "scalars": b"[" + b"1," * 500_000 + b"1]",
    "empty objects": b"[" + b"{}," * 300_000 + b"{}]",
    "commas": b"[" + b"," * 1_000_000 + b"]",
    "quotes": b'["' + b'"' * 1_000_000,
    "escapes": b'["' + b'\\"' * 500_000,
    "backslashes": b'{"' + b"\\" * 1_000_001,
    "texts and quotes": b'{"' + b'\\""' * 300_000,
    "members": b"{" + b",".join(b'"k%d":"v"' % n for n in range(70_000)) + b"}",
    "bad phones": body(data(phones=["1"] * 200_000)),
    "unknown fields": body(data(**{f"k{n}": 1 for n in range(80_000)})),
    "nearly events": b"[" + b'{"id":"a","source":"b"},' * 40_000 + b"{}]",
}


@pytest.mark.slow
@pytest.mark.parametrize("message", HEAVY.values(), ids=HEAVY)
def test_a_megabyte_of_anything_is_bounded(message: bytes) -> None:
    """Neither time nor memory explodes, whatever is nested, repeated or left open.

    The bounds are generous: they are there to tell linear from quadratic.
    """
    started = time.process_time()
    Intake().read(entry(message))
    assert time.process_time() - started < 5
    tracemalloc.start()
    Intake().read(entry(message[:50_000]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 50_000
