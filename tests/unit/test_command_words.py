"""The words of a command, quoted by the vendor: no producer's words stop an account for all others."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nxcloud_answers import CREATE, GROUP, said
from nxcloud_answers import outcome as nxcloud
from ozonetel_said import CREATE as OZONETEL_CREATE
from ozonetel_said import outcome as ozonetel

from numbergroup.engine.calls import AccountFault, Call, CallKind, Refused, Throttled
from numbergroup.vendors.command_words import COMMAND_WORD, mask_command_words
from numbergroup.vendors.ozonetel_answers import CODES

WORDS = [
    "slow down",
    "rate limit",
    "Too Many Requests",
    "QPS limit exceeded",
    "qps",
    "system busy",
    "频繁骚扰",
    "请求过于频繁",
    "系统繁忙",
    "Quota exceeded",
    *CODES,
]
QUOTES = [
    "group name '{}' exists",
    "Group {} already exists",
    "分组名称[{}]已存在",
    "分组{}已存在",
    "Name ({}) allows 2 to 50 characters only",
    "no such group: {}",
    "{}: not allowed",
    "group name {} exceeds the length limit",
]


def failed(text: str) -> dict[str, Any]:
    return {"status": "error", "message": text}


@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("word", WORDS)
def test_a_name_that_reads_as_a_fault_of_the_account(word: str, quote: str) -> None:
    """Whichever way the vendor quotes a name or a remark, and in any case: the command alone is refused."""
    for text in (quote.format(word), quote.format(word).upper()):
        for names in ({"group_name": word}, {"group_name": "crew", "remark": word}):
            call = replace(CREATE, **names)  # type: ignore[arg-type]
            assert isinstance(nxcloud(call, said(777, text)), Refused)
            call = replace(OZONETEL_CREATE, **names)  # type: ignore[arg-type]
            assert isinstance(ozonetel(call, failed(text)), Refused)
            wrong = {"status": "error", "message": "invalid data", "errors": {"name": text}}
            assert isinstance(ozonetel(call, wrong), Refused)


@pytest.mark.parametrize("word", WORDS)
def test_an_id_and_a_quoted_name_of_another_group(word: str) -> None:
    """A group may be addressed by its name; and one that is addressed by its id has a name, too."""
    by_name = Call(CallKind.ADD, ("85211111114",), word)
    assert isinstance(nxcloud(by_name, said(777, f"group {word} is full")), Refused)
    by_id = Call(CallKind.ADD, ("85211111114",), GROUP)
    for text in (f"group '{word}' is full", f"groupName: [{word}]", f"分组名称【{word}】不正确"):
        assert isinstance(nxcloud(by_id, said(777, text)), Refused)
        assert isinstance(ozonetel(by_id, failed(text)), Refused)


@pytest.mark.parametrize(
    "word", ["limit", "rate", "requests", "qps", "a", "Request", "请求", "group", "data", "2"]
)
def test_a_name_that_is_a_word_of_the_vendors(word: str) -> None:
    """Common words hide no rate limit, nor a fault of the account."""
    call = replace(CREATE, group_name=word)
    for text in ("rate limit exceeded", "QPS limit exceeded", "请求过于频繁", "A request is too frequent"):
        assert isinstance(nxcloud(call, said(777, text)), Throttled)
    call = replace(OZONETEL_CREATE, group_name=word)
    assert isinstance(ozonetel(call, failed("Authentication failed")), AccountFault)
    assert isinstance(ozonetel(call, failed("Too many requests")), Throttled)
    got = ozonetel(call, failed("invalid data"))
    assert isinstance(got, Refused)
    assert got.certain


def test_a_number_is_no_text_of_an_operators() -> None:
    """What an operator looks for is not found in a number of the command."""
    assert (
        mask_command_words("bad +85242911114, 8524291111400", CREATE) == f"bad {COMMAND_WORD}, {COMMAND_WORD}"
    )
    assert mask_command_words("429: 10 requests per second", CREATE) == "429: 10 requests per second"


@given(st.text(), st.none() | st.text(), st.none() | st.text(), st.none() | st.text())
def test_any_words_in_any_text(text: str, name: str | None, remark: str | None, group_id: str | None) -> None:
    """Nothing raises, and a text that has none of the words, no quotes and no long number is left alone."""
    call = Call(CallKind.ADD, ("85211111114",), group_id, group_name=name, remark=remark)
    got = mask_command_words(text, call)
    words = [word.strip().lower() for word in (name, remark, group_id) if word and word.strip()]
    if text.isascii() and text.isalpha() and not any(word in text.lower() for word in words):
        assert got == text


def test_a_long_text_is_read_in_a_moment() -> None:
    """However a megabyte is made up."""
    call = replace(CREATE, group_name="a", remark="'" * 50)
    began = time.process_time()
    for part in ("a ", "name ' ", "name", "'", "[", "1", "1 ", "组"):
        mask_command_words(part * (1_000_000 // len(part)), call)
    assert time.process_time() - began < 5.0
