"""Answers that are larger than a broker's messages may be."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.fitting import TOO_LARGE, add_error, fit_replies
from numbergroup.engine.settling.settlement import Reply
from numbergroup.engine.verdicts import Fault
from numbergroup_contracts.results import RESULT_ADAPTER, ResultEvent

LIST = "numbergroup.list.v1"


def command(name: str) -> dict[str, Any]:
    return {"specversion": "1.0", "id": name, "source": "crm", "type": LIST, "data": {}}


def result(name: str, status: str = "applied", **data: Any) -> bytes:
    answered = {"id": name, "source": "crm", "type": LIST}
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"result-{name}",
            "source": "numbergroup",
            "type": "numbergroup.result.v1",
            "time": "2026-11-21T03:04:05.678Z",
            "data": {"command": answered, "status": status, "account": "default", **data},
        }
    )


def listed(name: str, groups: int) -> bytes:
    some = [
        {"groupId": f"g-{n}", "groupName": "", "remark": "", "phones": ["85211111114"] * 20}
        for n in range(groups)
    ]
    return result(name, groups=some, total=groups)


def events(replies: Sequence[Reply]) -> list[ResultEvent]:
    found: list[ResultEvent] = []
    for reply in replies:
        body = RESULT_ADAPTER.validate_json(reply.body)
        found += body if isinstance(body, list) else [body]
    return found


def test_what_fits_is_left_alone() -> None:
    """To the byte, and up to the last byte that there is room for."""
    body = listed("c-1", 3)
    replies = [Reply(None, body), Reply("crm", b"[%b]" % body, "77")]
    assert fit_replies(replies, len(body) + 2) == (replies, [], [])


def test_a_list_that_is_too_large() -> None:
    """It has failed, with a limit that would do, and a dead letter of the command as it came."""
    body = orjson.dumps(command("c-1"))
    reply = Reply("crm", listed("c-1", 100), "77", entry=Entry(0, "tag", body))
    most = len(reply.body) // 2
    (answer,), (letter,), dropped = fit_replies([reply], most)
    assert (answer.queue, answer.correlation_id, dropped) == ("crm", "77", [])
    (said,) = events([answer])
    assert said.data.status == "failed"
    assert said.id != "result-c-1"
    assert said.data.groups is None
    assert said.data.error is not None
    assert said.data.error.kind == TOO_LARGE
    assert said.data.error.message.endswith("with a limit of 44")
    assert len(listed("c-1", 44)) <= most
    assert (said.data.deadLetterId, letter.body) == (letter.id, body)
    assert orjson.loads(letter.description)["command"] == {"id": "c-1", "source": "crm", "type": LIST}
    again = fit_replies([reply], most)
    assert (again.replies, again.dead_letters) == ([answer], [letter])


def test_a_group_that_is_too_large_alone() -> None:
    """No limit would help: none is named."""
    (answer,), _, _ = fit_replies([Reply(None, listed("c-1", 1))], 500)
    (said,) = events([answer])
    assert said.data.error is not None
    assert "limit" not in said.data.error.message


def test_what_the_vendor_has_done_is_said_truly() -> None:
    """A command that was carried out keeps its status, however long the list of what the vendor left out."""
    body = result("c-1", "partial", rejectedNumbers=["85211111114"] * 500, requestIds=["1"])
    (answer,), letters, _ = fit_replies([Reply(None, body)], 1_000)
    (said,) = events([answer])
    assert (said.id, said.data.status, said.data.rejectedNumbers) == ("result-c-1", "partial", None)
    assert said.data.error is not None
    assert said.data.error.kind == TOO_LARGE
    assert letters == []


def test_what_nothing_helps_against() -> None:
    """A broker that takes next to nothing gets nothing: the command is named, and the others go on."""
    small = Reply(None, b"{}")
    assert fit_replies([Reply(None, result("c-1")), small], 100) == ([small], [], ["c-1"])


@pytest.mark.parametrize("array", [False, True])
def test_a_fault_beside_the_status(array: bool) -> None:
    """An error that is there already is not written over."""
    body = result("c-1", "failed", error={"kind": "crashed", "code": None, "message": "m"})
    said = add_error(
        b"[%b,%b]" % (result("c-2"), body) if array else body, Fault("reply-queue", None, "gone")
    )
    errors = [one.data.error.kind for one in events([Reply(None, said)]) if one.data.error]
    assert errors == (["reply-queue", "crashed"] if array else ["crashed"])


@given(
    st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=8), max_size=5),
    st.integers(900, 4_000),
)
def test_every_command_is_answered_once(sizes: list[list[int]], most: int) -> None:
    """In order, in no message that is larger than what is taken, alone or in an array as it came."""
    replies, names = [], []
    for number, groups in enumerate(sizes):
        some = [f"c-{number}-{at}" for at in range(len(groups))]
        bodies = [listed(name, count) for name, count in zip(some, groups, strict=True)]
        entry = Entry(0, f"{number}", orjson.dumps([command(name) for name in some]), is_array=True)
        replies.append(Reply(None, b"[%b]" % b",".join(bodies), entry=entry))
        names += some
    fitted = fit_replies(replies, most)
    assert all(len(reply.body) <= most and reply.body[:1] == b"[" for reply in fitted.replies)
    found = events(fitted.replies)
    assert [one.data.command.id for one in found] == names
    failed = [one.data.command.id for one in found if one.data.status == "failed"]
    assert [orjson.loads(letter.body)["id"] for letter in fitted.dead_letters] == failed
    assert fitted.dropped == []
