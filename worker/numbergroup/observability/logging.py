"""Writes logs to stderr, one line an event: as text on a terminal, as JSON everywhere else.

Phone numbers and secrets must not be logged in the first place; `scrub` is the last line of defence. It
processes everything: our events, exceptions (formatted before, without local variables), and what libraries
send to stdlib logging and `warnings`. Logging never raises, whatever is logged and wherever it is written.
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
_MAX_DEPTH = 8
_VERBOSE_LIBRARIES = ("amqp", "fakeredis")
"""Libraries whose debug lines contain every frame or command."""

_DIGITS = re.compile("[0-9]{7}")
_NUMBER = "[1-9][0-9]{6,14}(?![0-9A-Za-z])"
# Texts are read token by token. Kept are UUIDs, and entry ids of Redis streams, also in ids of dead letters:
# these begin with 13 digits, the first one 1, but phone numbers of country code 1 have 11. Escapes of JSON,
# repr and URLs are tokens, so that their letters do not hide a number behind them.
_TOKEN = re.compile(
    r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
    r"|(?<!-)1[0-9]{12}-[0-9]{1,6}(?![0-9A-Za-z-])"
    r"|(?<!-)[0-9]{1,4}-(?:side/)?1[0-9]{12}-[0-9]{1,6}-[0-9]{1,4}(?![0-9A-Za-z-])"
    rf"|\\[abfnrtv]|(?:%|\\x)(?!{_NUMBER})[0-9A-Fa-f]{{2}}|\\u(?!{_NUMBER})[0-9A-Fa-f]{{4}}"
    rf"|(?P<phone>{_NUMBER})|[0-9A-Za-z]+"
)
_NAMES = r"secret|passw(?:or)?d|token|authorization|access[_-]?key|api[_-]?key|credential|cookie"
_SECRET_NAME = re.compile(rf"(?i:{_NAMES})|(?:^|[^A-Za-z])(?i:sign(?:ature)?)$|[a-z0-9]Sign(?:ature)?$")
_SECRET_PAIR = re.compile(
    rf"((?:(?:{_NAMES})[\w-]{{0,16}}|(?<![a-z])sign(?:ature)?)\\*[\"']?\s*[:=]\s*)"
    r"(?:(\\*\")[^\"]*|(\\*')[^']*|(?:(?:bearer|basic|digest)\s+)?[^\s\"',;&})\]]+)",
    re.IGNORECASE,
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]++\.[\w-]++(?:\.[\w-]*+)?", re.ASCII)  # its first bytes are `{"`
_AUTHORITY = re.compile(r"://([^\s\"'<>]*)")  # or more: a malformed password may contain / ? #
_PAIR_MASK = rf"\1\2\3{_SECRET}"
_MEASURE = re.compile(
    r"(?:^|_)(?:ns|us|ms|s|seconds|hours|bytes|count|total|size|length|limit|offset|at|ts|time|timestamp|epoch"
    r"|sequence|seq|commands|calls|entries|backlog|pending|pid)$"
)


def scrub_text(text: str) -> str:
    """Return the text with `[phone]` for phone numbers and `[secret]` for secrets.

    A phone number is 7 to 15 digits that begin with 1-9, without a letter or digit beside them: requestIds of
    19 digits and ids with letters are kept. Secrets are JWTs, passwords in URLs, and values after the name of
    a secret. A user name without a password in a URL counts as a password.
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
    """Return the event without phone numbers and secrets in its texts and keys, also in nested ones.

    The value of a key that names a secret is masked completely. An int of 7 to 15 digits is a phone number,
    unless its key names a measure (`…_ms`, `…_bytes`, `count`, `…_at`). Values that are not JSON are replaced
    by their scrubbed repr.
    """
    return cast("EventDict", _scrub_value("", event, 0))


def _scrub_value(key: str, value: Any, depth: int) -> Any:
    _, is_secret, is_measure = _classify_key(key)
    if value is None or isinstance(value, bool) or (is_measure and isinstance(value, int | float)):
        return value
    if is_secret:
        return _SECRET
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, int):
        return _PHONE if 10**6 <= value < 10**15 else value
    if isinstance(value, float):
        return value
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_scrub_value(key, item, depth + 1) for item in value]
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        named = {k if isinstance(k, str) else _repr(k): v for k, v in value.items()}
        return {_classify_key(k)[0]: _scrub_value(k, v, depth + 1) for k, v in named.items()}
    return scrub_text(_repr(value))


@lru_cache(maxsize=2048)
def _classify_key(key: str) -> tuple[str, bool, bool]:
    """Return the scrubbed key, whether it names a secret, and whether it names a measure."""
    return scrub_text(key), bool(_SECRET_NAME.search(key)), bool(_MEASURE.search(key))


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # only the value is lost, not the line
        return f"<{type(value).__name__} without repr>"


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    try:
        return escaped_json(orjson.dumps(event))
    except TypeError:  # an int beyond 64 bits, a lone surrogate
        return json.dumps(event).encode()


def _escape_for_terminal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters in texts. Nested values are shown by `repr`, which escapes them."""
    return {
        escaped(key): "\n".join(map(escaped, value.split("\n"))) if isinstance(value, str) else value
        for key, value in event.items()
    }


class _LossyStream:
    """A stream that drops the line when writing fails: it is closed or full, or has no reader any more."""

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


class _StructlogHandler(logging.Handler):
    """Passes the records of stdlib logging on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = record.getMessage()
        except Exception:  # wrong arguments: stdlib would print them unscrubbed
            event = f"{_repr(record.msg)} {_repr(record.args)}"
        level = min(50, max(10, record.levelno // 10 * 10))
        structlog.get_logger(logger_name=record.name).log(level, event, exc_info=record.exc_info)


def configure(
    log_format: Literal["console", "json"] | None = None, level: str = "info", stream: TextIO | None = None
) -> None:
    """Send all logs of the process, also of libraries and `warnings`, to `stream` (default: stderr).

    `log_format` `None` means console on a terminal, otherwise JSON. `level` is debug, info, warning or error.
    Times are ISO 8601 in UTC. A later call replaces an earlier one. Raises `KeyError` for another level.
    """
    stream = sys.stderr if stream is None else stream
    is_terminal = stream.isatty()
    threshold = logging.getLevelNamesMapping()[level.upper()]
    factory: Any
    if log_format == "console" or (log_format is None and is_terminal):
        colors = is_terminal and not os.environ.get("NO_COLOR")
        render: Processor = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
        escaping: list[Processor] = [_escape_for_terminal]
        factory = structlog.PrintLoggerFactory(cast("TextIO", _LossyStream(stream)))
    else:
        escaping = []
        render, factory = _json, structlog.BytesLoggerFactory(cast("BinaryIO", _LossyStream(stream)))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            scrub,  # the processors after it add only level and time
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *escaping,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=factory,
        cache_logger_on_first_use=False,  # so that loggers of modules follow a later `configure`
    )
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [_StructlogHandler()]
    root.setLevel(threshold)
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def is_debug_enabled() -> bool:
    """Return whether debug lines are written. Asking is cheaper than building a line that is dropped."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a structlog logger whose events have `logger_name`. It may be made before `configure`."""
    return cast("FilteringBoundLogger", structlog.get_logger(logger_name=name))


# For commands that do not call `configure`: their standard output is for data.
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
