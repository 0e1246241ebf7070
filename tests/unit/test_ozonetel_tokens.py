"""Ozonetel's tokens: how one is asked for, and what the answer means."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ozonetel_said import ADD, CREDENTIALS, KEY, TOKEN, VENDOR_URL, VENDORS

from numbergroup.engine.calls import AccountFault, Throttled, Unavailable
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.ozonetel import CLASSES
from numbergroup.vendors.port import Answer

VENDOR = VENDORS["token"]


def token(content: Any, status: int = 200) -> Any:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return VENDOR.parse_token(Answer(status, body), CREDENTIALS)


def test_only_that_mode_has_tokens() -> None:
    """An hour each, ten an hour; the other modes have none."""
    rules = VENDOR.token_rules
    assert rules
    assert (rules.lifetime_s, rules.max_per_hour) == (3600, 10)
    assert VENDORS["legacy"].token_rules is VENDORS["basic"].token_rules is None


def test_the_request() -> None:
    """It bears the API key, and no token."""
    sent = VENDOR.build_token_request(CREDENTIALS)
    assert (sent.method, sent.url) == ("POST", f"{VENDOR_URL}/ca_apis/CAToken/generateToken")
    assert sent.headers == {"Content-Type": "application/json", "apiKey": KEY}
    assert orjson.loads(sent.body) == {"userName": "agent-user"}


def test_a_token() -> None:
    """As the page shows it."""
    assert token({"token": TOKEN, "message": ""}) == TOKEN


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Authentication failed", AccountFault),
        ("Missing userName or apiKey", AccountFault),
        ("userName or apiKey is Invalid", AccountFault),
        ("Max limit exceeded", Throttled),
        ("what?", AccountFault),
    ],
)
@pytest.mark.parametrize("status", [200, 401])
def test_why_there_is_none(message: str, kind: type, status: int) -> None:
    """Without a token no call can work: whatever is said, no command is refused for it."""
    got = token({"status": "false", "message": message, "data": None}, status)
    assert isinstance(got, kind)
    assert got.message.endswith(message)  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_stated_failure_has_made_no_token(status: int) -> None:
    """In whatever words: it does not count among those of the hour. Nor is anything shown that may be one."""
    assert not token({"status": "false", "message": "account disabled", "data": None}, status).in_doubt
    silent = token({"jwt": TOKEN})
    assert silent.in_doubt
    assert TOKEN not in silent.message


@pytest.mark.parametrize(
    "said", [{}, {"token": ""}, {"token": 7}, {"token": "a\r\nb"}, {"status": "success"}, b""]
)
def test_no_token_in_the_answer(said: Any) -> None:
    """What is none cannot be sent; the vendor is asked again."""
    assert isinstance(token(said), Unavailable)


@pytest.mark.parametrize(
    ("said", "status", "in_doubt"),
    [
        (b"", 200, True),
        ({"token": ""}, 200, True),
        (b"<html>", 502, True),
        (b"<html>", 504, True),
        (b"<html>", 503, False),
        ({"status": "false", "message": "Max limit exceeded"}, 200, False),
        ({"status": "false", "message": "userName or apiKey is Invalid"}, 401, False),
    ],
)
def test_whether_one_may_have_been_made(said: Any, status: int, in_doubt: bool) -> None:
    """Whoever asks again at once, again and again, would use up the hour's tokens without knowing."""
    got = token(said, status)
    assert not isinstance(got, str)
    assert got.in_doubt is in_doubt


def test_what_says_that_a_token_is_dead_is_an_account_fault() -> None:
    """By a code that asks for another one."""
    rules = VENDOR.token_rules
    assert rules
    call = VENDOR.parse_answer
    words = ("Authentication failed", "Token has expired", "Token is invalid", "jwt expired", "Unauthorized")
    for said, status in (*((one, 200) for one in words), ("what?", 401)):
        body = orjson.dumps({"status": "error", "message": said})
        got = call(ADD, Answer(status, body), CREDENTIALS)
        assert isinstance(got, AccountFault)
        assert got.code in rules.codes


def test_an_operator_can_say_what_a_dead_token_is_called() -> None:
    """No page does: with a text of the account's faults, another token is asked for."""
    classes = FailureClassifier(CLASSES.codes, {"session over": FailureClass.ACCOUNT_FAULT})
    body = orjson.dumps({"status": "error", "message": "Session over"})
    got = replace(VENDOR, classes=classes).parse_answer(ADD, Answer(200, body), CREDENTIALS)
    rules = VENDOR.token_rules
    assert rules
    assert isinstance(got, AccountFault)
    assert got.code in rules.codes


@given(st.integers(100, 599), st.binary(max_size=200))
def test_random_bytes(status: int, body: bytes) -> None:
    """Whatever comes, nothing raises."""
    assert isinstance(token(body, status), AccountFault | Throttled | Unavailable | str)
