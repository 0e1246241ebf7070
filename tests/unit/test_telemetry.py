"""Logs: what reaches them, in which form, and what must never be in them."""

import asyncio
import io
import json
import logging
import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from numbergroup.observability.logging import configure, get_logger, is_debug_enabled, scrub, scrub_text

PHONE = "85211111114"
REQUEST_ID = "1602248485121429504"

phones = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
request_ids = st.from_regex(r"[1-9][0-9]{18}", fullmatch=True)
words = st.text(st.characters(exclude_categories=["Nd"]), max_size=20)
escapes = st.sampled_from(["\\n", "\\t", "\\x2c", "\\u002b", "\\u0020", "%2C", "%2c", "%20", "%"])
marks = st.sampled_from(["", " ", ",", "+", "'", '"', ":", "=", "_", "-", "/", "\n", "(", "[", "手"])
before = marks | escapes
after = st.sampled_from(
    ["", " ", ",", "'", '"', ":", "_", "/", "\n", ")", "]", "号", "\\n", "\\u002c", "%2C", "."]
)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leaves the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.handlers = handlers
    root.setLevel(level)


class Log:
    """A stream that is no terminal, and the events that were written to it as JSON."""

    def __init__(self, level: str = "info") -> None:
        self.bytes = io.BytesIO()
        self.stream = io.TextIOWrapper(self.bytes, "utf-8")
        configure(None, level, self.stream)

    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.bytes.getvalue().splitlines()]


def scrubbed(**event: Any) -> dict[str, Any]:
    return dict(scrub(None, "info", event))


@given(phone=phones, head=words, tail=words, opened=before, closed=after)
@example(phone="1234567", head="", tail="", opened="%", closed="")
@example(phone="123456789012345", head="", tail="", opened="%20", closed="")
@example(phone="123456789012345", head="", tail="", opened="\\u0020", closed="")
def test_no_phone_survives_in_a_text(phone: str, head: str, tail: str, opened: str, closed: str) -> None:
    """A number that stands alone is masked wherever it stands, behind escapes of JSON, repr and URLs too."""
    if not opened and head[-1:].isascii() and head[-1:].isalnum():
        opened = " "
    if not closed and tail[:1].isascii() and tail[:1].isalnum():
        closed = " "
    assert phone not in scrub_text(head + opened + phone + closed + tail)


@given(
    numbers=st.lists(phones, min_size=1, max_size=5),
    joint=st.sampled_from([",", ", ", "%2C", "\\n", "', '", ";"]),
)
def test_no_phone_survives_in_a_list_of_them(numbers: list[str], joint: str) -> None:
    """Every number of a list in a text is masked."""
    assert scrub_text(joint.join(numbers)) == joint.join("[phone]" for _ in numbers)


@dataclass(frozen=True)
class Frozen:
    phones: Any


leaves = phones.flatmap(
    lambda p: st.sampled_from([p, int(p), f"+{p}", p.encode(), ValueError(p), (p,), {p}, {p: 1}, {int(p): 1}])
)
nested = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(["data", "phones", "x"]), inner, max_size=3)
        | inner.map(Frozen)
        | inner.map(lambda value: [[[[[[[[[value]]]]]]]]])
    ),
)


@given(value=nested)
def test_no_phone_survives_in_a_value(value: object) -> None:
    """Numbers are masked in nested collections of any depth, as ints, bytes, keys and parts of objects."""
    assert not [t for t in digits_of(json.dumps(scrubbed(event="x", value=value))) if 7 <= len(t) <= 15]


def digits_of(text: str) -> list[str]:
    return "".join(c if c.isdigit() else " " for c in text).split()


@given(request_id=request_ids, opened=marks, closed=after)
def test_every_request_id_survives(request_id: str, opened: str, closed: str) -> None:
    """The vendor's ids of 19 digits stay as they are, in texts and as values, nested too."""
    text = f"call{opened or ' '}{request_id}{closed}"
    assert scrub_text(text) == text
    event = {
        "event": "x",
        "requestId": request_id,
        "data": {"requestIds": [request_id], "n": int(request_id)},
    }
    assert scrubbed(**event) == event


