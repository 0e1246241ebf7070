"""Status and body, read together: whose fault a failure is, how long to wait, and what may have been
applied."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from nxcloud_answers import ADD, CREATE, CREDENTIALS, LIST, VENDOR, outcome, said
from ozonetel_said import CREATE as OZONETEL_CREATE
from ozonetel_said import SUCCESSES
from ozonetel_said import outcome as ozonetel

from numbergroup.engine.calls import AccountFault, Applied, Refused, Throttled, Unavailable
from numbergroup.vendors.certainty import FailureClass, is_in_doubt
from numbergroup.vendors.port import Answer

PHP = b"<br />\n<b>Notice</b>:  Undefined index: 85211111114 in <b>/www/a.php</b> on line <b>7</b><br />\n"


@pytest.mark.parametrize("code", [503, "503", 777, "E_GATEWAY", "Service Unavailable"])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 599])
def test_an_unknown_code_never_makes_a_server_error_final(status: int, code: Any) -> None:
    """Whatever code or text a 5xx has beside it, it may pass: nothing is rejected because of it."""
    got = outcome(ADD, said(code, "Service Unavailable"), status)
    assert isinstance(got, Unavailable)
    assert got.code == f"http-{status}"
    assert got.message.startswith("Service Unavailable")


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 302, 301])
def test_an_unknown_code_never_makes_the_accounts_fault_the_commands(status: int) -> None:
    """Missing permission and wrong paths are the account's, whatever unknown code says so, by both
    vendors."""
    for got in (
        outcome(ADD, said(status, "Not here"), status),
        ozonetel(OZONETEL_CREATE, {"status": "error", "message": "Not here"}, status),
    ):
        assert isinstance(got, AccountFault)
        assert got.code == f"http-{status}"


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("text", ["Service temporarily unavailable", "Internal error", ""])
def test_a_server_error_of_ozonetel(status: int, text: str) -> None:
    """Its own form of an error does not make a 5xx final either."""
    got = ozonetel(OZONETEL_CREATE, {"status": "error", "message": text}, status)
    assert isinstance(got, Unavailable)
    assert got.in_doubt is (status != 503)


def test_a_known_code_decides_whatever_the_status() -> None:
    """What the vendor documents goes before HTTP."""
    assert isinstance(outcome(ADD, said(1002, "no"), 503), Refused)
    assert isinstance(outcome(ADD, said(1003, "no"), 500), AccountFault)
    assert isinstance(outcome(ADD, said(777, "rate limit exceeded"), 500), Throttled)


@pytest.mark.parametrize("status", [402, 407, 408, 425])
def test_statuses_that_blame_nobody(status: int) -> None:
    """What is not paid, or took too long, may pass: with a code beside it, too."""
    assert isinstance(outcome(ADD, said(777, "no"), status), Unavailable)
    assert isinstance(outcome(ADD, b"", status), Unavailable)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (503, said(503, "Service Unavailable")),
        (503, b""),
        (500, said("E", "no")),
        (502, b"<html>"),
        (200, said(10009, "failed to retrieve data")),
        (200, said(777, "come back later")),
        (400, said(777, "come back later")),
        (409, said(777, "conflict")),
        (413, b""),
        (200, b"<html>"),
    ],
)
def test_retry_after_is_on_whatever_failed(status: int, content: Any) -> None:
    """Who says when to come back is not refusing: the call is tried again, and not before."""
    got = outcome(ADD, content, status, retry_after="30")
    assert isinstance(got, Unavailable)
    assert got.retry_after_s == 30.0
    assert got.whole_service is (status >= 500)


def test_retry_after_of_the_others() -> None:
    """Of a fault of the account, and of a rate limit; a refusal that is known stays one."""
    account = outcome(ADD, said(1003, "no"), 200, retry_after="30")
    assert isinstance(account, AccountFault)
    assert account.retry_after_s == 30.0
    assert outcome(ADD, b"", 429, retry_after="30").retry_after_s == 30.0  # type: ignore[union-attr]
    assert isinstance(outcome(ADD, said(1002, "no"), 200, retry_after="30"), Refused)
    told = ozonetel(OZONETEL_CREATE, {"status": "fail", "message": "x"}, 503, retry_after="9")
    assert isinstance(told, Unavailable)
    assert (told.retry_after_s, told.whole_service) == (9.0, True)


DOUBTFUL = [
    (500, said(500, "Internal Server Error")),
    (500, b""),
    (502, said("E", "bad gateway")),
    (504, b"<html>"),
    (503, said(10009, "failed to retrieve data")),
    (200, said(10009, "failed to retrieve data")),
    (200, said(777, "what nobody knows")),
    (200, said(777, "系统繁忙，请稍后再试")),
    (200, b""),
    (200, b"<html>"),
    (201, said(True)),
    (204, b""),
    (408, b""),
    (409, said(777, "conflict")),
    (425, b""),
    (500, said(777, "too many requests")),
]
CERTAIN = [
    (200, said(1002, "parameter error")),
    (500, said(1002, "parameter error")),
    (200, said(1004, "timestamp expired")),
    (200, said(1003, "invalid signature")),
    (200, said(777, "too many requests")),
    (400, said(777, "no")),
    (400, b""),
    (401, said(777, "no")),
    (403, b""),
    (404, b"<html>"),
    (413, b""),
    (422, said(777, "no")),
    (429, b""),
    (429, said(777, "no")),
]


@pytest.mark.parametrize(("status", "content"), DOUBTFUL)
def test_doubtful(status: int, content: Any) -> None:
    """Whatever does not say for certain that nothing was done leaves a create, and an update, in doubt."""
    assert outcome(CREATE, content, status).in_doubt  # type: ignore[union-attr]
    assert outcome(ADD, content, status).in_doubt  # type: ignore[union-attr]


@pytest.mark.parametrize(("status", "content"), CERTAIN)
def test_certain(status: int, content: Any) -> None:
    """What is documented as a refusal, a 4xx, or a rate limit was not applied: it may be sent again."""
    assert not outcome(CREATE, content, status).in_doubt  # type: ignore[union-attr]


def test_doubt_is_the_default() -> None:
    """For any status of which nothing is known; only what is not sent is certain without an answer."""
    for status in range(100, 600):
        likely_not = 400 <= status < 500 and status not in (408, 409, 425)
        gateway = status == 503 or 300 <= status < 400
        assert is_in_doubt(status) is not (likely_not or gateway)
        assert is_in_doubt(status, can_look_up=True) is not likely_not
        for known in (FailureClass.REFUSED, FailureClass.ACCOUNT_FAULT):
            assert not is_in_doubt(status, known)
        assert is_in_doubt(status, FailureClass.RETRYABLE)
        assert not is_in_doubt(status, FailureClass.RETRYABLE, documented=True)
    assert is_in_doubt(None)
    assert not is_in_doubt(None, sent=False)


@pytest.mark.parametrize(
    "text",
    ["Group name already exists", "duplicate groupName", "号码组名称已存在", "Name (x) already exists"],
)
def test_a_group_that_exists(text: str) -> None:
    """A create that finds its group there is refused, and says so: it may be its own."""
    got = outcome(CREATE, said(777, text))
    assert got == Refused("777", text, got.request_id, already_exists=True)  # type: ignore[union-attr]
    told = ozonetel(OZONETEL_CREATE, {"status": "error", "message": "invalid data", "errors": {"name": text}})
    assert isinstance(told, Refused)
    assert told.already_exists
    assert not outcome(ADD, said(1002, text)).already_exists  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "group exists",
        "Already exists",
        "the group 'crew' is already in use",
        "crew already exists",
        "Duplicate entry 'crew' for key 'g.name'",
        "分组名称重复",
        "该分组已存在，请勿重复提交",
        "Group name has been taken",
    ],
)
def test_wording_of_a_group_that_exists(text: str) -> None:
    """With whichever status that may blame the command."""
    for status in (200, 201, 400, 409, 422):
        got = outcome(replace(CREATE, group_name="crew"), said(777, text), status)
        assert isinstance(got, Refused)
        assert (got.already_exists, got.certain, got.in_doubt) == (True, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "Duplicate entry '7' for key log.PRIMARY",
        "duplicate request",
        "Duplicate request for group 7",
        "请勿重复提交，请稍后再试",
        "重复请求",
        "nonce already used",
        "accessKey is already in use by another session",
        "user name is already in use",
        "group does not exist",
        "phone already exists in another group",
        "分组内号码重复",
        "分组不存在",
    ],
)
def test_what_exists_is_no_group(text: str) -> None:
    """A request that was sent twice, a key or a number that exists: the create is looked for."""
    for status in (200, 409):
        got = outcome(CREATE, said(777, text), status)
        assert not getattr(got, "exists", False)
        assert got.in_doubt  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["group name already exists", "分组已存在", "Duplicate entry 'x' for key 'name'"]
)
def test_a_status_that_blames_no_command_does_not_say_that_the_group_exists(text: str) -> None:
    """A server error stays in doubt, and missing permission the account's, by both vendors."""
    for got in (outcome(CREATE, said(777, text), 500), ozonetel(OZONETEL_CREATE, failed(text), 500)):
        assert isinstance(got, Unavailable)
        assert got.in_doubt
    for status in (401, 403):
        for denied in (
            outcome(CREATE, said(777, text), status),
            ozonetel(OZONETEL_CREATE, failed(text), status),
        ):
            assert isinstance(denied, AccountFault)
            assert denied.code == f"http-{status}"


