"""NXCloud's answers: which outcome each of them is. One promise above all: nothing raises."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from nxcloud_answers import (
    ADD,
    CREATE,
    CREDENTIALS,
    DELETE_GROUP,
    EVERY_KIND,
    GROUP,
    REQUEST_ID,
    SECRET,
    VENDOR,
    outcome,
    said,
)

from numbergroup.engine.calls import AccountFault, Applied, Call, Refused, Throttled, Unavailable
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.port import Answer

STATUSES_OF_FAILURE: dict[int, Any] = {
    429: Throttled,
    **dict.fromkeys((301, 302, 401, 403, 404), AccountFault),
    **dict.fromkeys((408, 500, 502, 503, 504, 599), Unavailable),
}


@pytest.mark.parametrize("code", [0, "0", " 0 ", 0.0, -0.0])
def test_success_of_an_update(code: Any) -> None:
    """Code 0, as a number or as a string, is success, with the vendor's requestId."""
    assert outcome(ADD, said(code)) == Applied(REQUEST_ID)
    assert outcome(DELETE_GROUP, said(code)) == Applied(REQUEST_ID)


@pytest.mark.parametrize("more", [{"groupId": GROUP}, {"data": {"groupId": GROUP}}])
def test_success_of_a_create(more: dict[str, Any]) -> None:
    """The new group's id is read at the top level, as documented, or in `data`."""
    assert outcome(CREATE, said(0, **more)) == Applied(REQUEST_ID, GROUP)


@pytest.mark.parametrize(
    "more", [{}, {"groupId": ""}, {"groupId": True}, {"data": None}, {"data": {"groupId": 0}}]
)
def test_a_create_without_a_group_id_is_in_doubt(more: dict[str, Any]) -> None:
    """A success that does not name the group cannot be used, and must not be repeated blindly."""
    got = outcome(CREATE, said(0, **more))
    assert isinstance(got, Unavailable)
    assert got.in_doubt


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1001, AccountFault),
        (1002, Refused),
        (1003, AccountFault),
        (1004, Unavailable),
        (1005, AccountFault),
        (10003, AccountFault),
        (10004, Refused),
        (10009, Unavailable),
        (10011, Refused),
        (10012, Refused),
    ],
)
@pytest.mark.parametrize("as_string", [False, True])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_every_documented_code(code: int, kind: type, as_string: bool, status: int) -> None:
    """Each code of the vendor's list is what it says about us, whatever its JSON type and the HTTP status."""
    got = outcome(ADD, said(str(code) if as_string else code, "no"), status)
    assert isinstance(got, kind)
    assert (got.code, got.message) == (str(code), "no")
    if isinstance(got, Refused):
        assert got.certain
        assert got.request_id == REQUEST_ID
    assert got.in_doubt is (code == 10009)


def test_a_numeric_group_id() -> None:
    """An id that came as a number is a text from then on, as in listings."""
    assert outcome(CREATE, said(0, groupId=1234567890123456789)) == Applied(REQUEST_ID, "1234567890123456789")


@pytest.mark.parametrize("code", [1, -1, 9999, "E_UNKNOWN", 2**63])
def test_an_unknown_code_may_pass(code: Any) -> None:
    """A code that nobody knows is a refusal that is not certain, and may hide a call that was applied."""
    got = outcome(ADD, said(code, "what?"))
    assert got == Refused(str(code), "what?", REQUEST_ID, certain=False, in_doubt=True)


@pytest.mark.parametrize("code", [True, False, 0.5, 1.5, 1e300, None, [], {}, "", "  "])
def test_what_is_no_code_is_no_verdict(code: Any) -> None:
    """A boolean is no 0 and no 1, a fraction is no code: such an answer is as good as none."""
    got = outcome(ADD, said(code))
    assert isinstance(got, Unavailable)
    assert got.in_doubt


def test_a_long_code_is_cut_off() -> None:
    """A code of any length ends in results and logs with 32 characters at most, printable ones."""
    got = outcome(ADD, said("\x1b[2J" + "A" * 1000, "no"))
    assert isinstance(got, Refused)
    assert got.code == "[2J" + "A" * 29


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (REQUEST_ID, REQUEST_ID),
        (1602248485121429504, REQUEST_ID),
        (None, None),
        (True, None),
        (1.5, None),
        ([], None),
    ],
)
def test_request_ids(sent: Any, read: str | None) -> None:
    """A requestId is a string, also when it came as a number; anything else is none."""
    assert outcome(ADD, {"code": 0, "requestId": sent}) == Applied(read)
    refused = outcome(ADD, {"code": 1002, "requestId": sent})
    assert isinstance(refused, Refused)
    assert refused.request_id == read


def test_a_request_id_of_any_length_is_cut_off() -> None:
    """A requestId goes into results and records: 128 characters of it, and only printable ones."""
    assert outcome(ADD, {"code": 0, "requestId": "a\r\nb" + "c" * 9999}) == Applied("ab" + "c" * 126)


def test_no_request_id() -> None:
    """A success is a success without a requestId."""
    assert outcome(ADD, {"code": 0, "msg": "success"}) == Applied(None)


@pytest.mark.parametrize("call", EVERY_KIND, ids=lambda call: call.kind.value)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html><body>Welcome</body></html>"),
        (200, orjson.dumps(said(0))[:20]),
        (200, b""),
        (204, b""),
        (200, b"[]"),
        (200, b"0"),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
        (200, b'{"code": NaN}'),
        (200, b'{"code": ' + b"9" * 5000 + b"}"),
        (500, b"<html>"),
        (502, b""),
        (504, b""),
    ],
)
def test_no_verdict_is_doubt(call: Call, status: int, body: bytes) -> None:
    """Without the vendor's verdict nobody knows whether the call was applied."""
    got = outcome(call, body, status)
    assert isinstance(got, Unavailable)
    assert (got.in_doubt, got.code) == (True, f"http-{status}")


