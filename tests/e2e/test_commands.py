"""Every type of command, and the attributes that its answer carries on."""

import json
from typing import Any

import pytest
from e2e_answers import letters
from e2e_brokers import on_both_brokers
from e2e_processes import eventually
from e2e_stage import Stage

from numbergroup_contracts.results import ResultData

pytestmark = [pytest.mark.redis_server, on_both_brokers]

ONE, TWO, THREE = "85212345671", "85212345672", "85212345673"


class Asking:
    """Publishes one command after the other, each when the one before it was answered."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._answers = stage.answers()
        self._serial = 0

    def __call__(self, kind: str, data: dict[str, Any], **attributes: str) -> ResultData:
        self._serial += 1
        name = f"c-{self._serial}"
        event = {"specversion": "1.0", "id": name, "source": "e2e", "type": f"numbergroup.{kind}.v1"}
        self._stage.publish([json.dumps(event | {"data": data} | attributes).encode()])
        eventually(lambda: self._answers.count == self._serial, f"the answer to {kind}", 10.0)
        return self._answers.one(name).data


def test_every_type_of_command(stage: Stage) -> None:
    """Create, update, list and delete, by groupKey and by groupId, in the life of some groups."""
    stage.worker()
    ask = Asking(stage)
    keyed = ask("create", {"phones": [ONE, TWO], "groupKey": "k", "groupName": "keyed", "remark": "mine"})
    keyless = ask("create", {"phones": f"{THREE},{THREE}"})
    assert (keyed.status, keyed.groupKey, len(keyed.requestIds)) == ("applied", "k", 1)
    assert (keyless.status, keyless.groupKey) == ("applied", None)
    assert ask("create", {"phones": [ONE], "groupKey": "k"}).status == "rejected"

    listed = ask("list", {"limit": 10, "offset": 0})
    assert (listed.status, listed.total) == ("applied", 2)
    assert listed.groups is not None
    assert {group.groupId: group.phones for group in listed.groups} == {
        keyed.groupId: [ONE, TWO],
        keyless.groupId: [THREE],
    }
    assert listed.groups[0].remark == "mine"

    assert ask("update", {"groupKey": "k", "operateType": 1, "phones": [ONE]}).groupId == keyed.groupId
    assert ask("update", {"groupId": keyless.groupId, "operateType": 2, "phones": []}).status == "applied"
    assert stage.vendor.groups() == {"keyed": {TWO}, keyless.groupId: set()}

    assert ask("delete", {"groupKey": "k"}).status == "applied"
    late = ask("update", {"groupKey": "k", "operateType": "add", "phones": [ONE]})
    assert late.status == "rejected"
    assert late.error is not None
    assert late.error.kind == "unknown-group"
    anew = ask("create", {"phones": [THREE], "groupKey": "k", "groupName": "anew"})
    assert anew.groupId not in (None, keyed.groupId)
    assert ask("delete", {"groupId": keyless.groupId}).status == "applied"
    assert stage.vendor.groups() == {"anew": {THREE}}
    assert len(letters(stage.redis.client)) == 2


def test_what_comes_back(stage: Stage) -> None:
    """`correlationid` and `traceparent` return on the result; `replyto` says to which queue it goes, if the
    settings allow that; `account` and `subject` say who called, and for which group."""
    attributes = {"correlationid": "my-7", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
    event = {"specversion": "1.0", "source": "e2e", "type": "numbergroup.update.v1"} | attributes
    billing = stage.answers("billing")
    queues = {"c-1": None, "c-2": billing.queue, "c-3": "celery"}
    for (name, queue), phone in zip(queues.items(), (ONE, TWO, THREE), strict=True):
        data = {"groupId": "g", "operateType": "add", "phones": [phone]}
        stage.publish([json.dumps(event | {"id": name, "replyto": queue, "data": data}).encode()])
    stage.worker()
    eventually(lambda: not stage.backlog(), "an empty queue")

    default = stage.answers()
    eventually(lambda: (default.count, billing.count) == (2, 1), "three results")
    assert set(default.statuses()) == {"c-1", "c-3"}
    assert set(billing.statuses()) == {"c-2"}
    assert not stage.redis.client.exists("celery")
    for result in (default.one("c-1"), billing.one("c-2"), default.one("c-3")):
        assert {"correlationid": result.correlationid, "traceparent": result.traceparent} == attributes
        assert (result.subject, result.data.account, result.data.mergedCommands) == ("g", "default", 3)
        assert result.data.status == "applied"
