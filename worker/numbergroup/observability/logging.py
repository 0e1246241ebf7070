"""Logs: one line an event to stderr, readable on a terminal and JSON everywhere else.

The rule is not to log phone numbers and secrets in the first place; `scrub` is the last line of defence.
It sees everything: our own events, exceptions (rendered before it, without local variables), and what
libraries send to stdlib logging and to `warnings`. A log line never raises, whatever is in it and wherever
it goes.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from numbergroup.text.escaping import escaped, escaped_json

_PHONE = "[phone]"
_SECRET = "[secret]"  # noqa: S105
_DEEPEST = 8
_TALKATIVE = ("amqp", "fakeredis")
"""Libraries whose debug lines hold every frame or command, and so whatever is in them."""

_DIGITS = re.compile("[0-9]{7}")
_LONE = "[1-9][0-9]{6,14}(?![0-9A-Za-z])"
# Read token by token. Kept: a UUID; a Redis stream's entry id (13 digits from 1, which is no phone: those of
# country code 1 have 11), also within a dead letter's id. An escape of JSON, repr or URLs is a token, lest
# its letters hide what follows it.
_TOKEN = re.compile(
    r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
    r"|(?<!-)1[0-9]{12}-[0-9]{1,6}(?![0-9A-Za-z-])"
    r"|(?<!-)[0-9]{1,4}-(?:side/)?1[0-9]{12}-[0-9]{1,6}-[0-9]{1,4}(?![0-9A-Za-z-])"
    rf"|\\[abfnrtv]|(?:%|\\x)(?!{_LONE})[0-9A-Fa-f]{{2}}|\\u(?!{_LONE})[0-9A-Fa-f]{{4}}"
    rf"|(?P<phone>{_LONE})|[0-9A-Za-z]+"
)
_NAMES = r"secret|passw(?:or)?d|token|authorization|access[_-]?key|api[_-]?key|credential|cookie"
_SECRET_NAME = re.compile(rf"(?i:{_NAMES})|(?:^|[^A-Za-z])(?i:sign(?:ature)?)$|[a-z0-9]Sign(?:ature)?$")
_SECRET_PAIR = re.compile(
    rf"((?:(?:{_NAMES})[\w-]{{0,16}}|(?<![a-z])sign(?:ature)?)\\*[\"']?\s*[:=]\s*)"
    r"(?:(\\*\")[^\"]*|(\\*')[^']*|(?:(?:bearer|basic|digest)\s+)?[^\s\"',;&})\]]+)",
    re.IGNORECASE,
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]++\.[\w-]++(?:\.[\w-]*+)?", re.ASCII)  # by its first bytes: `{"`
_AUTHORITY = re.compile(r"://([^\s\"'<>]*)")  # and more: a malformed password may hold any of / ? #
_PAIR_MASK = rf"\1\2\3{_SECRET}"
_MEASURE = re.compile(
    r"(?:^|_)(?:ns|us|ms|s|seconds|hours|bytes|count|total|size|length|limit|offset|at|ts|time|timestamp|epoch"
    r"|sequence|seq|commands|calls|entries|backlog|pending|pid)$"
)


def scrub_text(text: str) -> str:
    """The text with `[phone]` for phone numbers, `[secret]` for JWTs, for passwords in URLs, and after names
    of secrets.

    A phone number is 7 to 15 digits that begin with 1-9 and touch no letter or digit: a requestId of 19
    digits and an id with letters stay. A lone user name in a URL is taken for a password.
    """
    if "://" in text:
        text = _AUTHORITY.sub(_without_password, text)
    if "eyJ" in text:
        text = _JWT.sub(_SECRET, text)
    if ":" in text or "=" in text:
        text = _SECRET_PAIR.sub(_PAIR_MASK, text)
    if _DIGITS.search(text):
        text = _TOKEN.sub(lambda token: _PHONE if token.lastgroup else token[0], text)
    return text


def _without_password(authority: re.Match[str]) -> str:
    userinfo, at, rest = authority[1].rpartition("@")
    user, colon, _ = userinfo.partition(":")
    kept = user + colon if colon and "@" not in user else ""
    return f"://{kept}{_SECRET}@{rest}" if at else authority[0]


def scrub(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event without phone numbers and secrets, in texts and keys, nested ones too.

    Whatever a key of a secret holds is masked. An int of 7 to 15 digits is a phone number unless its key is a
    measure (`…_ms`, `…_bytes`, `count`, `…_at`). What is no JSON type becomes the scrubbed text of its repr.
    """
    return cast("EventDict", _scrubbed("", event, 0))