@pytest.mark.parametrize(
    "text",
    [
        "6a7sd3402px21429s04",
        "87c3560d3331ae23f1021e2025722354",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "2026-11-21T02:44:37.195633Z",
        "1655710885431-0",
        "first_id 0-1655710885431-2-0, 12-side/1655710885431-0-0",
        "settled numbergroup:{0}:commands 1655710885431-12",
        "phone 110 or 123456, 0123456789",
        "signal: 15, design=new, assigned: 3",
        "http://127.0.0.1:8900/api/pns/",
        "8521111111485235753351",
    ],
)
def test_what_is_no_phone_and_no_secret_stays(text: str) -> None:
    """Group ids, digests, times, stream entries, letters, short and long numbers are what operators search
    for."""
    assert scrub_text(text) == text


@given(st.uuids())
def test_uuids_stay(value: uuid.UUID) -> None:
    """A UUID stays although its last part may be twelve digits."""
    assert scrub_text(f"event {value}.") == f"event {value}."


@example(uuid.UUID("12345678-1234-1234-1234-123456789012"))
@given(st.uuids())
def test_ids_made_of_digits_alone_stay(value: uuid.UUID) -> None:
    """So does one without a single letter."""
    assert scrubbed(event="x", id=str(value)) == {"event": "x", "id": str(value)}


def test_measures_stay() -> None:
    """Ints under keys that name a unit or a count stay, and floats; other ints are phones if they can be."""
    kept: dict[str, Any] = {
        "took_ms": 85_211_111_114,
        "size_bytes": 10_000_000,
        "count": 12_345_678,
        "ts": 1_655_710_885_431,
    }
    kept |= {"expires_at": 1_655_710_885, "epoch": 12_345_678, "numbers": 999_999, "n": 10**15, "ok": True}
    kept |= {"rate": 12345678.5, "none": None, "in_total": 10**9}
    assert scrubbed(**kept) == kept
    assert scrubbed(number=85_211_111_114, numbers=[1_000_000]) == {
        "number": "[phone]",
        "numbers": ["[phone]"],
    }


SECRET_KEYS = """secret access_secret accessSecret PASSWORD passwd token refreshToken Authorization sign
X-Sign appSign signature access_key accessKey apiKey x-api-key Set-Cookie"""


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_values_under_keys_of_secrets_are_masked(key: str) -> None:
    """Whatever a key of a secret holds is masked, at every depth; whether it is set at all may be seen."""
    for value in ("abc", 5, ["abc"], {"x": "abc"}, b"abc"):
        assert scrubbed(event="x", headers={key: value}, **{key: value}) == {
            "event": "x",
            "headers": {key: "[secret]"},
            key: "[secret]",
        }
    assert scrubbed(**{key: None}) == {key: None}


