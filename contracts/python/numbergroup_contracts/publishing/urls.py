"""Checks broker URLs, and turns their parameters into arguments of the client libraries.

Each kind of broker has a table of parameters. A parameter that is not in the table is an error: a client
library would ignore it, fail on it later, or change the form of its answers. No message quotes a value,
because it may be a password.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from numbergroup_contracts.errors import NumbergroupError
from numbergroup_contracts.publishing import url_parameters as parameters
from numbergroup_contracts.publishing.hosts import SEVERAL_HOSTS, names_several_hosts
from numbergroup_contracts.publishing.url_parameters import Parameter

EXAMPLE = "redis://localhost:6379/0"
REDIS = ("redis", "rediss")
AMQP = ("amqp", "amqps")
UNIX = "unix"
"""Redis at a Unix socket: `unix:///run/redis.sock?db=0`."""

_MAX_SHORT_STRING = 255  # AMQP 0-9-1, 4.2.5.3
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_PRINTABLE_NAME = re.compile(r"[A-Za-z][\w.-]{0,39}")


class InvalidUrl(NumbergroupError, ValueError):
    """The URL cannot be used. The text is one line without secrets, to follow the name of the URL."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A URL without its parameters, its parts, and the parameters' values by name (`options`)."""

    url: str
    parts: SplitResult
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_amqp(self) -> bool:
        return self.parts.scheme in AMQP

    @property
    def is_tls(self) -> bool:
        return self.parts.scheme in ("rediss", "amqps")

    @property
    def is_verified(self) -> bool:
        """Whether the URL leaves the verification of the server's certificate and name on."""
        unverified = {"ssl_cert_reqs": "none", "ssl_check_hostname": False, "verify": "verify_none"}
        return not any(name in self.options and self.options[name] == unverified[name] for name in unverified)


