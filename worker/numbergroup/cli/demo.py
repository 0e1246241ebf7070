"""`numbergroup demo`: a whole system in one process. Everything is real except the vendor."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import SecretStr
from redis.asyncio import Redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from numbergroup.bootstrap import open_worker
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import connect
from numbergroup.cli.demo_report import Report, print_report
from numbergroup.cli.demo_script import Script, write_script
from numbergroup.cli.output import make_console, pluralize
from numbergroup.ledger import keys
from numbergroup.observability import logging
from numbergroup.sandbox.faults import Fault, Latency, RefuseNumbers, Status, Throttle
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import Sandbox, start
from numbergroup.settings import NXCloudAccount, Settings

_KEY, _SECRET = "sandbox-key", "sandbox-secret"
_CALLS_PER_SECOND = 50
_PUBLISHING_S = 3.0
_TIMEOUT_S = 120.0


@dataclass(slots=True)
class AnswerLog:
    """The answers so far. `latencies` are in seconds; `repeats` counts second answers to a command."""

    sent_at: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    answered: set[str] = field(default_factory=set)

    def record(self, result: dict[str, Any], now: float) -> None:
        """Record a result that was read at `now`."""
        command_id = result["data"]["command"]["id"]
        if command_id in self.answered:
            self.repeats += 1
            return
        self.answered.add(command_id)
        self.statuses[result["data"]["status"]] += 1
        self.latencies.append(now - self.sent_at[command_id])


def run(commands: int, groups: int, seed: int, *, with_faults: bool) -> int:
    """Run the demo and print its report.

    Returns the exit code: 0 when every command has one answer and all groups have the right numbers.
    """
    logging.configure(None, "error")
    console = make_console()
    broker = embedded.start()
    script = write_script(commands, groups, seed)
    try:
        return asyncio.run(_demo(console, broker.url, script, with_faults=with_faults))
    finally:
        broker.stop()


async def _demo(console: Console, url: str, script: Script, *, with_faults: bool) -> int:
    async with await start(Options(credentials={_KEY: _SECRET}, seed=script.seed), port=0) as sandbox:
        for group_id, numbers in script.initial.items():
            sandbox.state.groups.put(_KEY, group_id, numbers)
        sandbox.state.faults.add(_sample_faults(script) if with_faults else [Latency(ms=15, jitter_ms=20)])
        console.print(
            f"broker   {url}, embedded\n"
            f"vendor   {sandbox.url}, a sandbox"
            + (" that throttles, fails and refuses now and then\n" if with_faults else "\n")
            + f"worker   may make {_CALLS_PER_SECOND} calls a second\n"
            f"gets     {pluralize(len(script.events), 'command')} over "
            f"{pluralize(len(script.groups), 'group')} in {_PUBLISHING_S:g} s\n"
        )
        settings = Settings(
            accounts={
                "default": NXCloudAccount(
                    access_key=_KEY,
                    access_secret=SecretStr(_SECRET),
                    base_url=sandbox.url,
                    calls_per_second=_CALLS_PER_SECOND,
                )
            }
        )
        client, answers = connect(url), AnswerLog()
        began = time.perf_counter()
        async with open_worker(settings, url) as worker:
            working = asyncio.create_task(worker.run())
            publishing = asyncio.create_task(_publish(client, script.events, answers))
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    await _collect(console, client, answers, working, expected=len(script.events))
            except TimeoutError:
                console.print(f"timeout: not all commands were answered within {_TIMEOUT_S:g} s")
            seconds = time.perf_counter() - began
            await publishing
            worker.stop()
            await working
        left = await client.xlen(keys.commands(0))
        await client.aclose()
        refused = script.poison if with_faults else frozenset()
        report = _build_report(script, answers, sandbox, refused, left=left, seconds=seconds)
        return print_report(console, report)


def _sample_faults(script: Script) -> list[Fault]:
    faults: list[Fault] = [
        Latency(ms=15, jitter_ms=20),
        # Not for creates: a create in doubt is searched at the vendor until its signature has expired.
        Status(status=503, probability=0.04, action="updateGroup"),
        Throttle(probability=0.05, times=1),
    ]
    if script.poison:
        faults.append(RefuseNumbers(numbers=script.poison))
    return faults


async def _publish(client: Redis, events: Sequence[dict[str, Any]], answers: AnswerLog) -> None:
    """Publish the events over some seconds, in small bursts, one event a message."""
    began = time.perf_counter()
    burst = max(1, len(events) // 100)
    for first in range(0, len(events), burst):
        pipe = client.pipeline(transaction=False)
        for event in events[first : first + burst]:
            answers.sent_at[event["id"]] = time.perf_counter()
            pipe.xadd(keys.commands(0), {"event": orjson.dumps(event)})
        await pipe.execute()
        ahead = began + _PUBLISHING_S * (first + burst) / len(events) - time.perf_counter()
        await asyncio.sleep(max(0.0, ahead))


async def _collect(
    console: Console, client: Redis, answers: AnswerLog, working: "asyncio.Task[None]", *, expected: int
) -> None:
    """Read the reply stream until all commands are answered or the worker ends."""
    cursor: Any = "0-0"
    columns = (TextColumn("answers"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("answers", total=expected)
        printed_at = time.perf_counter()
        while len(answers.answered) < expected and not working.done():
            found: Any = await client.xread({keys.REPLIES: cursor}, count=1000, block=200)
            for tag, fields in found[0][1] if found else ():
                cursor = tag
                body = orjson.loads(fields[b"event"])
                for result in body if isinstance(body, list) else [body]:
                    answers.record(result, time.perf_counter())
            progress.update(bar, completed=len(answers.answered))
            if not console.is_terminal and time.perf_counter() - printed_at >= 1:
                printed_at = time.perf_counter()
                console.print(f"  {len(answers.answered):,} of {expected:,} answered")
    if working.done():
        working.result()


def _build_report(
    script: Script,
    answers: AnswerLog,
    sandbox: Sandbox,
    refused: Set[str],
    *,
    left: int,
    seconds: float,
) -> Report:
    expected = script.apply_one_by_one(refused)
    by_id = {group.group_id: set(group.members) for _, group in sandbox.state.groups.each()}
    by_name = {group.name: set(group.members) for _, group in sandbox.state.groups.each()}
    wrong = [
        name for name, numbers in expected.items() if by_id.get(name, by_name.get(name, set())) != numbers
    ]
    calls = sandbox.state.calls
    return Report(
        commands=len(script.events),
        groups=len(expected),
        wrong_groups=len(wrong),
        calls=calls.total,
        applied_calls=sum(1 for call in calls.recent() if call.applied),
        statuses=dict(answers.statuses),
        unanswered=len(script.events) - len(answers.answered),
        repeats=answers.repeats,
        left=left,
        latencies=sorted(answers.latencies),
        seconds=seconds,
    )
