"""100,000 letters: `numbergroup dead-letters` goes through them page by page, whatever it does with them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_letters import COUNT, DEAD_LETTER_GROUPS, LETTERS, REPLAYS, left, post_many, replayed
from e2e_processes import NUMBERGROUP, environment, eventually
from e2e_stage import RedisServer

pytestmark = [pytest.mark.redis_server, pytest.mark.timeout(600)]

MANY, GROUPS = 100_000, 1_000
# All of them together have 80 MB in Redis; as objects of this language they would take several times as much.
ALLOWED_MB = 24.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, durable=False)
    server.start()
    post_many(server, MANY, GROUPS)
    try:
        yield server
    finally:
        server.end()


# Between us and what is measured: a process is born with the memory of the one that starts it. What a handler
# of ours ignores is ignored by us alone, what is ignored outright is by our children, too.
_SMALL_PARENT = """
import resource, signal, subprocess, sys
signal.signal(signal.SIGINT, lambda *_: None)
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as peak:
    peak.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


class Measured:
    """Runs commands; the most memory that the last one had, in MB, is `peak_mb`."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self._folder, self._settings = folder, {"BROKER_URL": redis.url}
        self.peak_mb = 0.0

    def __call__(self, *arguments: str, meanwhile: Callable[[int], None] | None = None) -> tuple[int, str]:
        """Exit code and standard output; `meanwhile` is given the id of the group of processes."""
        out, peak = self._folder / "out", self._folder / "peak"
        with out.open("wb") as to:
            process = subprocess.Popen(
                [sys.executable, "-c", _SMALL_PARENT, str(peak), *NUMBERGROUP, "dead-letters", *arguments],
                stdout=to,
                env=environment(self._folder, self._settings),
                cwd=self._folder,
                start_new_session=True,
            )
            if meanwhile is not None:
                meanwhile(process.pid)
            code = process.wait(300)
        self.peak_mb = int(peak.read_text()) / 1024
        return code, out.read_text()


def test_100_000_letters(redis: RedisServer, tmp_path: Path) -> None:
    """Counted, exported, replayed (and stopped in the middle of it), imported and discarded in bounded
    memory: nothing is lost, nothing is done twice, and what was done is said."""
    run = Measured(tmp_path, redis)
    code, out = run("list", "--limit", "1", "--json")
    assert (code, json.loads(out)["id"]) == (0, f"0-c-{MANY - 1}-0")
    allowed_mb = run.peak_mb + ALLOWED_MB

    code, out = run("list", "--by", "kind")
    assert (code, out) == (0, f"letters\tkind\n{MANY}\trefused\n")
    assert run.peak_mb < allowed_mb
    assert run("list", "--by", "fingerprint")[1].splitlines()[1].startswith(f"{MANY}\t")

    assert run("export", "--reveal", "-o", "all.ndjson") == (0, "")
    assert run.peak_mb < allowed_mb

    def stop(processes: int) -> None:
        eventually(lambda: redis.client.exists(REPLAYS), "the first letters are replayed", 120)
        os.killpg(processes, signal.SIGINT)

    code, out = run("replay", "--all", "--yes", "--json", meanwhile=stop)
    some = json.loads(out)
    assert code == 130
    assert 0 < some["replayed"] == redis.client.xlen(REPLAYS) == MANY - left(redis)
    assert some["left"] == left(redis) > 0
    code, out = run("replay", "--all", "--yes", "--json")
    assert (code, json.loads(out)["replayed"]) == (0, some["left"])
    assert run.peak_mb < allowed_mb
    events = [json.loads(event)["id"] for event in replayed(redis)]
    assert events == [f"c-{number}" for number in range(MANY)]
    assert not redis.client.exists(COUNT, f"{LETTERS}:index")

    assert run("import", "all.ndjson") == (0, f"imported {MANY:,} dead letters\n")
    assert run.peak_mb < allowed_mb
    assert left(redis) == int(redis.client.get(COUNT)) == MANY
    code, _ = run("discard", "--all", "--yes", "--export", "again.ndjson")
    assert (code, left(redis)) == (0, 0)
    assert run.peak_mb < allowed_mb
    assert redis.client.hlen(DEAD_LETTER_GROUPS) == GROUPS, (
        "those that are replayed count until they are settled"
    )
    with (tmp_path / "again.ndjson").open("rb") as lines:
        assert sum(1 for _ in lines) == MANY
