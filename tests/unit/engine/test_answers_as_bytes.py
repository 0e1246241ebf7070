"""Answers as bytes: what is put together from parts says what a result encoded as a whole would say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.calls import Group
from numbergroup.engine.commands import Command, CommandKey, CommandKind, Entry, GroupRef, HandleKind, Origin
from numbergroup.engine.settling.results import Answers
from numbergroup.engine.verdicts import Fault, Record, Refusal, Verdict
from numbergroup_contracts.results import RESULT_ADAPTER, ResultEvent, Status

# Whatever may stand in an identifier, and would break JSON that is put together carelessly.
NAMES = st.text(st.sampled_from('a"\\%{}\u00e9\u5ba2\U0001f388,b '), min_size=1, max_size=6)
MAYBE = st.none() | NAMES
REFS = st.builds(GroupRef, NAMES, st.sampled_from(HandleKind), NAMES)
FAULTS = st.none() | st.builds(Fault, NAMES, MAYBE, NAMES)
TIMES = st.sampled_from([1_800_000_000.123, 1_800_000_000.0])


def command(key: CommandKey, ref: GroupRef, origin: Origin) -> Command:
    return Command(key, "numbergroup.update.v1", CommandKind.ADD, ref, (), "f1", [origin])


def parsed(body: bytes) -> ResultEvent:
    """As a consumer reads it: a name that stands twice would be no mistake to a parser."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), "a member stands twice"
        return dict(pairs)

    json.loads(body, object_pairs_hook=once)
    event = RESULT_ADAPTER.validate_json(body)
    assert isinstance(event, ResultEvent)
    return event


@st.composite
def settled(draw: st.DrawFn) -> tuple[Verdict, Record, Origin]:
    origin = Origin(Entry(0, "1-0", b"{}"), 0, None, draw(MAYBE), draw(MAYBE))
    ref, fault = draw(REFS), draw(FAULTS)
    key = CommandKey(draw(NAMES), draw(NAMES))
    ids = tuple(draw(st.lists(NAMES, max_size=3)))
    record = Record(
        "f1",
        draw(st.sampled_from(Status)),
        draw(MAYBE),
        ids,
        draw(st.integers(0, 3)),
        fault,
        draw(MAYBE) if fault else None,
        draw(TIMES),
        rejected=tuple(draw(st.lists(NAMES, max_size=2))),
        vendor=draw(st.sampled_from([None, b'{"new":1}', b'{"deleted":2,"reasons":{"85211111114":"why"}}'])),
    )
    groups = (
        (Group("g-1", draw(NAMES), draw(NAMES), ("85211111114",), draw(MAYBE)),)
        if draw(st.booleans())
        else None
    )
    verdict = Verdict(command(key, ref, origin), record.status, groups=groups, total=groups and 7)
    return verdict, record, origin


@given(st.lists(settled(), min_size=1, max_size=6))
def test_each_says_what_is_its_own(those: list[tuple[Verdict, Record, Origin]]) -> None:
    """However much those of one unit have in common."""
    answers = Answers(())
    for verdict, record, origin in [*those, *those]:
        queue, body = answers.render(answers.build(verdict, record), origin)
        event, ref, key = parsed(body), verdict.command.group, verdict.command.key
        data, fault = event.data, record.fault
        assert queue is None
        assert (data.command.id, data.command.source) == (key.id, key.source)
        assert (event.correlationid, event.traceparent) == (origin.correlation_id, origin.traceparent)
        assert (event.subject, data.groupId) == (record.group_id, record.group_id)
        assert event.time is not None
        assert event.time.timestamp() == pytest.approx(record.settled_at, abs=0.0005)
        assert (data.status, data.account, data.mergedCommands) == (record.status, ref.account, record.merged)
        assert data.groupKey == (ref.name if ref.kind is HandleKind.KEY else None)
        assert data.requestIds == [*record.request_ids]
        assert data.rejectedNumbers == ([*record.rejected] or None)
        said = data.vendor and data.vendor.model_dump_json(exclude_none=True).encode()
        assert said == record.vendor
        assert (data.error and (data.error.kind, data.error.code, data.error.message)) == (
            fault and (fault.kind, fault.code, fault.message)
        )
        assert data.deadLetterId == record.dead_letter_id
        assert (data.groups is None, data.total) == (verdict.groups is None, verdict.total)
        # A list is not remembered, and so has an id of its own each time.
        assert (event.id == key.digest()) is (data.groups is None)
        customers = [one.customer_id for one in verdict.groups or ()]
        assert [one.customerId for one in data.groups or ()] == customers


@given(st.builds(CommandKey, NAMES, NAMES), MAYBE, NAMES)
def test_a_refusal_says_why(key: CommandKey, kind: str | None, why: str) -> None:
    """Also to a queue that is not allowed: there its own reason counts, and not the queue."""
    refusal = Refusal(Origin(Entry(0, "1-0", b"{}"), 0, "elsewhere"), why, b"{}", key, kind)
    answers = Answers(("ours-*",))
    queue, body = answers.render(answers.build_for_refusal(refusal, key, 1.8e9, "letter"), refusal.origin)
    data = parsed(body).data
    assert queue is None
    assert (data.command.id, data.command.type, data.deadLetterId) == (key.id, kind, "letter")
    assert data.error is not None
    assert data.error.message == why
