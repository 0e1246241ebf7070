"""NXCloud's requests: what is sent for each kind of call, byte for byte."""

import re
from typing import Any

import orjson
import pytest

from numbergroup.engine.calls import Call, CallKind
from numbergroup.vendors.nxcloud import NXCloud
from numbergroup.vendors.port import Credentials
from numbergroup.vendors.signature import sign

KEY, SECRET = "sixgqophrnv4", "abciiiko2k3"
URL = "https://number.nxcloud.com/api/pns/"
GROUP = "6a7sd3402px21429s04"
NUMBERS = ("85211111114", "85235753351", "85235753311")
PHONES = "85211111114,85235753351,85235753311"
NOW_MS = 1_670_479_632_933


CREDENTIALS = Credentials(KEY, SECRET)


def vendor(**changed: Any) -> NXCloud:
    return NXCloud(URL, **changed)


def body(call: Call) -> Any:
    return orjson.loads(vendor().build_request(call, NOW_MS, CREDENTIALS).body)


CALLS = {
    "create": (Call(CallKind.CREATE, NUMBERS, group_name="groupA", remark="Number Group A"), "createGroup"),
    "add": (Call(CallKind.ADD, NUMBERS, GROUP), "updateGroup"),
    "delete": (Call(CallKind.DELETE, NUMBERS, GROUP), "updateGroup"),
    "replace": (Call(CallKind.REPLACE, NUMBERS, GROUP), "updateGroup"),
    "delete-group": (Call(CallKind.DELETE_GROUP, group_id=GROUP), "deleteGroup"),
    "list": (Call(CallKind.LIST, limit=10, offset=0), "listGroup"),
}
"""The examples of the vendor's pages, as calls, and the action of each."""


@pytest.mark.parametrize("name", CALLS)
def test_the_bytes_signed_are_the_bytes_sent(name: str) -> None:
    """Whoever checks the signature over the body as it arrives finds it right."""
    call, action = CALLS[name]
    request = vendor().build_request(call, NOW_MS, CREDENTIALS)
    assert (request.method, request.url) == ("POST", URL)
    assert request.headers == {
        "Content-Type": "application/json",
        "accessKey": KEY,
        "action": action,
        "bizType": "5",
        "ts": "1670479632933",
        "sign": sign(
            access_key=KEY,
            action=action,
            biz_type="5",
            ts="1670479632933",
            body=request.body,
            secret=SECRET,
            algorithm="md5",
        ),
    }


def test_create_as_on_the_vendors_page() -> None:
    """ "Create Number Group": phones in one string, name and remark."""
    call, _ = CALLS["create"]
    assert body(call) == {"phones": PHONES, "groupName": "groupA", "remark": "Number Group A"}


def test_create_without_name_and_remark() -> None:
    """What the producer left out is left out, and not sent as null."""
    assert body(Call(CallKind.CREATE, NUMBERS)) == {"phones": PHONES}


@pytest.mark.parametrize(("name", "operate_type"), [("add", 0), ("delete", 1), ("replace", 2)])
def test_updates_as_on_the_vendors_page(name: str, operate_type: int) -> None:
    """ "Update Number Group": 0 adds, 1 deletes, 2 replaces, as a number."""
    call, _ = CALLS[name]
    assert body(call) == {"groupId": GROUP, "operateType": operate_type, "phones": PHONES}


def test_the_deletion_of_a_group() -> None:
    """ "Delete Number Group": the id alone."""
    assert body(CALLS["delete-group"][0]) == {"groupId": GROUP}


def test_a_listing_as_on_the_vendors_page() -> None:
    """ "Query Number Groups": limit and offset, both as numbers."""
    assert body(CALLS["list"][0]) == {"limit": 10, "offset": 0}


def test_sha256_is_announced() -> None:
    """Another algorithm than md5 is named in a header, and used."""
    request = vendor(algorithm="sha256").build_request(CALLS["add"][0], NOW_MS, CREDENTIALS)
    assert request.headers["algorithm"] == "sha256"
    assert re.fullmatch("[0-9a-f]{64}", request.headers["sign"])


def test_every_request_is_signed_with_the_credentials_of_the_moment() -> None:
    """They come with each request, so that rotated ones are used at once."""
    call, _ = CALLS["add"]
    pairs = [CREDENTIALS, Credentials(KEY, "new"), Credentials("other", SECRET)]
    requests = [vendor().build_request(call, NOW_MS, pair) for pair in pairs]
    assert [request.headers["accessKey"] for request in requests] == [KEY, KEY, "other"]
    assert len({request.headers["sign"] for request in requests}) == 3


def test_credentials_are_never_shown() -> None:
    """Neither name nor secret is in what a log or a traceback may say."""
    assert repr(CREDENTIALS) == str(CREDENTIALS) == "Credentials()"


def test_the_time_is_signed() -> None:
    """Another millisecond, another `ts` and another signature."""
    call, _ = CALLS["add"]
    first, second = (
        vendor().build_request(call, NOW_MS, CREDENTIALS),
        vendor().build_request(call, NOW_MS + 1, CREDENTIALS),
    )
    assert (first.headers["ts"], second.headers["ts"]) == (
        str(NOW_MS),
        str(NOW_MS + 1),
    )
    assert first.headers["sign"] != second.headers["sign"]


def test_what_producers_say_stays_data() -> None:
    """Quotes, line ends and other alphabets in a name stay inside the JSON string."""
    name = 'a","phones":"1\r\nX-Header: 1 牛小信'
    assert body(Call(CallKind.CREATE, NUMBERS, group_name=name)) == {"phones": PHONES, "groupName": name}
