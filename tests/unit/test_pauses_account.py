"""Outcomes of one call that hold back the other calls of its account."""

import pytest

from numbergroup.engine.calls import AccountFault, Applied, Outcome, Refused, Throttled, Unavailable, Withheld
from numbergroup.vendors.attempt import pauses_account


@pytest.mark.parametrize(
    "outcome",
    [
        Throttled(None, "http-429", "slow down"),
        AccountFault("1003", "invalid signature"),
        Unavailable("bad gateway", True, "http-502", retry_after_s=1.0, whole_service=True),
    ],
)
def test_other_calls_wait(outcome: Outcome) -> None:
    """The vendor asked to wait, or refuses the account."""
    assert pauses_account(outcome)


@pytest.mark.parametrize(
    "outcome",
    [
        Applied("r1"),
        Refused("1002", "parameter error"),
        Withheld(),
        Unavailable("no answer", True),
        Unavailable("conflict", True, "777", retry_after_s=1.0),
        Unavailable("bad gateway", True, "http-502", retry_after_s=0.0, whole_service=True),
    ],
)
def test_other_calls_go_on(outcome: Outcome) -> None:
    """The outcome concerns one group, or names no time to wait."""
    assert not pauses_account(outcome)