@pytest.mark.parametrize("call", EVERY_KIND, ids=lambda call: call.kind.value)
def test_503_was_not_passed_on(call: Call) -> None:
    """A gateway's 503 is no doubt, but for a create, for which "perhaps" is dangerous."""
    got = outcome(call, b"<html>", 503)
    assert isinstance(got, Unavailable)
    assert got.in_doubt is (call is CREATE)


@pytest.mark.parametrize("call", EVERY_KIND, ids=lambda call: call.kind.value)
@pytest.mark.parametrize("code", [0, "0", 0.0])
@pytest.mark.parametrize(
    "msg", ["success", "Too Many Requests", "Service Unavailable", "rate limit exceeded"]
)
def test_a_success_body_beside_a_status_of_failure(call: Call, code: Any, msg: str) -> None:
    """The status decides, and the body leaves in doubt what was done; the message shows both."""
    content = said(code, msg, groupId=GROUP, data={"groups": []})
    for status, kind in STATUSES_OF_FAILURE.items():
        got = outcome(call, content, status, retry_after="7")
        assert isinstance(got, kind)
        assert got.in_doubt
        assert got.code == f"http-{status}"
        assert got.message == f"HTTP {status} beside a success in the body: {msg}"
        assert got.retry_after_s == 7.0


def test_a_success_body_beside_a_status_that_blames_the_call() -> None:
    """What is stated to have succeeded is not refused for certain: it is tried again, or looked for."""
    got = outcome(ADD, said(0), 400)
    assert isinstance(got, Refused)
    assert (got.code, got.certain, got.in_doubt) == ("http-400", False, True)


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308, 401, 403, 404, 405, 410])
def test_an_http_status_that_concerns_the_account(status: int) -> None:
    """Redirects, wrong paths and missing permission are for the operator: no command is to blame."""
    got = outcome(ADD, b"<html>", status)
    assert isinstance(got, AccountFault)
    assert got.code == f"http-{status}"


@pytest.mark.parametrize("status", [400, 411, 413, 414, 415, 422, 431])
def test_an_http_status_that_concerns_the_call(status: int) -> None:
    """Too large or malformed, as a gateway sees it: the call's content is refused."""
    got = outcome(ADD, b"<html>", status)
    assert isinstance(got, Refused)
    assert (got.code, got.certain) == (f"http-{status}", True)


@pytest.mark.parametrize("body", [b"", b"slow down", orjson.dumps(said(9999, "no"))])
def test_429(body: bytes) -> None:
    """429 asks for fewer calls, with a body or without; `Retry-After` says for how long."""
    got = outcome(ADD, body, 429, retry_after="7")
    assert isinstance(got, Throttled)
    assert got.retry_after_s == 7.0
    assert outcome(ADD, body, 429).retry_after_s is None  # type: ignore[union-attr]


@pytest.mark.parametrize("msg", ["Rate Limit exceeded", "too many requests", "E: RATE LIMIT"])
def test_rate_limits_with_http_200(msg: str) -> None:
    """One of the account's throttle texts in `msg`, in any case, is a rate limit whatever the code."""
    got = outcome(ADD, said(9999, msg), retry_after="3")
    assert got == Throttled(3.0, "9999", msg)


def test_the_classes_are_the_accounts() -> None:
    """What a code means is a setting of the account."""
    assert isinstance(outcome(ADD, said(9999, "no")), Refused)
    classes = FailureClassifier(
        {
            "9999": FailureClass.RETRYABLE,
            "1002": FailureClass.ACCOUNT_FAULT,
            "77": FailureClass.REFUSED,
            "http-413": FailureClass.RETRYABLE,
        }
    )
    vendor = replace(VENDOR, classes=classes)

    def read(content: bytes, status: int = 200) -> Any:
        return vendor.parse_answer(ADD, Answer(status, content), CREDENTIALS)

    assert isinstance(read(orjson.dumps(said(9999, "no"))), Unavailable)
    assert isinstance(read(orjson.dumps(said(1002, "no"))), AccountFault)
    assert read(orjson.dumps(said(77, "no"))) == Refused("77", "no", REQUEST_ID, certain=True)
    assert isinstance(read(b"<html>", 413), Unavailable)


@pytest.mark.parametrize("code", [1002, 1003, 9999])
def test_no_secret_and_no_number_in_a_message(code: int) -> None:
    """What the vendor echoes is masked: results and logs have neither the secret nor phone numbers."""
    msg = f"sign of {SECRET} wrong; phones 85211111114,+85235753351 (85235753311)\x1b[2J" + "x" * 999
    got = outcome(ADD, said(code, msg))
    message: str = got.message  # type: ignore[union-attr]
    assert message.startswith("sign of *** wrong; phones <number>,<number> (<number>) [2J")
    assert message.isprintable()
    assert len(message) == 300


@pytest.mark.parametrize("msg", [None, 7, ["x"], {"secret": SECRET}])
def test_a_message_that_is_none(msg: Any) -> None:
    """A `msg` that is no text is an empty message."""
    assert outcome(ADD, {"code": 1002, "msg": msg}) == Refused("1002", "", None, certain=True)
