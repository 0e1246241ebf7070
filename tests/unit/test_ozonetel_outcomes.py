"""Ozonetel's answers: which outcome each of them is, in all three modes."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from ozonetel_said import (
    ABROAD,
    ADD,
    COMES_BACK,
    CREATE,
    CREDENTIALS,
    DELETE,
    EVERY_KIND,
    KEY,
    MODES,
    SENT,
    SUCCESSES,
    TEN,
    TOKEN,
    TWELVE,
    VENDORS,
    naming,
    outcome,
)

from numbergroup.engine.calls import AccountFault, Applied, Call, Refused, Throttled, Unavailable
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.ozonetel import CLASSES, Auth
from numbergroup.vendors.port import Answer

INVALID = {"status": "error", "message": "invalid data"}
NUMBERS = {**INVALID, "errors": {"blockNumbers": "Blocknumbers data contains invalid format of numbers"}}
NAME = {**INVALID, "errors": {"name": "Name (X) allows 2 to 50 characters only"}}

DOCUMENTED: list[tuple[Any, type, str]] = [
    ({"status": "error", "message": "Authentication failed"}, AccountFault, "authentication-failed"),
    ({"status": "error", "message": "Parameters are mandatory"}, Refused, "parameters-mandatory"),
    ({"status": "error", "message": "Invalid group id"}, Refused, "invalid-group-id"),
    (NUMBERS, Refused, "invalid-data"),
    (NAME, Refused, "invalid-data"),
    ({"status": "error", "message": "Max limit exceeded"}, Throttled, "max-limit-exceeded"),
]


@pytest.mark.parametrize("auth", MODES)
@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize("failed", ["error", "fail", "false", False, "ERROR"])
@pytest.mark.parametrize(("said", "kind", "code"), DOCUMENTED)
def test_every_documented_error(
    said: Any, kind: type, code: str, failed: Any, status: int, auth: Auth
) -> None:
    """Each error of the vendor's pages is what it says about us, whatever its status is called."""
    for call in EVERY_KIND:
        got = outcome(call, {**said, "status": failed}, status, auth)
        assert isinstance(got, kind)
        assert got.code == code  # type: ignore[attr-defined]
        assert got.message.startswith(said["message"])  # type: ignore[attr-defined]
        assert not got.in_doubt  # type: ignore[attr-defined]
        assert not isinstance(got, Refused) or got.certain


def test_what_is_wrong_with_which_field_is_said() -> None:
    """The reason of `invalid data` is in the result."""
    got = outcome(ADD, NUMBERS)
    assert got == Refused(
        "invalid-data", "invalid data: Blocknumbers data contains invalid format of numbers"
    )


@pytest.mark.parametrize("auth", MODES)
@pytest.mark.parametrize("call", [ADD, DELETE], ids=["add", "delete"])
def test_success(call: Call, auth: Auth) -> None:
    """All numbers were taken, whichever way `success` is spelt; there is no request id."""
    assert outcome(call, SUCCESSES[call.kind], 200, auth) == Applied(None)


@pytest.mark.parametrize("spelt", ["true", True, 1, "1", "ok", "OK", "succes", "Successful", " success "])
def test_spellings_of_success(spelt: Any) -> None:
    """A failure's status has been seen as `false`: what stands against that is a success."""
    for call in EVERY_KIND:
        assert isinstance(outcome(call, {**SUCCESSES[call.kind], "status": spelt}), Applied)


@pytest.mark.parametrize("auth", MODES)
@pytest.mark.parametrize("call", EVERY_KIND, ids=lambda call: call.kind.value)
@pytest.mark.parametrize(
    ("status", "kind"), [(429, Throttled), (500, Unavailable), (503, Unavailable), (401, AccountFault)]
)
def test_a_success_body_beside_a_status_of_failure(status: int, kind: type, call: Call, auth: Auth) -> None:
    """The status decides, and the body leaves in doubt what was done."""
    got = outcome(call, SUCCESSES[call.kind], status, auth)
    assert isinstance(got, kind)
    assert got.in_doubt  # type: ignore[attr-defined]
    assert got.code == f"http-{status}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("auth", "group_id"), [("legacy", "20"), ("basic", "night shift"), ("token", "night shift")]
)
def test_success_of_a_create(auth: Auth, group_id: str) -> None:
    """The group's id is the vendor's number by the legacy paths, and its name by the others."""
    assert outcome(CREATE, SUCCESSES[CREATE.kind], 200, auth) == Applied(None, group_id)


@pytest.mark.parametrize("output", [None, [], {}, {"lastInsertId": 0}, {"lastInsertId": None}])
def test_a_legacy_create_without_an_id_is_in_doubt(output: Any) -> None:
    """A success that does not name the group cannot be used, and must not be repeated blindly."""
    got = outcome(CREATE, {"status": "success", "message": "created", "output": output}, 200, "legacy")
    assert isinstance(got, Unavailable)
    assert got.in_doubt


