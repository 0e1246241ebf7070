"""Messages that workers died of: refused without being decoded, and answered where that can be done."""

from typing import Any

import orjson
import pytest
from intake_cases import event

from numbergroup.engine.commands import Entry
from numbergroup.engine.decoding import intake, lenient_decode
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.verdicts import CRASHED, Refusal
from numbergroup_contracts.results import Status


@pytest.fixture(autouse=True)
def _no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract's parser is what may have killed."""

    def kill(_body: bytes) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(intake, "parse_event", kill)
    monkeypatch.setattr(lenient_decode, "parse_event", kill)
    monkeypatch.setattr(intake, "parse_events", kill)


def refused(body: bytes, *, unread: bool = False) -> list[Refusal]:
    entry = Entry(0, "1-1", body, problem="workers died", problem_kind=CRASHED, ignore_body=unread)
    items = Intake().read(entry)
    assert entry.total == len(items)
    found = [item for item in items if isinstance(item, Refusal)]
    assert len(found) == len(items)
    assert {(one.kind, one.status, one.message) for one in found} == {
        (CRASHED, Status.FAILED, "workers died")
    }
    return found


def test_a_lone_one_is_answered() -> None:
    """It failed, and was not refused: whoever sent it did nothing wrong, as far as is known."""
    body = orjson.dumps(event())
    (one,) = refused(body)
    assert (one.key, one.body) == (("crm", "c-1"), body)


@pytest.mark.parametrize(
    ("kind", "data", "group"),
    [
        ("update", {"groupId": "g-1", "operateType": "add", "phones": ["85211111111"]}, ("id", "g-1")),
        ("update", {"phones": [], "operateType": "replace", "groupKey": "vip"}, ("key", "vip")),
        ("create", {"phones": ["85211111111"], "groupKey": "vip"}, ("key", "vip")),
        ("delete", {"groupId": "g-1"}, ("id", "g-1")),
        ("create", {"phones": ["85211111111"]}, None),
        ("list", {}, None),
        ("update", {"groupId": 7}, None),
        ("update", [{"groupId": "g-1"}], None),
    ],
)
def test_its_group_is_known(kind: str, data: Any, group: tuple[str, str] | None) -> None:
    """So that its letter has a place in the group's order, and a replay undoes nothing that came later."""
    said = {**event(), "type": f"numbergroup.{kind}.v1", "data": data, "account": "other"}
    (one,) = refused(orjson.dumps(said))
    assert one.group == (group and ("other", *group))


def test_every_event_of_an_array_is_answered() -> None:
    """And the message is kept as a whole, once."""
    events = [orjson.dumps(event("c-1")), orjson.dumps(event("c-2"))]
    body = b"[" + b",".join(events) + b"]"
    found = refused(body)
    assert [one.key and one.key.id for one in found] == ["c-1", "c-2", None]
    assert [one.body for one in found] == [*events, body]


@pytest.mark.parametrize(
    "body", [b'{"id": "c-1", "source": "crm"}', b'[{"id": "c-1", "source": "crm"}]', b""]
)
def test_one_that_must_not_be_looked_at(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is answered; the bytes are kept."""
    for name in ("string_members", "split_array"):
        original = getattr(lenient_decode, name)

        def nothing_only(seen: bytes, original: Any = original) -> Any:
            assert seen == b"", "looked at"
            return original(seen)

        monkeypatch.setattr(lenient_decode, name, nothing_only)
    (one,) = refused(body, unread=True)
    assert (one.key, one.body) == (None, body)
