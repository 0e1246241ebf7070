"""The parameters of broker URLs.

Sources: redis-py's `from_url`, https://redis.readthedocs.io; RabbitMQ's "URI Query Parameters",
https://www.rabbitmq.com/docs/uri-query-parameters. The limits suit publishers and workers: a worker's request
waits up to a second for commands.
"""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_BOOLEANS = {
    "true": True,
    "yes": True,
    "1": True,
    "on": True,
    "false": False,
    "no": False,
    "0": False,
    "off": False,
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's parser, and what its value `must` be, in words.

    `read` raises `ValueError` for any other value. `tls`: it is for encrypted connections only.
    """

    read: Callable[[str], Any]
    must: str
    tls: bool = False


def _number(least: float, most: float, unit: str) -> Parameter:
    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not least <= float(text) <= most:
            raise ValueError
        return float(text)

    return Parameter(read, f"a number of {unit} from {least:g} to {most:g}")


def _integer(least: int, most: int, unit: str = "") -> Parameter:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return Parameter(read, f"a whole number{unit and f' of {unit}'} from {least} to {most}")


def _read_bool(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError from None


def _any_of(*values: str, tls: bool = False) -> Parameter:
    def read(text: str) -> str:
        if text.lower() not in values:
            raise ValueError
        return text.lower()

    return Parameter(read, " or ".join(values), tls)


def _matching(pattern: str, must: str, *, tls: bool = False) -> Parameter:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return Parameter(read, must, tls)


def _read_false(text: str) -> bool:
    if _read_bool(text):
        raise ValueError
    return False


_TEXT = r"[^\x00-\x1f\x7f]+"
_FILE = _matching(_TEXT, "the path of a file", tls=True)
_TLS_VERSIONS = {"771": ssl.TLSVersion.TLSv1_2, "772": ssl.TLSVersion.TLSv1_3}


def _read_tls_version(text: str) -> ssl.TLSVersion:
    try:
        return _TLS_VERSIONS[text]
    except KeyError:
        raise ValueError from None


REDIS: dict[str, Parameter] = {
    "db": _integer(0, 99_999),
    "username": _matching(_TEXT, "a name"),
    "password": _matching(_TEXT, "a password"),
    "client_name": _matching("[!-~]{1,128}", "1 to 128 visible ASCII characters, none of them a space"),
    "socket_timeout": _number(2, 60, "seconds"),
    "socket_connect_timeout": _number(0.1, 60, "seconds"),
    "socket_keepalive": Parameter(_read_bool, "true or false"),
    "health_check_interval": _number(0, 3_600, "seconds"),
    "ssl_ca_certs": _FILE,
    "ssl_ca_path": _matching(_TEXT, "the path of a folder", tls=True),
    "ssl_certfile": _FILE,
    "ssl_keyfile": _FILE,
    "ssl_password": _matching(_TEXT, "the password of the key file", tls=True),
    "ssl_cert_reqs": _any_of("required", "none", tls=True),
    "ssl_check_hostname": Parameter(_read_bool, "true or false", tls=True),
    "ssl_min_version": Parameter(_read_tls_version, "771 (TLS 1.2) or 772 (TLS 1.3)", tls=True),
}
"""The parameters of Redis URLs, by their names in redis-py."""

FIXED: dict[str, Parameter] = {"protocol": _any_of("2"), "decode_responses": Parameter(_read_false, "false")}
"""Parameters of redis-py that may only have their default: other values would change the form of answers."""

AMQP: dict[str, Parameter] = {
    "heartbeat": _integer(2, 600, "seconds"),
    "connection_timeout": _integer(100, 60_000, "milliseconds"),
    "channel_max": _integer(16, 65_535),
    "frame_max": _integer(8_192, 2_097_152, "bytes"),
    "auth_mechanism": _any_of("plain", "amqplain", "external"),
    "cacertfile": _FILE,
    "certfile": _FILE,
    "keyfile": _FILE,
    "verify": _any_of("verify_peer", "verify_none", tls=True),
    "server_name_indication": _matching(r"(?!disable$)[\w.:-]{1,253}", "a host name", tls=True),
}
"""The parameters of AMQP URLs, by their names in RabbitMQ's documentation."""
