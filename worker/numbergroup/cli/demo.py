"""`numbergroup demo`: the main job on embedded parts, with everything real but the vendor."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
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
from numbergroup.cli.screen import counted, screen
from numbergroup.ledger import keys
from numbergroup.observability import logging
from numbergroup.sandbox.faults import Fault, Latency, RefuseNumbers, Status, Throttle
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import Sandbox, start
from numbergroup.settings import NXCloudAccount, Settings

_KEY, _SECRET = "sandbox-key", "sandbox-secret"
_CALLS_PER_SECOND = 50
_PUBLISHING_S = 3.0
_PATIENCE_S = 120.0


@dataclass(slots=True)
class Watch:
    """What has come back so far; times are in seconds on one clock."""

    sent_at: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    answered: set[str] = field(default_factory=set)

    def take(self, result: dict[str, Any], now: float) -> None:
        name = result["data"]["command"]["id"]
        if name in self.answered:
            self.repeats += 1
            return
        self.answered.add(name)
        self.statuses[result["data"]["status"]] += 1
        self.latencies.append(now - self.sent_at[name])


def run(commands: int, groups: int, seed: int, faults: bool) -> int:
    """The exit code: 0 when every command has one answer and the groups are what they should be."""
    logging.configure(None, "error")
    console = screen()
    broker = embedded.start()
    try:
        return asyncio.run(_demo(console, broker.url, write_script(commands, groups, seed), faults))
    finally:
        broker.stop()


async def _demo(console: Console, url: str, script: Script, faults: bool) -> int:
    async with await start(Options(credentials={_KEY: _SECRET}, seed=script.seed), port=0) as sandbox:
        for group_id, numbers in script.initial.items():
            sandbox.state.groups.put(_KEY, group_id, numbers)
        sandbox.state.faults.add(_misbehaviour(script) if faults else [Latency(ms=15, jitter_ms=20)])
        console.print(
            f"broker   {url}, embedded\n"
            f"vendor   {sandbox.url}, a sandbox"
            + (" that throttles, fails and refuses now and then\n" if faults else "\n")
            + f"worker   may make {_CALLS_PER_SECOND} calls a second\n"
            f"gets     {counted(len(script.events), 'command')} over {counted(len(script.groups), 'group')} "
            f"in {_PUBLISHING_S:g} s\n"
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
        client, watch = connect(url), Watch()
        began = time.perf_counter()
        async with open_worker(settings, url) as worker:
            working = asyncio.create_task(worker.run())
            publishing = asyncio.create_task(_publish(client, script.events, watch))
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await _collect(console, client, len(script.events), watch, working)
            except TimeoutError:
                console.print(f"not all answers came within {_PATIENCE_S:g} s")
            seconds = time.perf_counter() - began
            await publishing
            worker.stop()
            await working
        left = await client.xlen(keys.commands(0))
        await client.aclose()
        return print_report(console, _report(script, watch, sandbox, seconds, left, faults))


def _misbehaviour(script: Script) -> list[Fault]:
    faults: list[Fault] = [
        Latency(ms=15, jitter_ms=20),
        # Not for creates: one that may have gone through is looked for until its signature has expired.
        Status(status=503, probability=0.04, action="updateGroup"),
        Throttle(probability=0.05, times=1),
    ]
    if script.poison:
        faults.append(RefuseNumbers(numbers=script.poison))
    return faults


async def _publish(client: Redis, events: Sequence[dict[str, Any]], watch: Watch) -> None:
    """Evenly over some seconds, in small bursts, each command alone in its message."""
    began = time.perf_counter()
    burst = max(1, len(events) // 100)
    for first in range(0, len(events), burst):
        pipe = client.pipeline(transaction=False)
        for event in events[first : first + burst]:
            watch.sent_at[event["id"]] = time.perf_counter()
            pipe.xadd(keys.commands(0), {"event": orjson.dumps(event)})
        await pipe.execute()
        ahead = began + _PUBLISHING_S * (first + burst) / len(events) - time.perf_counter()
        await asyncio.sleep(max(0.0, ahead))


async def _collect(
    console: Console, client: Redis, expected: int, watch: Watch, working: "asyncio.Task[None]"
) -> None:
    cursor: Any = "0-0"
    columns = (TextColumn("answers"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("answers", total=expected)
        said = time.perf_counter()
        while len(watch.answered) < expected and not working.done():
            found: Any = await client.xread({keys.REPLIES: cursor}, count=1000, block=200)
            for tag, fields in found[0][1] if found else ():
                cursor = tag
                body = orjson.loads(fields[b"event"])
                for result in body if isinstance(body, list) else [body]:
                    watch.take(result, time.perf_counter())
            progress.update(bar, completed=len(watch.answered))
            if not console.is_terminal and time.perf_counter() - said >= 1:
                said = time.perf_counter()
                console.print(f"  {len(watch.answered):,} of {expected:,} answered")
    if working.done():
        working.result()


def _report(
    script: Script, watch: Watch, sandbox: Sandbox, seconds: float, left: int, faults: bool
) -> Report:
    refused = script.poison if faults else frozenset()
    wanted = script.one_by_one(refused)
    held = {group.group_id: set(group.members) for _, group in sandbox.state.groups.each()}
    by_name = {group.name: set(group.members) for _, group in sandbox.state.groups.each()}
    wrong = [name for name, numbers in wanted.items() if held.get(name, by_name.get(name, set())) != numbers]
    calls = sandbox.state.calls
    return Report(
        commands=len(script.events),
        groups=len(wanted),
        wrong_groups=len(wrong),
        calls=calls.total,
        applied_calls=sum(1 for call in calls.recent() if call.applied),
        statuses=dict(watch.statuses),
        unanswered=len(script.events) - len(watch.answered),
        repeats=watch.repeats,
        left=left,
        latencies=sorted(watch.latencies),
        seconds=seconds,
    )
