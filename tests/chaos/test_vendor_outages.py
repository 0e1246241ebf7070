"""The vendor is away for long, says odd things about when to come back, or is somebody else for a while."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from chaos_work import NAMES, Between, Work
from e2e_answers import letters
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script, arrays, lone
from e2e_processes import eventually
from e2e_stage import SECRET, Stage
from fault_proxy import BOTH, End, FaultProxy, Way
from vendor_impostor import Impostor

pytestmark = pytest.mark.redis_server

BASE_URL = "ACCOUNTS__DEFAULT__BASE_URL"
UPDATE = b"action: updateGroup\r\n"
STUCK = "stuck"
ROUNDS = 4


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    return head(status, f"Content-Length: {len(body)}", *headers) + body


SUCCESS = b'{"code":0,"msg":"success","requestId":"1602248485121429504"}'
SAYS: dict[str, bytes] = {
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
    "zeros": b"\0" * 1_000,
    "a head without end": head("200 OK")[:-2] + b"X: " + b"x" * 1_000_000,
    "a body without end": head("200 OK", "Transfer-Encoding: chunked") + b"FFFF\r\n" + b" " * 3_000_000,
    "2 MB": answer(b" " * 2_000_000),
    "a chunk of a negative length": head("200 OK", "Transfer-Encoding: chunked")
    + b"-5\r\nabcde\r\n0\r\n\r\n",
    "another protocol": head("101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"),
    "no content": head("204 No Content"),
    "the secret": answer(
        b'{"code":10009,"msg":"' + SECRET.encode() + b' is not the secret for 85211111114"}'
    ),
    "a success for somebody": answer(b'{"code":0,"data":', "500 Oops"),
    "5,000 digits": answer(b'{"code":' + b"9" * 5_000 + b"}"),
    "100,000 arrays": answer(b'{"code":' + b"[" * 100_000),
    "half of UTF-16": answer(SUCCESS.decode().encode("utf-16")[:-5]),
    "a success and a notice": answer(b"<br />Notice: x in y.php" + SUCCESS),
}


def in_hand(stage: Stage) -> int:
    """How many commands the worker has in memory, as it says itself every two seconds."""
    (report,) = [stage.redis.client.get(key) for key in stage.redis.client.keys("numbergroup:report:*")]
    return int(json.loads(report)["snapshot"]["partitions"].get("0", {"in_hand": 0})["in_hand"])


def test_unavailable_for_long(stage: Stage) -> None:
    """503 after 503: nothing is dead-lettered, calls grow fewer, what comes meanwhile is merged, and all goes
    through when the vendor is back."""
    work = Work(stage)
    worker = stage.worker(BREAKER_MAX_OPEN_S="0.5")
    work.create()
    stage.vendor.fault("status", status=503)
    work.publish(300)
    eventually(lambda: stage.vendor.fired("status") >= 20, "many refusals")
    work.publish(300)
    more = stage.vendor.fired("status") + 4
    eventually(lambda: stage.vendor.fired("status") >= more, "more refusals")
    eventually(lambda: in_hand(stage) == 600, "all of it in memory")
    taken = work.answers.count
    stage.vendor.heal()
    before = stage.vendor.count()
    work.settled()
    assert taken == 2
    # One `replace`, or a `delete` and an `add`, for each group.
    assert stage.vendor.count() - before <= 2 * 14
    assert letters(stage.redis.client) == []
    work.heals(worker)


def test_unavailable_for_too_long(stage: Stage) -> None:
    """After `GIVE_UP_AFTER_S` each command is answered `failed`, once, and dead-lettered in order; the groups
    are as they were, and the next command goes through."""
    work = Work(stage)
    worker = stage.worker({"GIVE_UP_AFTER_S": "0.5"}, BREAKER_MAX_OPEN_S="0.1")
    script = Script(seed=2)
    stage.vendor.fault("status", status=503)
    events = script.some_updates(40, NAMES)
    stage.publish(lone(events))
    eventually(lambda: not stage.backlog(), "an empty queue")
    answers = stage.answers()
    assert answers.statuses() == {event["id"]: "failed" for event in events}
    kept = [body for _, body in letters(stage.redis.client)]
    for name in NAMES:
        own = [body for body in lone(events) if name.encode() in body]
        assert [body for body in kept if body in own] == own
    assert len(kept) == len(events)
    assert stage.vendor.groups() == {}
    stage.vendor.heal()
    again = Script(seed=3)
    again.some_updates(20, NAMES)
    for event in again.events:
        event["source"], event["id"] = "again", f"again-{event['id']}"
    stage.publish(lone(again.events))
    eventually(lambda: answers.count == len(events) + 20, "further answers")
    assert stage.vendor.groups() == again.groups
    assert worker.alive
    assert work.script.events == []


def test_an_odd_retry_after(stage: Stage) -> None:
    """What is no time to come is no reason to wait for long."""
    work = Work(stage)
    worker = stage.worker(MAX_IN_FLIGHT="1")
    odd = ["-5", "-1e999", "0", "Sat, 21 Nov 2026 25:61:00 GMT", "", "nan", "Fri, 21 Nov 1969 12:00:00 GMT"]
    for number, said in enumerate(odd, start=1):
        stage.vendor.fault("throttle", retry_after=said, times=1)
        work.publish(10)
        work.settled(within_s=5.0)
        assert stage.vendor.fired("throttle") == number
    assert "unexpected error" not in worker.err


def test_a_huge_retry_after(stage: Stage) -> None:
    """No call goes out for as long as the vendor says (an hour at most: that is tested of the engine); a
    worker that waits ends at once when it is told to, and the next one begins anew."""
    work = Work(stage)
    stage.vendor.fault("throttle", retry_after="9" * 30, times=1)
    work.publish()
    worker = stage.worker(MAX_IN_FLIGHT="1")
    worker.says("call throttled")
    work.publish()
    assert worker.stop(within_s=5.0) == 0
    assert stage.vendor.count() == 1
    assert work.answers.count == 0
    stage.worker()
    work.settled()


def test_redirected_to_another_host(stage: Stage) -> None:
    """The other host hears nothing, neither signature nor numbers, and the account pauses, loudly."""
    work = Work(stage)
    with Impostor(answer(SUCCESS)) as other, Impostor(b"") as vendor:
        vendor.says = head("307 Temporary Redirect", f"Location: {other.url}", "Content-Length: 0")
        work.publish()
        worker = stage.worker(BASE_URL=vendor.url)
        worker.says("the account is paused")
        assert worker.stop() == 0
        assert (vendor.heard > 0, other.heard) == (True, 0)
    assert work.answers.count == 0
    stage.worker()
    work.settled()


def test_somebody_else_answers(stage: Stage, between: Between) -> None:
    """Whatever comes from the vendor's address: it is no success, the worker goes on, and when the vendor is
    back all is applied."""
    script, answers = Script(), stage.answers()
    vendor = urlsplit(stage.settings[BASE_URL]).port
    assert vendor
    proxy = between(stage, BASE_URL)
    worker = stage.worker(RETRY_ATTEMPTS="1", TIMEOUT_S="0.5", CONNECT_TIMEOUT_S="0.5")
    for number, said in enumerate(SAYS.values()):
        with Impostor(said) as impostor:
            proxy.lead_to(urlsplit(impostor.url).port or 0)
            publish_once(stage, script, number)
            eventually(lambda impostor=impostor: impostor.heard >= 2, f"calls, answered with {said[:40]!r}")
            assert answers.count == number * 9
            proxy.lead_to(vendor)
        all_settled(stage, script, answers)
    assert letters(stage.redis.client) == []
    assert worker.alive


FAULTS: dict[str, Any] = {
    "half a request": lambda proxy: proxy.cut(Way.THERE, 40, UPDATE, End.RST),
    "half a request, closed": lambda proxy: proxy.cut(Way.THERE, 200, UPDATE, End.FIN),
    "no answer": lambda proxy: proxy.cut(Way.BACK, 0, UPDATE, End.RST),
    "an answer's first byte": lambda proxy: proxy.cut(Way.BACK, 1, UPDATE, End.FIN),
    "half an answer": lambda proxy: proxy.cut(Way.BACK, 150, UPDATE, End.RST),
    "refused": FaultProxy.refuse,
    "deaf": lambda proxy: proxy.drop(Way.THERE),
    "dumb": lambda proxy: proxy.drop(Way.BACK),
    "stalled": lambda proxy: proxy.stall(*BOTH),
    "at a crawl": lambda proxy: proxy.slow(100),
}


def test_a_network_that_fails(stage: Stage, between: Between) -> None:
    """Requests that arrive by half, answers that do not arrive: each command is applied once, in order."""
    script, answers = Script(), stage.answers()
    proxy = between(stage, BASE_URL)
    worker = stage.worker(RETRY_ATTEMPTS="1", TIMEOUT_S="0.5", CONNECT_TIMEOUT_S="0.5")
    for number, name in enumerate(FAULTS):
        before = proxy.fired.total()
        proxy.hang_up()
        hung_up = proxy.fired.total() - before
        FAULTS[name](proxy)
        publish_once(stage, script, number)
        eventually(lambda before=before + hung_up: proxy.fired.total() > before, f"the fault: {name}")
        if name in ("deaf", "dumb", "stalled", "at a crawl", "refused"):
            failed = worker.err.count("call unavailable")
            eventually(lambda failed=failed: worker.err.count("call unavailable") > failed, "calls that fail")
        proxy.heal()
        all_settled(stage, script, answers)
    assert letters(stage.redis.client) == []
    assert worker.alive


def publish_once(stage: Stage, script: Script, number: int) -> None:
    """Changes of groups that no other fault's are about, in one message, none of which undoes another: what
    conflicts with an unanswered call would rightly wait until the call's signature has expired."""
    events = []
    for name in (f"{name}-{number}" for name in NAMES[:3]):
        pool = script.pool(name)
        events += [script.update(name, "add", pool[:4]), script.update(name, "delete", pool[3:6])]
        events += [script.update(name, "add", pool[8:9])]
    stage.publish(arrays(events, 1_000))


@on_both_brokers
def test_a_stuck_group(stage: Stage) -> None:
    """One group's calls fail, and commands for it come without end: the others' are answered meanwhile, and
    its own when it is free. (Below `MAX_PENDING`: what waits beyond it is not read.)"""
    work = Work(stage)
    worker = stage.worker()
    work.create()
    stage.vendor.fault("status", status=503, groupId=STUCK)
    for _ in range(ROUNDS):
        done = len(work.answers.of)
        stage.publish(lone(work.script.some_updates(100, [STUCK])))
        work.publish(20)
        eventually(lambda done=done: work.answers.count >= done + 20, "the others' answers", 5.0)
    assert work.answers.count == 2 + ROUNDS * 20
    assert stage.backlog() >= ROUNDS * 100
    assert STUCK not in stage.vendor.groups()
    eventually(lambda: stage.vendor.fired("status") >= 3, "the stuck group's calls, again and again")
    stage.vendor.heal()
    work.heals(worker)