def failed(text: str) -> dict[str, Any]:
    """A failure of Ozonetel with this message."""
    return {"status": "error", "message": text}


BODIES = {
    "bom": b"\xef\xbb\xbf%b",
    "white space": b"\r\n\t %b \n",
    "utf-16 with a mark": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32": "utf-32",
}


@pytest.mark.parametrize("how", BODIES)
def test_a_success_in_any_encoding(how: str) -> None:
    """A byte order mark, or another form of Unicode, hides no success: the call is not repeated for that."""
    for call, content in ((ADD, said(0)), (CREATE, said(0, groupId="g-1", msg="成功"))):
        text = orjson.dumps(content)
        form = BODIES[how]
        body = form % text if isinstance(form, bytes) else text.decode().encode(form)
        assert isinstance(outcome(call, body), Applied)
    for auth in ("legacy", "basic"):
        body = b"\xef\xbb\xbf" + orjson.dumps(SUCCESSES[OZONETEL_CREATE.kind])
        assert isinstance(ozonetel(OZONETEL_CREATE, body, 200, auth), Applied)  # type: ignore[arg-type]


@pytest.mark.parametrize("charset", ["gbk", "GB18030", '"big5"', "iso-8859-1", "gb2312"])
def test_a_charset_that_is_named(charset: str) -> None:
    """Messages in another charset than JSON's are read, when the answer names it."""
    msg = "caf\xe9" if charset.startswith("iso") else "成功"
    body = f'{{"code":0,"msg":"{msg}"}}'.encode(charset.strip('"'))
    got = VENDOR.parse_answer(
        ADD, Answer(200, body, {"content-type": f"text/json; charset={charset}"}), CREDENTIALS
    )
    assert got == Applied(None)