@pytest.mark.parametrize("key", ["design", "assigned", "signal", "group", "keys", "action"])
def test_other_keys_are_not_taken_for_secrets(key: str) -> None:
    """A key that only contains the letters of `sign` is harmless."""
    assert scrubbed(**{key: "abc"}) == {key: "abc"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://:hunter2@h:6379/0 is down", "redis://:[secret]@h:6379/0 is down"),
        ("amqp://me:hun@ter/2@h", "amqp://me:[secret]@h"),
        ("redis://hunter2@h", "redis://[secret]@h"),
        ("Authorization: Bearer hunter2", "Authorization: [secret]"),
        ("it said eyJhbGciOiJ9.eyJzdWIi-_.c2ln, twice", "it said [secret], twice"),
        ("{'accessKey': 'hunter2', 'ts': '5'}", "{'accessKey': '[secret]', 'ts': '5'}"),
        ('{"sign":"hunter2","x":1}', '{"sign":"[secret]","x":1}'),
        (
            "accessKey=hunter2&action=x&accessSecret=hunter2",
            "accessKey=[secret]&action=x&accessSecret=[secret]",
        ),
        ("X-Sign: hunter2", "X-Sign: [secret]"),
        ("password = hunter2, next", "password = [secret], next"),
    ],
)
def test_secrets_in_texts_are_masked(text: str, expected: str) -> None:
    """Passwords in URLs, what follows a secret's name and a colon or equals sign, and JWTs are masked."""
    assert scrub_text(text) == expected


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    "piece", ["://", "token", "token ", "sign=\\", "0123456a-", f"{PHONE},", "eyJ", "eyJa."]
)
def test_scrubbing_takes_linear_time(piece: str) -> None:
    """A hostile text of a message's size cannot stop the worker."""
    assert PHONE not in scrub_text(piece * (2**20 // len(piece)) + ":")


def test_secrets_in_other_objects_are_masked() -> None:
    """An object that is logged whole is scrubbed like its repr."""
    event = scrubbed(value=Frozen({"access_secret": "hunter2", "phones": [PHONE]}))
    assert event == {"value": "Frozen(phones={'access_secret': '[secret]', 'phones': ['[phone]']})"}


def test_an_event_as_json() -> None:
    """Off a terminal an event is one JSON object with level, UTC time, logger and the values bound to it."""
    log = Log()
    structlog.contextvars.bind_contextvars(account="default")
    get_logger("numbergroup.vendors.client").bind(group="g").info("call sent", took_ms=12.5, phones=[PHONE])
    (event,) = log.events()
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "call sent",
        "level": "info",
        "logger_name": "numbergroup.vendors.client",
        "account": "default",
        "group": "g",
        "took_ms": 12.5,
        "phones": ["[phone]"],
    }


def test_levels() -> None:
    """What is below the level is not written, be it ours or a library's."""
    log = Log("warning")
    for logger in (get_logger("ours"), logging.getLogger("theirs")):
        logger.info("quiet")
        logger.warning("loud")
    assert [event["event"] for event in log.events()] == ["loud", "loud"]
    with pytest.raises(KeyError):
        configure("json", "deafening")


@pytest.mark.parametrize(("level", "says"), [("debug", True), ("info", False), ("error", False)])
def test_whether_debug_lines_are_written(level: str, says: bool) -> None:
    """Whoever asks first hears what holds since `configure`."""
    log = Log(level)
    get_logger("ours").debug("line")
    assert (is_debug_enabled(), bool(log.events())) == (says, says)


def test_a_logger_made_before_configure_follows_it() -> None:
    """Loggers may be made at import; the last `configure` holds."""
    logger = get_logger("early")
    first, second = Log(), Log()
    logger.info("hello")
    assert not first.events()
    assert [event["event"] for event in second.events()] == ["hello"]


def test_exceptions_are_rendered_and_scrubbed() -> None:
    """A traceback is logged with its causes, without local variables, phone numbers and secrets."""
    log = Log()
    secret = "hunter" + "2"
    try:
        try:
            raise ValueError(f"phones={PHONE}, accessSecret={secret}")
        except ValueError as error:
            raise RuntimeError(f"redis://:{secret}@h is down") from error
    except RuntimeError:
        get_logger("ours").exception("call failed")
        logging.getLogger("theirs").exception("call failed")
    assert [event["level"] for event in log.events()] == ["error", "error"]
    for event in log.events():
        assert "ValueError: phones=[phone], accessSecret=[secret]" in event["exception"]
        assert "RuntimeError: redis://:[secret]@h is down" in event["exception"]
    assert PHONE.encode() not in log.bytes.getvalue()
    assert secret.encode() not in log.bytes.getvalue()


@pytest.mark.parametrize("library", ["aiohttp.client", "redis", "asyncio", "anything"])
def test_records_of_libraries_go_the_same_way(library: str) -> None:
    """What libraries log is scrubbed and written as our own events are."""
    log = Log()
    logging.getLogger(library).warning("sent %s to %s", PHONE, "redis://:hunter2@h")
    (event,) = log.events()
    assert (event["event"], event["level"]) == ("sent [phone] to redis://:[secret]@h", "warning")
    assert event["logger_name"] == library


@pytest.mark.parametrize(("number", "name"), [(5, "debug"), (25, "info"), (45, "error"), (60, "critical")])
def test_levels_of_libraries_own_making(number: int, name: str) -> None:
    """A level between the known ones is written as the known one below it."""
    log = Log("debug")
    logger = logging.getLogger("levels")
    logger.setLevel(1)
    logger.log(number, "hello")
    assert [event["level"] for event in log.events()] == [name]


def test_warnings_go_the_same_way() -> None:
    """A warning is a log event, scrubbed."""
    log = Log()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"number {PHONE}", UserWarning, stacklevel=1)
    (event,) = log.events()
    assert "UserWarning: number [phone]" in event["event"]
    assert PHONE.encode() not in log.bytes.getvalue()


