"""What a failure means: each documented code and text of both vendors, and everything else."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.calls import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    Outcome,
    Refused,
    Throttled,
    Unavailable,
    Withheld,
)
from numbergroup.settings import NXCloudAccount
from numbergroup.vendors.classification import FailureClass, FailureClassifier, StatedFailure
from numbergroup.vendors.nxcloud import CLASSES
from numbergroup.vendors.port import Answer

ADD = Call(CallKind.ADD, ("85211111114",), "g-1")
CREATE = Call(CallKind.CREATE, ("85211111114",))
ACCOUNT = NXCloudAccount(access_key="k", access_secret="s")  # type: ignore[arg-type]

NXCLOUD = {
    "1001": AccountFault,
    "1002": Refused,
    "1003": AccountFault,
    "1004": Unavailable,
    "1005": AccountFault,
    "10003": AccountFault,
    "10004": Refused,
    "10009": Unavailable,
    "10011": Refused,
    "10012": Refused,
}
"""The vendor's page of codes."""

OZONETEL = {
    "Authentication failed": AccountFault,
    "Parameters are mandatory": Refused,
    "Invalid group id": Refused,
    "invalid data: Blocknumbers data contains invalid format of numbers": Refused,
    "invalid data: Name (X) allows 2 to 50 characters only": Refused,
    "Max limit exceeded": Throttled,
}
"""That vendor has no codes: its texts are all there is."""

OF_OZONETEL = ACCOUNT.model_copy(
    update={
        "account_fault_texts": ("authentication failed",),
        "permanent_texts": ("parameters are mandatory", "invalid group id", "invalid data"),
    }
)

STATUSES = {
    **dict.fromkeys((301, 302, 307, 401, 403, 404, 405, 410), AccountFault),
    **dict.fromkeys((400, 411, 413, 414, 415, 422, 431), Refused),
    **dict.fromkeys((200, 204, 402, 408, 418, 500, 502, 503, 504, 599), Unavailable),
    429: Throttled,
}


def stated(
    classes: FailureClassifier, code: str | None, text: str = "no", status: int = 200, **headers: str
) -> Outcome:
    """The outcome of an answer whose body states this. `retry_after` is that header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classes.classify(ADD, Answer(status, b"", named), StatedFailure(code, text, text, "r-1"))


@pytest.mark.parametrize("code", NXCLOUD)
@pytest.mark.parametrize("classes", [CLASSES, ACCOUNT.failure_classifier], ids=["provider", "settings"])
def test_every_documented_code(classes: FailureClassifier, code: str) -> None:
    """Each code of NXCloud's page has one class, the same by the provider's and by the settings' default."""
    got = stated(classes, code)
    assert type(got) is NXCLOUD[code]
    assert (got.code, got.message) == (code, "no")  # type: ignore[union-attr]


@pytest.mark.parametrize("text", OZONETEL)
def test_every_documented_text(text: str) -> None:
    """A vendor without codes is understood by its texts, in any case."""
    assert type(stated(OF_OZONETEL.failure_classifier, None, text)) is OZONETEL[text]
    assert type(stated(OF_OZONETEL.failure_classifier, None, text.upper())) is OZONETEL[text]


@pytest.mark.parametrize("status", STATUSES)
def test_every_http_status(status: int) -> None:
    """Without a verdict in the body, HTTP's status says whose fault it is."""
    got = CLASSES.classify(ADD, Answer(status, b""))
    assert type(got) is STATUSES[status]
    assert got.code == f"http-{status}"  # type: ignore[union-attr]


CLASS_OF = {
    FailureClass.THROTTLED: Throttled,
    FailureClass.RETRYABLE: Unavailable,
    FailureClass.ACCOUNT_FAULT: AccountFault,
    FailureClass.REFUSED: Refused,
}


@pytest.mark.parametrize("found", FailureClass)
@pytest.mark.parametrize("status", [200, 302, 404, 413, 429, 500, 503])
def test_an_http_status_can_be_put_in_a_class(status: int, found: FailureClass) -> None:
    """What an operator says of a status goes before what HTTP says."""
    classes = FailureClassifier({f"http-{status}": found})
    assert type(classes.classify(ADD, Answer(status, b""))) is CLASS_OF[found]


@pytest.mark.parametrize("found", FailureClass)
@pytest.mark.parametrize(
    ("call", "status", "in_doubt"),
    [(ADD, 500, True), (ADD, 200, True), (ADD, 503, False), (CREATE, 503, True), (CREATE, 500, True)],
)
def test_no_class_ends_a_doubt(found: FailureClass, call: Call, status: int, in_doubt: bool) -> None:
    """In whatever class an operator puts it: what may have been applied may have been applied."""
    got = FailureClassifier({f"http-{status}": found}).classify(call, Answer(status, b""))
    assert not isinstance(got, Applied | Withheld)
    assert got.in_doubt is in_doubt