@pytest.mark.parametrize("call", EVERY_KIND, ids=lambda call: call.kind.value)
def test_a_success_may_reject_numbers(call: Call) -> None:
    """`status: success` with numbers in `output.error`: those were not taken; they are named as they were
    sent, whatever prefix they come back with."""
    for back, sent in zip(COMES_BACK, SENT, strict=True):
        got = outcome(call, naming(call, [back], [one for one in COMES_BACK if one != back]))
        assert isinstance(got, Applied)
        assert got.rejected == (sent,)


def test_numbers_of_an_error_in_one_text() -> None:
    """The vendor's example of a create has its numbers in one text, comma-separated, and none in `succes`."""
    got = outcome(CREATE, naming(CREATE, [",".join(SENT)]))
    assert isinstance(got, Applied)
    assert got.rejected == SENT


def test_a_number_in_both_lists_is_rejected_and_one_in_none_is_taken() -> None:
    """Of the two, only the first would be believed wrongly with harm."""
    got = outcome(ADD, naming(ADD, [f"+91{TEN}"], [f"+91{TEN}", f"+{TWELVE}"]))
    assert isinstance(got, Applied)
    assert got.rejected == (TEN,)
    assert ABROAD not in got.rejected


@pytest.mark.parametrize(
    "said", [{"status": "error", "message": "what?"}, {"status": "fail"}, {"status": False}]
)
def test_an_unknown_error_may_pass(said: Any) -> None:
    """A message that nobody knows is a refusal that is not certain, and has no code; it may hide a call that
    was applied."""
    assert outcome(ADD, said) == Refused(None, said.get("message", ""), certain=False, in_doubt=True)


@pytest.mark.parametrize("status", [401, 403])
def test_an_unknown_error_about_us(status: int) -> None:
    """With HTTP's word for missing permission it is the account's fault: no command is refused for that."""
    got = outcome(ADD, {"status": "error", "message": "no such luck"}, status)
    assert got == AccountFault(f"http-{status}", "no such luck")


@pytest.mark.parametrize("auth", MODES)
@pytest.mark.parametrize("call", EVERY_KIND, ids=lambda call: call.kind.value)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'"success"', b"{}", b'{"status": 2}', b'{"message": "Internal error"}']
)
def test_no_verdict_is_doubt(call: Call, body: bytes, auth: Auth) -> None:
    """Without the vendor's verdict nobody knows whether the call was applied."""
    for status in (200, 500, 502, 504):
        got = outcome(call, body, status, auth)
        assert isinstance(got, Unavailable)
        assert (got.in_doubt, got.code) == (True, f"http-{status}")


def test_a_known_message_is_a_verdict_without_a_status() -> None:
    """As it is of sibling endpoints."""
    assert isinstance(outcome(ADD, {"message": "Max limit exceeded"}), Throttled)


def test_429() -> None:
    """429 asks for fewer calls; `Retry-After` says for how long."""
    got = outcome(ADD, b"slow down", 429, retry_after="7")
    assert isinstance(got, Throttled)
    assert got.retry_after_s == 7.0


def test_no_secret_and_no_number_in_a_message() -> None:
    """What the vendor echoes is masked: neither API key nor token nor phone number is in results and logs."""
    got = outcome(ADD, {"status": "error", "message": f"{KEY} {TOKEN} +{TWELVE}, {TEN}", "errors": [TOKEN]})
    assert isinstance(got, Refused)
    assert got.message == "*** *** <number>, <number>: ***"


@pytest.mark.parametrize("auth", MODES)
@pytest.mark.parametrize("name", ["Authentication failed", "rate limit", "Max limit exceeded"])
def test_a_group_that_is_called_like_an_error(name: str, auth: Auth) -> None:
    """The vendor quotes names: what one producer calls a group must not stop the account for all others."""
    call = replace(CREATE, group_name=name)
    wrong = {"name": f"Name ({name}) allows 2 to 50 characters only"}
    vendor = replace(
        VENDORS[auth], classes=FailureClassifier(CLASSES.codes, {"rate limit": FailureClass.THROTTLED})
    )
    body = orjson.dumps({"status": "error", "message": "invalid data", "errors": wrong})
    got = vendor.parse_answer(call, Answer(200, body), CREDENTIALS)
    assert isinstance(got, Refused)
    assert (got.code, got.certain) == ("invalid-data", True)
    assert got.message == f"invalid data: {wrong['name']}"


@pytest.mark.parametrize("auth", MODES)
def test_what_the_vendor_quotes_of_a_request_is_not_shown(auth: Auth) -> None:
    """Neither its header, in which the key can be read, nor numbers that are joined."""
    header = VENDORS[auth].build_request(ADD, 0, CREDENTIALS).headers.get("Authorization", "none")
    said = f"what is {header} {TEN}{TEN}?"
    got = outcome(ADD, {"status": "error", "message": said}, auth=auth)
    assert isinstance(got, Refused)
    assert got.message == f"what is {header.partition(' ')[0]}{' ***' if auth != 'basic' else ''} <number>?"
