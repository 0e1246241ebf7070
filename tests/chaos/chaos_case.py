"""One case of a sweep: the scenario, a worker that dies or freezes on the way, another that finishes."""

import base64
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chaos_scenario import PARTITIONS, POINTS, SHARING, START, STOPPING, Scenario, Step
from chaos_servers import LaunchedWorker, Launcher, launch
from deadlines import room
from e2e_answers import Answers, letters
from e2e_checks import private_parts
from e2e_commands import lone
from e2e_rabbit import RabbitStage
from e2e_stage import SECRET, Stage
from kombu import Connection

from numbergroup_contracts import names, publish
from numbergroup_contracts.results import ResultEvent

_POLL_S = 0.04
_STEP_S = 40.0
_ALL_S = 60.0


@dataclass(frozen=True)
class Case:
    """`signal` comes at the first hit of `point` in the step or after it; without a point nothing happens."""

    broker: str
    point: str = ""
    step: str = ""
    signal: int = 0

    def __str__(self) -> str:
        if not self.point:
            return f"{self.broker}, undisturbed"
        return f"{self.broker}, {signal.Signals(self.signal).name} at: {self.point}, in: {self.step}"


class NotReached(AssertionError):
    """The worker did not come to the case's point: nothing is known about the case."""


class ListedAnswers(Answers):
    """Results in the list of kombu's consumers on Redis."""

    def __init__(self, client: Any) -> None:
        super().__init__(client, names.REPLIES)
        self._seen = 0

    def _fresh(self) -> Sequence[bytes]:
        # The newest is on the left.
        envelopes = self._client.lrange(self.queue, 0, -1)[::-1][self._seen :]
        self._seen += len(envelopes)
        return [base64.b64decode(json.loads(envelope)["body"]) for envelope in envelopes]