@pytest.mark.parametrize(("status", "in_doubt"), [(503, False), (500, True), (502, True), (200, True)])
def test_a_create_that_cannot_be_looked_for(status: int, in_doubt: bool) -> None:
    """Where the vendor has no list, 503 means what it says: an outage would fail every create otherwise."""
    got = FailureClassifier().classify(CREATE, Answer(status, b""), can_list=False)
    assert isinstance(got, Unavailable)
    assert got.in_doubt is in_doubt


@pytest.mark.parametrize("found", FailureClass)
@pytest.mark.parametrize("text", ["Quota", "quota", "the QUOTA is used up"])
def test_a_text_goes_before_the_code(found: FailureClass, text: str) -> None:
    """Vendors use one code for many things: what the text says decides."""
    classes = FailureClassifier({"1": FailureClass.REFUSED, "2": FailureClass.RETRYABLE}, {"Quota": found})
    for code in ("1", "2", "3", None):
        assert type(stated(classes, code, text)) is CLASS_OF[found]
    assert type(stated(classes, "2", "nothing of it")) is Unavailable


def test_the_first_text_decides() -> None:
    """Of the texts of several classes in one message, that of the class counts that does the least harm."""
    account = ACCOUNT.model_copy(
        update={
            "permanent_texts": ("denied",),
            "retryable_texts": ("later",),
            "account_fault_texts": ("key",),
            "throttle_texts": ("slow down",),
        }
    )
    classes, text = account.failure_classifier, "denied, later, key, slow down"
    for kind in (Throttled, AccountFault, Unavailable, Refused):
        assert type(stated(classes, None, text)) is kind
        text = text.rpartition(", ")[0]


@pytest.mark.parametrize("found", [one for one in FailureClass if one is not FailureClass.THROTTLED])
def test_what_nobody_knows(found: FailureClass) -> None:
    """An unknown code means what the account says; as a refusal it is not certain, and tried again."""
    got = stated(FailureClassifier({"1": FailureClass.RETRYABLE}, unknown=found), "4711")
    assert type(got) is CLASS_OF[found]
    if isinstance(got, Refused):
        assert not got.certain


def test_429_whatever_the_body_says() -> None:
    """HTTP's own word for "too fast" is believed, unless an operator has put it elsewhere."""
    assert stated(CLASSES, "1002", status=429, retry_after="7") == Throttled(7.0, "1002", "no")
    elsewhere = FailureClassifier({"1002": FailureClass.REFUSED, "http-429": FailureClass.RETRYABLE})
    assert type(stated(elsewhere, "1002", status=429)) is Refused
    assert type(elsewhere.classify(ADD, Answer(429, b""))) is Unavailable


@pytest.mark.parametrize("code", [code for code, kind in NXCLOUD.items() if kind is Refused])
def test_a_known_refusal_decides_over_the_usual_wording(code: str) -> None:
    """By the vendor's page the command is to blame, however the message is worded; an account's own texts
    go before that."""
    for classes in (CLASSES, ACCOUNT.failure_classifier):
        assert type(stated(classes, code, "too many requests")) is Refused
        assert type(stated(classes, "10009", "too many requests")) is Throttled
    own = ACCOUNT.model_copy(update={"throttle_texts": ("too many requests",)})
    assert type(stated(own.failure_classifier, code, "Too many requests")) is Throttled


@pytest.mark.parametrize("ahead_s", [-7200, 0, 7200])
def test_retry_after_is_measured_on_the_vendors_clock(ahead_s: int) -> None:
    """A date is so many seconds after the answer's own `Date`, whatever our clock says."""
    vendor_s = 1_800_000_000 + ahead_s
    headers = {
        "date": formatdate(vendor_s, usegmt=True),
        "retry_after": formatdate(vendor_s + 90, usegmt=True),
    }
    got = stated(ACCOUNT.failure_classifier, "9999", "rate limit", **headers)
    assert got == Throttled(90.0, "9999", "rate limit")
    silent = CLASSES.classify(ADD, Answer(429, b"", {k.replace("_", "-"): v for k, v in headers.items()}))
    assert isinstance(silent, Throttled)
    assert silent.retry_after_s == 90.0


@given(
    st.sampled_from([ADD, CREATE]),
    st.integers(100, 999),
    st.none() | st.sampled_from(["1002", "9999"]) | st.text(),
    st.text(),
    st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()),
)
def test_nothing_raises(
    call: Call, status: int, code: str | None, text: str, headers: dict[str, str]
) -> None:
    """Whatever a vendor sends, it is a failure of one of the classes, and a pause is never negative."""
    answer = Answer(status, b"", headers)
    for stated_or_not in (StatedFailure(code, text, text), None):
        got = CLASSES.classify(call, answer, stated_or_not)
        assert type(got) in CLASS_OF.values()
        if isinstance(got, Throttled):
            assert got.retry_after_s is None or got.retry_after_s >= 0.0