def test_a_charset_that_is_not_named() -> None:
    """The code counts, also where the message beside it cannot be read."""
    assert outcome(ADD, '{"code":0,"msg":"成功"}'.encode("gbk")) == Applied(None)
    assert isinstance(outcome(ADD, '{"code":1002,"msg":"参数错误"}'.encode("gbk")), Refused)
    odd = Answer(200, b'{"code":0,"msg":"\xff"}', {"content-type": "application/json; charset=punycode"})
    assert VENDOR.parse_answer(ADD, odd, CREDENTIALS) == Applied(None)


@pytest.mark.parametrize("name", ["msg", "message", "error"])
def test_the_message_by_other_names(name: str) -> None:
    """What is called `msg` in one product is called otherwise in another: it is shown, and understood."""
    assert outcome(ADD, {"code": 1002, name: "no"}) == Refused("1002", "no")
    assert isinstance(outcome(ADD, {"code": 777, name: "请求过于频繁"}), Throttled)
    assert isinstance(outcome(ADD, {name: "QPS limit exceeded"}), Throttled)
    assert isinstance(ozonetel(OZONETEL_CREATE, {"status": "error", name: "Invalid group id"}), Refused)


def test_notices_around_the_json() -> None:
    """A success that is buried in a program's complaints is none; the reason shows how they begin, masked."""
    for got in (
        outcome(ADD, PHP + orjson.dumps(said(0))),
        ozonetel(OZONETEL_CREATE, PHP + orjson.dumps(SUCCESSES[OZONETEL_CREATE.kind])),
    ):
        assert isinstance(got, Unavailable)
        assert got.in_doubt
        assert "<br /> <b>Notice</b>: Undefined index: <number>" in got.message
        assert "85211111114" not in got.message
        assert len(got.message) < 200


@pytest.mark.parametrize(
    "body", [b"\x1f\x8b\x08\x00\x00", b"\xff\xfe\x00", b"\x00" * 90, b"", b"abciiiko2k3"]
)
def test_the_beginning_is_fit_to_be_shown(body: bytes) -> None:
    """Of bytes that are no text only what can be printed, and never the secret."""
    got = outcome(LIST, body)
    assert isinstance(got, Unavailable)
    assert got.message.isprintable()
    assert "abciiiko2k3" not in got.message


def test_a_code_that_is_there_twice() -> None:
    """An answer that says two things says nothing; that says one thing twice says that."""
    assert isinstance(outcome(ADD, b'{"code":1002,"code":0}'), Unavailable)
    assert isinstance(outcome(ADD, b'{"code":0,"code":1002}'), Unavailable)
    assert outcome(ADD, b'{"code":0,"code":0,"data":{"code":7}}') == Applied(None)
    assert outcome(ADD, b'{"data":{"code":7},"code":0}') == Applied(None)
    body = b'{"status":"success","output":{},"status":"error"}'
    assert isinstance(ozonetel(OZONETEL_CREATE, body), Unavailable)
