"""What `resume` says will happen, from what workers reported."""

from dataclasses import replace
from typing import Any

import pytest
from test_status_report import EMPTY, NOW, REF, WELL, of, worker

from numbergroup.cli.resuming import describe_delay, throttled_until
from numbergroup.engine.commands import GroupRef
from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger.port import Pause

AT = NOW + 90
IN_WORDS = "2023-11-14T22:14:50Z"


def follows(target: str | GroupRef, **account: Any) -> str | None:
    seen = [worker("a", {"default": WELL}), worker("b", {"default": replace(WELL, **account)})]
    return describe_delay(of(replace(EMPTY, workers=seen)), target)


def test_nothing_in_the_way() -> None:
    """Then there is nothing to add."""
    assert follows("default") is None
    assert follows(REF) is None
    assert describe_delay(of(EMPTY), "default") is None


@pytest.mark.parametrize("by", ["throttle", "operator", "fault"])
def test_a_vendor_that_asked_for_fewer_calls(by: str) -> None:
    """It is said until when, also where the operator's own pause, or a fault, was in the way as well: those
    end with `resume`, and the vendor's wish does not."""
    said = follows("default", paused_by=by, throttled_until=AT)
    assert said == f"throttled by the vendor until {IN_WORDS}: tried then"
    assert follows(REF, paused_by=by, throttled_until=AT) == f"its account is {said}"


def test_what_is_over() -> None:
    """A report may be older than the end of what it says."""
    seen = [worker("a", {"default": replace(WELL, throttled_until=NOW - 1)})]
    found = of(replace(EMPTY, workers=seen))
    assert (throttled_until(found, "default"), describe_delay(found, "default")) == (None, None)


def test_an_account_that_is_in_trouble() -> None:
    """Its `resume` tries it at once; that of one of its groups does not."""
    assert follows("default", paused_by="fault", paused_until=AT) is None
    assert follows(REF, paused_by="fault", paused_until=AT) == (
        f"the vendor refuses its account until {IN_WORDS}: tried then, or when that is resumed"
    )
    assert follows("default", breaker="open", breaker_until=AT) is None
    assert follows(REF, breaker="open", breaker_until=AT) == (
        f"most calls of its account fail: the next is tried at {IN_WORDS}"
    )
    situation = of(replace(EMPTY, breakers={"default": BreakerNotice(AT, 2)}))
    assert (
        describe_delay(situation, REF) == f"most calls of its account fail: the next is tried at {IN_WORDS}"
    )


def test_a_group_of_a_paused_account() -> None:
    """The group waits on, for the account is paused, too."""
    found = of(replace(EMPTY, pauses={"default": Pause("", "me", NOW)}))
    assert "its account is paused, too" in (describe_delay(found, REF) or "")
