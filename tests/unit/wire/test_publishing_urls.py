"""Broker URLs: which parameters work, and what is answered to all others."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup_contracts.publishing import publish
from numbergroup_contracts.publishing.url_parameters import AMQP, FIXED, REDIS
from numbergroup_contracts.publishing.urls import (
    InvalidUrl,
    amqp_arguments,
    check_tls,
    parse,
    redis_arguments,
    unverified,
)

KNOWN: dict[str, Any] = {
    "redis://h?db=3": {"db": 3},
    "redis://h/?socket_timeout=7.5": {"socket_timeout": 7.5},
    "redis://h/0?socket_connect_timeout=1&health_check_interval=30": {
        "socket_connect_timeout": 1.0,
        "health_check_interval": 30.0,
    },
    "redis://h?client_name=crm%2Dworker": {"client_name": "crm-worker"},
    "redis://h?socket_keepalive=Yes": {"socket_keepalive": True},
    "redis://h?username=me&password=p%26w%2525": {"username": "me", "password": "p&w%25"},
    "redis://h?protocol=2&decode_responses=false": {},
    "rediss://h?ssl_ca_certs=/a%20b/c++.pem": {"ssl_ca_certs": "/a b/c++.pem"},
    "rediss://h?ssl_cert_reqs=required&ssl_check_hostname=true": {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    },
    "rediss://h?ssl_min_version=772": {"ssl_min_version": ssl.TLSVersion.TLSv1_3},
    "redis://h?": {},
    "unix:///run/redis.sock?db=1": {"db": 1},
    "redis://h?&db=1&": {"db": 1},
}

WRONG = {
    "redis://h?decode_responses=true": "decode_responses, which must be false",
    "redis://h?protocol=3": "protocol, which must be 2",
    "redis://h?max_connections=1": "not supported: max_connections (the nearest that is: ",
    "redis://h?timeout=20": "not supported: timeout (the nearest that is: socket_timeout)",
    "redis://h?family=6": "not supported: family (the nearest that is: ",
    "redis://h?timeuot=1&nonsense=2": "nonsense (the nearest that is: ",
    "redis://h?hunter2%20hunter2": "one with a malformed name",
    "redis://h?soc%6Bet_timeout=5": "one with a malformed name",
    "redis://h?socket_timeout=abc": "socket_timeout, which must be a number of seconds from 2 to 60",
    "redis://h?socket_timeout=0.1": "socket_timeout, which must be a number of seconds from 2 to 60",
    "redis://h?socket_timeout=nan": "socket_timeout, which must be",
    "redis://h?socket_timeout=1e1": "socket_timeout, which must be",
    "redis://h?socket_timeout=": "socket_timeout, which must be",
    "redis://h?socket_timeout": "socket_timeout, which must be",
    "redis://h?db=-1": "db, which must be a whole number from 0 to 99999",
    "redis://h?db=1&db=1": "the parameter db more than once",
    "redis://h/1?db=2": "names two databases",
    "redis://h/zero": "must end with the number of a database",
    "redis://h/0/1": "must end with the number of a database",
    "redis://h?client_name=a%20b": "client_name, which must be",
    "redis://h?client_name=a%0ab": "client_name, which must be",
    "redis://h?client_name=100%": "client_name with a % that is not percent-encoded",
    "redis://h?client_name=%ff": "client_name, which must be",
    "redis://me:hunter2@h?password=hunter2": "a password before its host and another one as a parameter",
    "redis://h?ssl_ca_certs=/a": "ssl_ca_certs, which needs TLS: begin the URL with rediss://",
    "redis://h?cacertfile=/a": "not supported: cacertfile (the nearest that is: ",
    "rediss://h?ssl_cert_reqs=optional": "ssl_cert_reqs, which must be required or none",
    "redis://": "names no host",
    "redis:///0": "names no host",
    "redis://:hunter2@": "names no host",
    "redis://h:0": "its port must be",
    "redis://h:99999/0": "its port must be",
    "redis://h:hunter2": "its port must be",
    "redis://[::1/0": "its host is malformed",
    "redis://h/0#fragment": "is no URL",
    "redis://h/0 ": "is no URL",
    "redis://h\n/0": "is no URL",
    "redis://:hun/ter2@h/0": "is no URL",
    "kafka://h": "must begin with redis:// or rediss:// or amqp:// or amqps://",
    "unix://": "names no socket",
    "unix://me:hunter2@/run/redis.sock": "names no socket",
    "unix://run/redis.sock": "three slashes",
    "unix:///run/redis.sock?ssl_ca_certs=/a": "ssl_ca_certs, which needs TLS, and a socket has none",
    "REDIS://h": "must begin with",
    "amqp://h?connection_timeout=10": "connection_timeout, which must be a whole number of milliseconds",
    "amqp://h?frame_max=1": "frame_max, which must be a whole number of bytes from 8192 to 2097152",
    "amqp://h?heartbeat=0": "heartbeat, which must be",
    "amqp://h?auth_mechanism=gssapi": "auth_mechanism, which must be plain or amqplain or external",
    "amqp://h?cacertfile=/a": "cacertfile, which needs TLS: begin the URL with amqps://",
    "amqps://h?verify=verify_some": "verify, which must be verify_peer or verify_none",
    "amqps://h?server_name_indication=disable": "server_name_indication, which must be",
    "amqps://h?ssl_cert_reqs=none": "not supported: ssl_cert_reqs",
    "amqp://h?socket_timeout=5": "not supported: socket_timeout",
    f"amqp://h/{'v' * 256}": "a virtual host of more than 255 bytes",
}


@pytest.mark.parametrize("url", KNOWN)
def test_known_parameters_become_arguments(url: str) -> None:
    """What redis-py documents, and publishing and working can live with, reaches the client library."""
    assert redis_arguments(parse(url)) == KNOWN[url]


@pytest.mark.parametrize("url", WRONG)
def test_anything_else_is_one_line(url: str) -> None:
    """The line names the parameter, or the part of the URL, and quotes no value."""
    with pytest.raises(InvalidUrl) as raised:
        parse(url)
    line = str(raised.value)
    assert WRONG[url] in line
    assert len(line.splitlines()) == 1
    assert "hunter2" not in line
    with pytest.raises(ValueError, match=r"^url ") as published:
        publish([], url)
    assert str(published.value) == f"url {line}"


def test_all_unknown_parameters_are_named() -> None:
    """Not only the first one: nobody has to try again to find the next."""
    with pytest.raises(InvalidUrl) as raised:
        parse("redis://h?timeout=1&family=6&db=1")
    assert "timeout (" in str(raised.value)
    assert "family (" in str(raised.value)


@given(st.sampled_from(["redis", "rediss", "amqp", "amqps"]), st.text(), st.text(), st.text())
def test_no_url_does_anything_else(scheme: str, host: str, name: str, value: str) -> None:
    """Whatever a URL is: it is read, or refused in one line."""
    url = f"{scheme}://{host}?{name}={value}"
    refused = ""
    try:
        address = parse(url)
        amqp_arguments(address) if address.is_amqp else redis_arguments(address)
    except InvalidUrl as error:
        refused = str(error)
    assert len(refused.splitlines()) <= 1


def test_amqp_parameters() -> None:
    """RabbitMQ's documented ones reach py-amqp, in its units."""
    url = "amqps://me:p%40w@h:5679/v?connection_timeout=2500&channel_max=64&frame_max=65536&heartbeat=30"
    address = parse(f"{url}&auth_mechanism=EXTERNAL&server_name_indication=broker.example")
    arguments, transport = amqp_arguments(address)
    assert arguments == {
        "hostname": "amqps://me:p%40w@h:5679/v",
        "ssl": {"server_hostname": "broker.example"},
        "connect_timeout": 2.5,
        "login_method": "EXTERNAL",
    }
    assert transport == {"channel_max": 64, "frame_max": 65536}
    assert address.options["heartbeat"] == 30