def _scrubbed(key: str, value: Any, depth: int) -> Any:
    _, secret, measure = _traits(key)
    if value is None or isinstance(value, bool) or (measure and isinstance(value, int | float)):
        return value
    if secret:
        return _SECRET
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, int):
        return _PHONE if 10**6 <= value < 10**15 else value
    if isinstance(value, float):
        return value
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(key, item, depth + 1) for item in value]
    if depth < _DEEPEST and isinstance(value, Mapping):
        named = {k if isinstance(k, str) else _repr(k): v for k, v in value.items()}
        return {_traits(k)[0]: _scrubbed(k, v, depth + 1) for k, v in named.items()}
    return scrub_text(_repr(value))


@lru_cache(maxsize=2048)
def _traits(key: str) -> tuple[str, bool, bool]:
    """The key scrubbed, whether it names a secret, and whether it names a measure."""
    return scrub_text(key), bool(_SECRET_NAME.search(key)), bool(_MEASURE.search(key))


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # a broken __repr__ costs its value, not the line
        return f"<{type(value).__name__} without repr>"


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    try:
        return escaped_json(orjson.dumps(event))
    except TypeError:  # an int beyond 64 bits, a lone surrogate
        return json.dumps(event).encode()


def _for_terminals(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters in texts, which may come from outside. Nested values are shown by `repr`."""
    return {
        escaped(key): "\n".join(map(escaped, value.split("\n"))) if isinstance(value, str) else value
        for key, value in event.items()
    }


class _Sink:
    """A stream whose failures (closed, full, its reader gone) cost the line and never the worker."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._raw = stream, getattr(stream, "buffer", None)

    def write(self, line: str | bytes) -> int:
        with suppress(OSError, ValueError):
            if isinstance(line, bytes) and self._raw is not None:
                self._raw.write(line)
            else:
                self._stream.write(line.decode() if isinstance(line, bytes) else line)
        return len(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class _FromStdlib(logging.Handler):
    """Passes the records of libraries on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except Exception:  # arguments that do not fit: stdlib would print them as they are
            event = f"{_repr(record.msg)} {_repr(record.args)}"
        level = min(50, max(10, record.levelno // 10 * 10))
        structlog.get_logger(logger_name=record.name).log(level, event, exc_info=record.exc_info)


def configure(
    log_format: Literal["console", "json"] | None = None, level: str = "info", stream: TextIO | None = None
) -> None:
    """Sends all logs of the process, those of libraries and warnings included, to `stream` (stderr).

    `log_format` None: console on a terminal, else JSON. `level`: debug, info, warning or error. Times are in
    UTC, ISO 8601. May be called again; the last call holds. Raises KeyError for another level.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    threshold = logging.getLevelNamesMapping()[level.upper()]
    factory: Any
    if log_format == "console" or (log_format is None and terminal):
        colors = terminal and not os.environ.get("NO_COLOR")
        render: Processor = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
        shown: list[Processor] = [_for_terminals]
        factory = structlog.PrintLoggerFactory(cast("TextIO", _Sink(stream)))
    else:
        shown = []
        render, factory = _json, structlog.BytesLoggerFactory(cast("BinaryIO", _Sink(stream)))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            scrub,  # nothing after it adds anything but level and time
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shown,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=factory,
        cache_logger_on_first_use=False,  # loggers made at import follow a later `configure`
    )
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [_FromStdlib()]
    root.setLevel(threshold)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def is_debug_enabled() -> bool:
    """Return whether debug lines are written. Asking is cheaper than building a line that is dropped."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def get_logger(name: str) -> FilteringBoundLogger:
    """A structlog logger whose events carry `logger_name`; may be made at import, before `configure`."""
    return cast("FilteringBoundLogger", structlog.get_logger(logger_name=name))


# Until `configure` is called, as by commands that are no worker: their standard output is for data.
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
