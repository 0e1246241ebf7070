"""Calls in doubt: what may be sent while an unanswered request may still arrive."""

from itertools import chain, combinations, product

import pytest
from model_vendor import changed

from numbergroup.engine.calls import Call, CallKind
from numbergroup.engine.doubt import undoes

CHANGING = (CallKind.ADD, CallKind.DELETE, CallKind.REPLACE)
NUMBERS = "abc"
EXPIRIES = (None, 5.0)
SUBSETS = list(chain.from_iterable(combinations(NUMBERS, n) for n in range(4)))
GROUPS = [dict.fromkeys(numbers, expiry) for numbers in SUBSETS for expiry in EXPIRIES]
CALLS = [
    Call(kind, numbers, "g-1", expires_at=expiry)
    for kind in CHANGING
    for numbers in SUBSETS
    if numbers
    for expiry in EXPIRIES
    if kind is not CallKind.DELETE or expiry is None
]


def spoils(late: Call, call: Call) -> bool:
    """Whether `late`, which belongs before `call`, can spoil the group by taking effect after it.

    It may have taken effect in time as well (a request that was tried twice), or not: both histories
    must end as if it had come in time and once, whatever the group was before.
    """
    for members in GROUPS:
        in_time = changed(changed(members, late), call)
        if changed(in_time, late) != in_time or changed(changed(members, call), late) != in_time:
            return True
    return False


@pytest.mark.parametrize("kinds", list(product(CHANGING, CHANGING)), ids=lambda k: f"{k[0]}-then-{k[1]}")
def test_a_call_waits_exactly_when_a_late_one_could_spoil_it(kinds: tuple[CallKind, CallKind]) -> None:
    """For all pairs of calls on three numbers, which may leave by themselves, and all memberships: the
    answer is never a wrong no, and no call waits without need."""
    for late, call in product(CALLS, CALLS):
        if (late.kind, call.kind) == kinds:
            assert undoes(late, call) == spoils(late, call), f"{late} then {call}"


def test_the_same_call_may_be_sent_again_at_once() -> None:
    """An update is idempotent: what was not answered is resent as it is, without waiting."""
    for late in CALLS:
        assert not undoes(late, late)


def test_members_are_not_read_while_a_change_may_still_arrive() -> None:
    """What is read now would no longer be so after the late arrival, and the deletes planned from it
    would miss numbers."""
    for late in CALLS:
        assert undoes(late, Call(CallKind.READ_MEMBERS, group_id="g-1"))


@pytest.mark.parametrize("kind", [*CHANGING, CallKind.READ_MEMBERS])
def test_nothing_follows_a_deletion_that_may_still_arrive(kind: CallKind) -> None:
    """A late deletion of the group would take everything with it that was done after it."""
    assert undoes(Call(CallKind.DELETE_GROUP, group_id="g-1"), Call(kind, ("a",), "g-1"))


@pytest.mark.parametrize("late", [one for one in CALLS if len(one.numbers) == 1])
def test_a_group_is_not_deleted_while_a_change_may_still_arrive(late: Call) -> None:
    """The vendor does not say what an update of an unknown group does: it may make it again."""
    assert undoes(late, Call(CallKind.DELETE_GROUP, group_id="g-1"))


def test_a_deletion_may_be_sent_again_at_once() -> None:
    """Deleting the group a second time does nothing that the first did not."""
    again = Call(CallKind.DELETE_GROUP, group_id="g-1")
    assert not undoes(again, again)


@pytest.mark.parametrize("call", [Call(CallKind.CREATE, ("a", "b", "c")), Call(CallKind.ADD, ("a",), "g-2")])
def test_another_group_does_not_wait(call: Call) -> None:
    """A key's next group is another one at the vendor: requests for the deleted one cannot reach it."""
    for late in CALLS:
        assert not undoes(late, call)