def parse(url: str) -> BrokerAddress:
    """Return the address in a URL, without opening or reading anything. Raises `InvalidUrl`."""
    scheme, _, rest = url.partition("://")
    if scheme not in (*REDIS, *AMQP, UNIX):
        raise InvalidUrl(f"must begin with {' or '.join(f'{name}://' for name in (*REDIS, *AMQP))}")
    if names_several_hosts(url):
        raise InvalidUrl(SEVERAL_HOSTS)
    if re.search(r"[\s\x00-\x1f\x7f#]|[@/?].*@", rest):
        raise InvalidUrl(f"is no URL as in {EXAMPLE}: percent-encode / # ? @ and spaces in a password")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise InvalidUrl(f"is no URL as in {EXAMPLE}: its host is malformed") from None
    if scheme == UNIX:
        return _parse_socket(url, parts)
    if not host:
        raise InvalidUrl(f"names no host, as in {EXAMPLE}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise InvalidUrl(f"is no URL as in {EXAMPLE}: its port must be a number from 1 to 65535")
    options = _read_options(parts)
    if scheme in REDIS:
        _check_redis(parts, options)
    else:
        _check_amqp(parts)
    return BrokerAddress(parts._replace(query="").geturl(), parts, options)


def _parse_socket(url: str, parts: SplitResult) -> BrokerAddress:
    if "@" in parts.netloc or len(parts.path) < 2:
        raise InvalidUrl(
            "names no socket, as in unix:///run/redis.sock?db=0 (user and password as parameters)"
        )
    if parts.netloc:
        raise InvalidUrl("has a host before the path of its socket: write unix:/// with three slashes")
    return BrokerAddress(url.partition("?")[0], parts, _read_options(parts))


def check_tls(address: BrokerAddress) -> None:
    """Read the certificates and keys that the URL names. Raises `InvalidUrl` if one cannot be used."""
    options = address.options
    ca = options.get("ssl_ca_certs") or options.get("cacertfile")
    cert = options.get("ssl_certfile") or options.get("certfile")
    key = options.get("ssl_keyfile") or options.get("keyfile")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if key and not cert:
        raise InvalidUrl("names a key file without a certificate file")
    if "ssl_password" in options and not cert:
        raise InvalidUrl("has the parameter ssl_password without a certificate file (ssl_certfile)")
    if "ssl_ca_path" in options:
        _check_folder(options["ssl_ca_path"])
    try:
        if ca:
            context.load_verify_locations(ca)
    except (OSError, ValueError) as error:
        raise InvalidUrl(
            f"names a file of certificate authorities that cannot be used: {_reason(error)}"
        ) from None
    try:
        if cert:
            # Without a password, the library would ask for one on the terminal.
            context.load_cert_chain(cert, key, options.get("ssl_password", ""))
    except (OSError, ValueError) as error:
        raise InvalidUrl(f"names a certificate or key file that cannot be used: {_reason(error)}") from None


def _check_folder(path: str) -> None:
    """Raise `InvalidUrl` if the folder has no certificate: OpenSSL would silently find none in it."""
    problem = "it holds no certificate under its hash (openssl rehash makes these names)"
    try:
        if any(_HASHED.fullmatch(file.name) for file in Path(path).iterdir()):
            return
    except (OSError, ValueError) as error:
        problem = _reason(error)
    raise InvalidUrl(f"names a folder of certificate authorities that cannot be used: {problem}")


def redis_arguments(address: BrokerAddress) -> dict[str, Any]:
    """Return the arguments of redis-py's connection pool for the parameters, to pass beside the bare URL."""
    arguments = {name: value for name, value in address.options.items() if name not in parameters.FIXED}
    if arguments.get("ssl_cert_reqs") == "none":
        # The library refuses to check the name without the certificate.
        arguments["ssl_check_hostname"] = False
    return arguments


def amqp_arguments(address: BrokerAddress) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of kombu's `Connection`, the bare URL included, and its `transport_options`."""
    options, parts = address.options, address.parts
    arguments: dict[str, Any] = {"hostname": address.url, "ssl": _amqp_tls(address)}
    if "connection_timeout" in options:
        arguments["connect_timeout"] = options["connection_timeout"] / 1000
    if "auth_mechanism" in options:
        arguments["login_method"] = options["auth_mechanism"].upper()
    transport = {name: options[name] for name in ("channel_max", "frame_max") if name in options}
    if ":" in (parts.hostname or ""):
        # kombu drops the brackets, and then a part of the address is read as the port.
        transport["host"] = f"[{parts.hostname}]:{parts.port or (5671 if address.is_tls else 5672)}"
    return arguments, transport


def _amqp_tls(address: BrokerAddress) -> dict[str, Any] | bool:
    if not address.is_tls:
        return False
    options = address.options
    names = {"cacertfile": "ca_certs", "certfile": "certfile", "keyfile": "keyfile"}
    arguments: dict[str, Any] = {names[name]: options[name] for name in names if name in options}
    if not address.is_verified:
        return {**arguments, "cert_reqs": ssl.CERT_NONE}
    # Without a name, the library does not check to whom the certificate belongs.
    return {**arguments, "server_hostname": options.get("server_name_indication") or address.parts.hostname}


def _read_options(parts: SplitResult) -> dict[str, Any]:
    is_amqp = parts.scheme in AMQP
    documented = parameters.AMQP if is_amqp else parameters.REDIS
    table = documented if is_amqp else {**documented, **parameters.FIXED}
    given: dict[str, list[str]] = {}
    for pair in filter(None, parts.query.split("&")):
        name, _, value = pair.partition("=")
        given.setdefault(name, []).append(value)
    if unknown := [name for name in given if name not in table]:
        raise InvalidUrl(
            "has parameters that are not supported: "
            + ", ".join(_suggest(name, documented) for name in unknown)
        )
    return {name: _read_option(name, values, table[name], parts.scheme) for name, values in given.items()}


def _suggest(name: str, table: Mapping[str, Parameter]) -> str:
    nearest = get_close_matches(name.lower(), table, 1, 0)[0]
    shown = name if _PRINTABLE_NAME.fullmatch(name) else "one with a malformed name"
    return f"{shown} (the nearest that is: {nearest})"


def _read_option(name: str, values: list[str], parameter: Parameter, scheme: str) -> Any:
    if parameter.tls and scheme == UNIX:
        raise InvalidUrl(f"has the parameter {name}, which needs TLS, and a socket has none")
    if parameter.tls and scheme in ("redis", "amqp"):
        raise InvalidUrl(f"has the parameter {name}, which needs TLS: begin the URL with {scheme}s://")
    if len(values) > 1:
        raise InvalidUrl(f"has the parameter {name} more than once")
    if re.search("%(?![0-9A-Fa-f]{2})", values[0]):
        raise InvalidUrl(f"has the parameter {name} with a % that is not percent-encoded: write %25")
    try:
        return parameter.read(unquote(values[0], errors="strict"))
    except ValueError:
        # Raised outside of the handler: the exception's context would contain the value.
        problem = f"has the parameter {name}, which must be {parameter.must}"
    raise InvalidUrl(problem)


def _check_redis(parts: SplitResult, options: dict[str, Any]) -> None:
    path = parts.path.removeprefix("/")
    if path and not re.fullmatch("[0-9]{1,5}", path):
        raise InvalidUrl(f"must end with the number of a database, as in {EXAMPLE}")
    if path and "db" in options and int(path) != options["db"]:
        raise InvalidUrl("names two databases: one in its path, and another one in its parameter db")
    for name, given in (("username", parts.username), ("password", parts.password)):
        if given and name in options:
            raise InvalidUrl(f"has a {name} before its host and another one as a parameter: leave one out")


def _check_amqp(parts: SplitResult) -> None:
    if len(unquote(parts.path.removeprefix("/")).encode()) > _MAX_SHORT_STRING:
        raise InvalidUrl(f"has a virtual host of more than {_MAX_SHORT_STRING} bytes")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or "it is malformed"


def unverified(url: str) -> str:
    """Return the URL with the parameter that switches the verification of certificates off."""
    address = parse(url)
    if not address.is_tls or not address.is_verified:
        return url
    parameter = "verify=verify_none" if address.is_amqp else "ssl_cert_reqs=none"
    name = parameter.partition("=")[0]
    kept = [
        pair for pair in address.parts.query.split("&") if pair and unquote(pair.partition("=")[0]) != name
    ]
    return address.parts._replace(query="&".join([*kept, parameter])).geturl()