def test_an_ipv6_address_keeps_its_brackets() -> None:
    """Else a part of the address would be taken for the port."""
    assert amqp_arguments(parse("amqp://[::1]//"))[1] == {"host": "[::1]:5672"}
    assert amqp_arguments(parse("amqps://[::1]:5679//"))[1] == {"host": "[::1]:5679"}


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("rediss://h?ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=none"),
        ("rediss://h/1?db=1", "rediss://h/1?db=1&ssl_cert_reqs=none"),
        ("rediss://h?ssl_check_hostname=false", "rediss://h?ssl_check_hostname=false"),
        ("amqps://h//", "amqps://h//?verify=verify_none"),
        ("amqps://h?verify=verify_peer&heartbeat=9", "amqps://h?heartbeat=9&verify=verify_none"),
        ("redis://h/0", "redis://h/0"),
        ("amqp://h//", "amqp://h//"),
    ],
)
def test_without_verification(url: str, bare: str) -> None:
    """A URL of an encrypted connection gets the parameter that switches verification off."""
    assert unverified(url) == bare
    assert parse(bare).is_verified is not parse(bare).is_tls


@pytest.mark.parametrize(
    "url",
    [
        "rediss://h?ssl_cert_reqs=none",
        "rediss://h?ssl_check_hostname=no",
        "amqps://h?verify=verify_none",
        "amqps://h?verify=VERIFY_NONE",
    ],
)
def test_a_url_alone_does_not_switch_verification_off(url: str) -> None:
    """Publishing to it is refused, unless the argument says so, too."""
    with pytest.raises(ValueError, match="only tls_verify=False does that"):
        publish([], url)
    assert publish([], url, tls_verify=False) == 0


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A certificate or key that is missing or malformed is found at once, not at the first connection."""
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        for url in (
            f"rediss://h?ssl_ca_certs={tmp_path}/{name}",
            f"rediss://h?ssl_certfile={tmp_path}/{name}&ssl_keyfile={tmp_path}/{name}",
            f"amqps://h?cacertfile={tmp_path}/{name}",
            f"amqps://h?certfile={tmp_path}/{name}&keyfile={tmp_path}/{name}",
        ):
            with pytest.raises(InvalidUrl, match="cannot be used: "):
                check_tls(parse(url))
    with pytest.raises(InvalidUrl, match="a key file without a certificate"):
        check_tls(parse(f"amqps://h?keyfile={tmp_path}/empty.pem"))


def test_a_password_without_a_certificate() -> None:
    """It would have no effect."""
    with pytest.raises(InvalidUrl, match="ssl_password without a certificate file"):
        check_tls(parse("rediss://h?ssl_password=secret"))


def test_a_folder_of_authorities(tmp_path: Path) -> None:
    """OpenSSL passes over a folder that is missing, or has no certificate under its hash: we do not."""
    (tmp_path / "authority.pem").write_text("nothing")
    (tmp_path / "usable").mkdir()
    (tmp_path / "usable" / "0a1b2c3d.0").write_text("nothing")
    for folder, problem in (
        ("missing", "No such file or directory"),
        ("authority.pem", "Not a directory"),
        ("", "no certificate under its hash"),
    ):
        with pytest.raises(InvalidUrl, match=f"a folder of .* that cannot be used: .*{problem}"):
            check_tls(parse(f"rediss://h?ssl_ca_path={tmp_path}/{folder}"))
    check_tls(parse(f"rediss://h?ssl_ca_path={tmp_path}/usable"))


@pytest.mark.parametrize("name", ["protocl", "decode_respons", "Protocol", "protocol2"])
def test_suggestions(name: str) -> None:
    """Only parameters that have an effect are suggested."""
    with pytest.raises(InvalidUrl, match=f"{name} .the nearest that is: (?!protocol|decode)"):
        parse(f"redis://h?{name}=2")


def test_no_parameter_has_two_meanings() -> None:
    """Every name is of one kind of broker only: what the other one calls it is unknown there."""
    assert not (REDIS | FIXED).keys() & AMQP.keys()