class Run:
    """Carries one case out; what it finds wrong it raises."""

    def __init__(self, case: Case, stage: Stage, launcher: Launcher) -> None:
        self.case = case
        self.stage = stage
        self.scenario = Scenario(case.broker)
        self.hits: dict[str, Counter[str]] = {}
        self._launcher = launcher
        self._published = 0
        self._companion: LaunchedWorker | None = None
        self._answers = [stage.answers()]
        if case.broker == "redis":
            self._answers.append(ListedAnswers(stage.redis.client))
        # It may be there before anybody has time to look.
        self._victim = launch(stage, launcher, case.point, case.signal, armed=case.step == START)

    def carry_out(self) -> None:
        self._go_through()
        if self.case.point:
            if not self._victim.fired:
                raise NotReached(f"it never came to {self.case.point!r} in {self.case.step!r} or later")
            self._eventually(lambda: self._victim.down, "the end of the victim")
        if self.case.signal == signal.SIGKILL:
            assert self._victim.ended() == -signal.SIGKILL
        self._start_companion()
        self._publish(self.scenario.steps[self._published :])
        self._check(self.scenario.steps, self.scenario.groups, _ALL_S)
        if self.case.signal == signal.SIGSTOP:
            self._thaw()
        self._eventually(self._in_one_hand, "all partitions in one hand")
        self._eventually(lambda: not self._left(), "an empty broker", pause_s=0.2)
        self._stop(self._companion)
        assert not self._left()
        self._check_nothing_is_left()

    def _go_through(self) -> None:
        """Step by step, to the end or until the victim is down."""
        for step in self.scenario.steps:
            if step.name == self.case.step:
                self._victim.arm()
            before = 0 if step.name == START else len(self._victim.hits)
            self._publish([step])
            if step.name == SHARING:
                self._start_companion()
            if step.name == STOPPING:
                self._victim.signal(signal.SIGTERM)
            done = self._sign_of(step, before)
            self._eventually(lambda done=done: self._victim.down or done(), f"{step.name!r} done", _STEP_S)
            if not self.case.point:
                self._all_reached(step, before)
            self.hits[step.name] = Counter(self._victim.hits[before:])
            if self._victim.down and (self.case.point or step.name != STOPPING):
                return
        assert self._victim.ended() == 0

    def _all_reached(self, step: Step, before: int) -> None:
        """An answer is there a moment before the worker knows it."""
        wanted = {point for point, steps in POINTS[self.case.broker].items() if step.name in steps}
        missed = set[str]()

        def reached() -> bool:
            nonlocal missed
            missed = wanted - set(self._victim.hits[before:])
            return not missed

        try:
            self._eventually(reached, "all points", 5.0)
        except AssertionError:
            raise AssertionError(f"not reached in {step.name!r}: {sorted(missed)}") from None

    def _sign_of(self, step: Step, before: int) -> Callable[[], bool]:
        """What tells that the step has been taken."""
        match step.name:
            case "start":
                return lambda: self._victim.err.count("owning the partition") == PARTITIONS
            case "sharing":
                return lambda: len(set(self._owners())) == PARTITIONS
            case "busy":
                return lambda: "about to send" in self._victim.hits[before:]
            case "stopping":
                return lambda: not self._victim.alive
            case _:
                return partial(self._answered, {event["id"] for event in step.events})

    def _owners(self) -> list[bytes]:
        leases = [f"numbergroup:{{{number}}}:lease" for number in range(PARTITIONS)]
        return [owner for owner in self.stage.redis.client.mget(leases) if owner]

    def _in_one_hand(self) -> bool:
        owners = self._owners()
        return len(owners) == PARTITIONS and len(set(owners)) == 1

    def _answered(self, wanted: set[str]) -> bool:
        for answers in self._answers:
            assert answers.count >= 0
        return wanted <= {name for answers in self._answers for name in answers.of}

    def _publish(self, steps: Sequence[Step]) -> None:
        url = self.stage.settings["BROKER_URL"]
        for step in steps:
            for events, batch in ((step.arrays, 10), (step.lone, 1)):
                if events:
                    assert publish(events, url, partitions=PARTITIONS, batch=batch) == len(events)
            if step.listed:
                with Connection(url) as connection:
                    for message in step.listed:
                        body = list(message) if len(message) > 1 else message[0]
                        connection.Producer().publish(body, routing_key=names.COMMANDS)
            # So that no log may show their numbers.
            list(self.stage.noted(lone(step.events)))
            self._published += 1

    def _start_companion(self) -> None:
        if self._companion is None:
            self._companion = launch(self.stage, self._launcher)

    def _thaw(self) -> None:
        """The frozen worker goes on where it was, behind its successor's back, and does no harm."""
        self._victim.signal(signal.SIGCONT)
        everything = [*self.scenario.steps, self.scenario.after]
        self._publish([self.scenario.after])
        self._check(everything, self.scenario.groups_after, _ALL_S)
        self._stop(self._victim)
        self._check(everything, self.scenario.groups_after)
        said = self._victim.err
        over = said.count("partition lost") + said.count("partition handed over")
        assert said.count("owning the partition") == over

    def _stop(self, worker: LaunchedWorker | None) -> None:
        assert worker is not None
        worker.signal(signal.SIGTERM)
        assert worker.ended(25.0) == 0

    def _check(self, steps: Sequence[Step], groups: dict[str, set[str]], within_s: float = 1.0) -> None:
        """Wait until every command has its answer; then all of them are right, and so are the groups."""
        wanted = {event["id"] for step in steps for event in step.events}
        self._eventually(partial(self._answered, wanted), "an answer to every command", within_s)
        of: dict[str, list[ResultEvent]] = {}
        for answers in self._answers:
            for name, results in answers.of.items():
                of.setdefault(name, []).extend(results)
        assert set(of) == wanted
        for name, results in of.items():
            if name in self.scenario.lists and self.case.broker == "amqp":
                # A list that is carried out again has found what was there then.
                assert len({result.id for result in results}) == 1
            else:
                assert len(results) == 1, f"{name} was answered {len(results)} times"
        rejected = {
            name for name, (one, *_) in of.items() if one.data.status not in ("applied", "superseded")
        }
        assert rejected == {self.scenario.rejected}
        assert len({results[0].id for results in of.values()}) == len(of)
        assert self.stage.vendor.groups() == groups
        known = {call["requestId"] for call in self.stage.vendor.calls()}
        for results in of.values():
            assert set(results[0].data.requestIds) <= known
            assert results[0].data.requestIds or results[0].data.status == "rejected"

    def _check_nothing_is_left(self) -> None:
        redis, partitions = self.stage.redis.client, range(PARTITIONS)
        assert [json.loads(body)["id"] for _, body in letters(redis)] == [self.scenario.rejected]
        assert not redis.exists("numbergroup:{1}:dead-letters")
        marks = [redis.hlen(f"numbergroup:{{{number}}}:partial") for number in partitions]
        assert (marks, redis.hlen("numbergroup:creates")) == ([0, 0], 0)
        # What is in doubt is remembered for as long as its signature lasts.
        self._eventually(lambda: not redis.keys("numbergroup:*:calls"), "no call in doubt")
        assert not redis.keys(f"{names.COMMANDS}*")
        assert self._owners() == []
        assert private_parts(self.stage.output(), self.stage.numbers, [SECRET]) == []

    def _left(self) -> int:
        """How many messages are not settled, in whosever hands they are."""
        stage = self.stage
        if not isinstance(stage, RabbitStage):
            return sum(stage.redis.client.xlen(names.command_stream(number)) for number in range(PARTITIONS))
        queues = [names.command_queue(number, PARTITIONS) for number in range(PARTITIONS)]
        return sum(stage.rabbit.messages(stage.vhost, queue) for queue in (*queues, "numbergroup.dead"))

    def _eventually(
        self, condition: Callable[[], bool], what: str, within_s: float = 30.0, pause_s: float = _POLL_S
    ) -> None:
        """As `e2e_processes.eventually`, less often: many cases wait at the same time."""
        until = time.monotonic() + room(within_s)
        while not condition():
            assert time.monotonic() < until, f"not within {room(within_s):g} s: {what}"
            time.sleep(pause_s)