async def test_errors_of_tasks_go_the_same_way() -> None:
    """What asyncio reports of a callback that raised is scrubbed."""
    log = Log()

    def fail() -> None:
        raise ValueError(f"number {PHONE}")

    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)
    (event,) = log.events()
    assert event["logger_name"] == "asyncio"
    assert "ValueError: number [phone]" in event["exception"]


def test_console_on_a_terminal() -> None:
    """On a terminal an event is for reading: no JSON, and in colour."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        configure(None, "info", terminal)
        get_logger("worker").info("call sent", phones=PHONE)
        line = os.read(ours, 4096).decode()
    os.close(ours)
    assert "call sent" in line
    assert "[phone]" in line
    assert "\x1b[" in line
    assert not line.startswith("{")


def test_console_off_a_terminal() -> None:
    """The console form can be asked for; it has no colour then, and its tracebacks are scrubbed and plain."""
    stream = io.StringIO()
    configure("console", "info", stream)
    try:
        raise ValueError(PHONE)
    except ValueError:
        get_logger("worker").exception("call failed", phone=PHONE)
    line = stream.getvalue()
    assert "call failed" in line
    assert "ValueError: [phone]" in line
    assert "\x1b[" not in line
    assert PHONE not in line


@pytest.mark.parametrize("form", ["console", "json"])
def test_texts_of_others_move_no_cursor(form: Literal["console", "json"]) -> None:
    """Names and messages that others wrote are escaped in every form, wherever they stand in a line."""
    stream = io.StringIO()
    configure(form, "info", stream)
    trick = "vip\u202e\u200b\x9b2J"
    get_logger("worker").info(f"group {trick}", group=trick, groups=[trick], **{trick: 1})
    line = stream.getvalue()
    assert line.removesuffix("\n").isprintable()
    assert line.count("\\u202e") == 4


def test_json_on_a_terminal_and_on_text_streams() -> None:
    """JSON can be asked for, and needs no binary stream below."""
    stream = io.StringIO()
    configure("json", "info", stream)
    get_logger("worker").info("号")
    assert orjson.loads(stream.getvalue())["event"] == "号"


def test_stderr_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs go to stderr: stdout belongs to a command's output."""
    configure("json")
    get_logger("worker").info("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert orjson.loads(captured.err)["event"] == "hello"


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


loop: list[Any] = []
loop.append(loop)


@given(
    value=st.one_of(
        st.text(st.characters()),
        st.integers(),
        st.floats(),
        st.binary(),
        st.dictionaries(st.integers() | st.none() | st.text(), st.none()),
        st.sampled_from([Broken(), loop, 2**70, "\ud800", {"\ud800": object}, [Broken()], {Broken(): 1}]),
    )
)
def test_no_value_breaks_a_line(value: Any) -> None:
    """Whatever is logged gives one line of JSON."""
    log = Log()
    get_logger("worker").info("hello", value=value)
    logging.getLogger("theirs").info(value)
    assert [json.loads(line)["level"] for line in log.bytes.getvalue().splitlines()] == ["info", "info"]


def test_a_record_that_does_not_fit_its_arguments() -> None:
    """A library's malformed log call is written, scrubbed, and does not raise."""
    log = Log()
    logging.getLogger("theirs").warning("%d numbers", PHONE)
    logging.getLogger("theirs").error("no exception here", exc_info=True)
    first, second = log.events()
    assert (first["event"], second["event"]) == ("'%d numbers' ('[phone]',)", "no exception here")


def test_a_stream_that_fails_costs_the_line_only() -> None:
    """A closed stream or a pipe without reader never raises into the worker."""
    reader, writer = os.pipe()
    os.close(reader)
    pipe = os.fdopen(writer, "w")
    for log_format in ("console", "json"):
        for stream in (io.TextIOWrapper(io.BytesIO()), pipe):
            configure(log_format, "info", stream)
            if stream is not pipe:
                stream.close()
            get_logger("worker").info("hello")
            logging.getLogger("theirs").info("hello")
    with suppress(BrokenPipeError):
        pipe.close()
