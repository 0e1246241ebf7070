"""NXCloud's signature: the vendor's own vectors, and what is signed and what is not."""

import hashlib
from typing import Any

import pytest

from numbergroup.vendors.signature import sign

PUBLISHED: dict[str, Any] = {
    "access_key": "fme2na3kdi3ki",
    "action": "send",
    "biz_type": "1",
    "ts": "1655710885431",
    "secret": "abciiiko2k3",
}
BODY = '{"name":"牛小信","id":10001}'.encode()


@pytest.mark.parametrize(
    ("body", "digest"),
    [
        ('{"name":"牛小信","id":10001}', "87c3560d3331ae23f1021e2025722354"),
        ('{"id":10001,"name":"牛小信"}', "7750759da06333f20d0640be09355e34"),
        ('{"id": 10001, "name": "牛小信"}', "d0c24a9886c629330d7f3f2056c65bc2"),
    ],
)
def test_the_published_vectors(body: str, digest: str) -> None:
    """The three vectors of the vendor's page come out as published: order and white space are signed."""
    assert sign(**PUBLISHED, body=body.encode(), algorithm="md5") == digest


def test_sha256() -> None:
    """With `sha256` the same text is digested by SHA-256, in lowercase hex."""
    raw = b"accessKey=fme2na3kdi3ki&action=send&bizType=1&ts=1655710885431&body=" + BODY
    raw += b"&accessSecret=abciiiko2k3"
    assert sign(**PUBLISHED, body=BODY, algorithm="sha256") == hashlib.sha256(raw).hexdigest()


def test_an_empty_body_is_left_out() -> None:
    """Without a body there is no `&body=` in the signed text."""
    raw = b"accessKey=fme2na3kdi3ki&action=send&bizType=1&ts=1655710885431&accessSecret=abciiiko2k3"
    assert sign(**PUBLISHED, body=b"", algorithm="md5") == hashlib.md5(raw).hexdigest()


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_the_algorithm_is_not_signed(algorithm: Any) -> None:
    """The signed text is the same for both algorithms: the name of the algorithm is nowhere in it."""
    raw = b"accessKey=fme2na3kdi3ki&action=send&bizType=1&ts=1655710885431&body=" + BODY
    raw += b"&accessSecret=abciiiko2k3"
    expected = hashlib.new(algorithm, raw).hexdigest()
    assert sign(**PUBLISHED, body=BODY, algorithm=algorithm) == expected


@pytest.mark.parametrize("part", ["access_key", "action", "biz_type", "ts", "secret"])
def test_every_part_is_signed(part: str) -> None:
    """A change of any part changes the signature."""
    changed = {**PUBLISHED, part: PUBLISHED[part] + "0"}
    assert sign(**changed, body=BODY, algorithm="md5") != sign(**PUBLISHED, body=BODY, algorithm="md5")


def test_bytes_are_signed_as_they_are() -> None:
    """The body is signed byte for byte, also where it is no UTF-8."""
    raw = b"accessKey=fme2na3kdi3ki&action=send&bizType=1&ts=1655710885431&body=\xff\x00"
    raw += b"&accessSecret=abciiiko2k3"
    assert sign(**PUBLISHED, body=b"\xff\x00", algorithm="md5") == hashlib.md5(raw).hexdigest()
