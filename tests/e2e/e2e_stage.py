"""The stage of a test: a Redis server, the vendor's sandbox, and workers, all real and on loopback."""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

import pytest
from deadlines import room
from e2e_answers import REPLIES, Answers
from e2e_processes import NUMBERGROUP, Program, environment, eventually, free_port
from redis import Redis
from redis.exceptions import RedisError

KEY, SECRET = "sandbox-key", "sandbox-secret"
SIGNATURE_LASTS_S = "2"
COMMANDS = "numbergroup:{0}:commands"

_NUMBER = re.compile(rb"(?<![0-9])[1-9][0-9]{6,14}(?![0-9])")


class RedisServer:
    """A `redis-server` on a port of its own. `durable`: what was acknowledged survives SIGKILL."""

    def __init__(self, folder: Path, *, durable: bool, password: str | None = None) -> None:
        self._folder = folder
        self._durable = durable
        self._password = password
        self.port = free_port()
        # Its types speak of every answer that any server might give.
        self.client: Any = Redis(port=self.port, password=password, socket_timeout=room(10))
        self.crashed = False
        self._program: Program | None = None

    @property
    def url(self) -> str:
        user = f":{self._password}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, for the first time or after `kill`; returns when it answers."""
        binary = shutil.which("redis-server")
        if binary is None:
            require = pytest.fail if os.environ.get("REQUIRE_SERVERS") else pytest.skip
            require("redis-server is not on the PATH")
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always",
            **({"requirepass": self._password} if self._password else {}),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._program = Program("redis", [str(binary), *arguments], self._folder, {})
        eventually(self._answers, "redis-server answers")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (RedisError, OSError):
            return False

    def kill(self) -> None:
        assert self._program is not None
        self.crashed = True
        self._program.kill()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._program is not None
        self.crashed = True
        self._program.signal(number)

    def end(self) -> None:
        self.client.close()
        if self._program is not None:
            self._program.end()


class Vendor:
    """`numbergroup sandbox`, and its control endpoints. `port` 0 takes a free one.

    `lasts_s`: for how long it accepts a signature.
    """

    def __init__(
        self, folder: Path, port: int = 0, lasts_s: str = SIGNATURE_LASTS_S, **settings: str
    ) -> None:
        arguments = [*NUMBERGROUP, "sandbox", "--port", str(port), "--signature-lasts-s", lasts_s]
        self.program = Program("sandbox", arguments, folder, environment(folder, settings))
        self.origin = self.url = ""

    def __enter__(self) -> Self:
        try:
            found = eventually(self._listens, "the sandbox listens")
        except BaseException:
            self.program.end()
            raise
        self.origin, self.url = found[1], found[1] + found[2]
        return self

    def __exit__(self, *_: object) -> None:
        self.program.end()

    def _listens(self) -> re.Match[str] | None:
        return re.search(r"sandbox on (http://127\.0\.0\.1:\d+)(\S*)", self.program.out)

    def reset(self) -> None:
        """As new: no groups, no calls, no faults."""
        self._ask("POST", "reset")

    def groups(self, access_key: str = KEY) -> dict[str, set[str]]:
        """The members of every group, by its name where it was given one, else by its id."""
        groups = self._ask("GET", f"groups?accessKey={access_key}")["groups"]
        members = {group["groupName"]: set(group["phones"]) for group in groups}
        assert len(members) == len(groups), "two groups have one name: one command created both"
        return members

    def block_groups(self) -> dict[str, set[str]]:
        """The members of Ozonetel's groups by name."""
        groups = self._ask("GET", "groups?vendor=ozonetel")["groups"]
        return {group["groupName"]: set(group["phones"]) for group in groups}

    def seed(
        self,
        groups: Mapping[str, Iterable[str]],
        names: Mapping[str, str] | None = None,
        access_key: str | None = None,
    ) -> None:
        """Groups by their ids, and the names of those that have one."""
        rows = [
            {
                "groupId": one,
                "groupName": (names or {}).get(one, ""),
                "phones": list(groups[one]),
                "accessKey": access_key,
            }
            for one in groups
        ]
        for first in range(0, len(rows), 50):
            self._ask("POST", "groups", rows[first : first + 50])

    def blocked(self, user: str) -> dict[str, set[str]]:
        """The members of every block-number group of that user of Ozonetel's, by its name."""
        groups = self._ask("GET", f"groups?vendor=ozonetel&userName={user}")["groups"]
        return {group["groupName"]: set(group["phones"]) for group in groups}

    def calls(self, since_ms: int = 0) -> list[dict[str, Any]]:
        """Every call that arrived since then (Unix ms), oldest first."""
        calls: list[dict[str, Any]] = self._ask("GET", f"calls?since={since_ms}")["calls"]
        return calls

    def now_ms(self) -> int:
        """The vendor's clock, as its calls are timed (Unix ms)."""
        return time.time_ns() // 1_000_000

    def count(self, *actions: str) -> int:
        """How many calls arrived, of all actions or of those named."""
        calls = self._ask("GET", "calls?limit=0")
        return sum(calls["by_action"].get(one, 0) for one in actions) if actions else int(calls["total"])

    def most_in_a_second(self) -> int:
        """How many calls arrived within one second, where they came thickest."""
        return int(self._ask("GET", "calls?limit=0")["per_second_max"])

    def fault(self, kind: str, **details: Any) -> None:
        """Put a fault in place, as the sandbox's own help names it."""
        self._ask("POST", "faults", {"kind": kind, **details})

    def fired(self, kind: str) -> int:
        """How often faults of this kind have come to pass."""
        return sum(fault["fired"] for fault in self._ask("GET", "faults")["faults"] if fault["kind"] == kind)

    def rotate(self, secret: str, *, overlap: bool = False) -> None:
        """Take another secret from now on; with `overlap` those before it as well."""
        self._ask("POST", "credentials", {"secret": secret, "overlap": overlap})

    def take_also(self, access_key: str) -> None:
        """From now on the same customer has this access key, too, with the same secret."""
        self._ask("POST", "credentials", {"secret": SECRET, "newAccessKey": access_key, "overlap": True})

    def heal(self) -> None:
        self._ask("DELETE", "faults")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(
            Request(f"{self.origin}/_sandbox/{path}", data, method=method), timeout=room(10)
        ) as answer:
            return json.load(answer)


class Worker(Program):
    """`numbergroup run`."""

    def stop(self, within_s: float = 25.0) -> int:
        """SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.ended(within_s)


class Stage:
    """One test's own Redis and workers, before the vendor that all tests share.

    `numbers`: all phone numbers that were published, in whatever message.
    """

    def __init__(self, folder: Path, vendor: Vendor, redis: RedisServer) -> None:
        self.folder = folder
        self.vendor = vendor
        self.redis = redis
        self.settings = {
            "BROKER_URL": redis.url,
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "debug",
            "LEASE_TTL_S": "2",
            "ACCOUNTS__DEFAULT__BASE_URL": vendor.url,
            "ACCOUNTS__DEFAULT__ACCESS_KEY": KEY,
            "ACCOUNTS__DEFAULT__ACCESS_SECRET": SECRET,
            "ACCOUNTS__DEFAULT__TIMEOUT_S": "1",
            "ACCOUNTS__DEFAULT__SIGNATURE_LASTS_S": SIGNATURE_LASTS_S,
            "ACCOUNTS__DEFAULT__CALLS_PER_SECOND": "500",
        }
        self.workers: list[Worker] = []
        self.numbers: set[str] = set()

    def worker(self, settings: Mapping[str, str] | None = None, **account: str) -> Worker:
        """Start a worker with `settings`, and with those of its default account: `TIMEOUT_S="2"`."""
        of_account = {f"ACCOUNTS__DEFAULT__{name}": value for name, value in account.items()}
        name = f"worker{len(self.workers) + 1}"
        variables = environment(self.folder, self.settings | dict(settings or {}) | of_account)
        self.workers.append(Worker(name, [*NUMBERGROUP, "run"], self.folder, variables))
        return self.workers[-1]

    def publish(self, bodies: Iterable[bytes]) -> None:
        """One message a body, in order."""
        pipe = self.redis.client.pipeline(transaction=False)
        for body in self.noted(bodies):
            pipe.xadd(COMMANDS, {"event": body})
        pipe.execute()

    def noted(self, bodies: Iterable[bytes]) -> Iterator[bytes]:
        """The bodies, whose numbers must not be found in any log."""
        for body in bodies:
            self.numbers.update(number.decode() for number in _NUMBER.findall(body))
            yield body

    def backlog(self) -> int:
        """How many messages are not settled."""
        return int(self.redis.client.xlen(COMMANDS))

    def waiting(self) -> list[bytes]:
        """The messages that are not settled, when there is no worker."""
        return [fields[b"event"] for _, fields in self.redis.client.xrange(COMMANDS)]

    def answers(self, queue: str = "", *, every_repeat: bool = False) -> Answers:
        """What is in the default reply queue, or in one of the test's own. `every_repeat`: all that comes
        counts, also after a crash."""
        return Answers(self.redis.client, f"{REPLIES}:{queue}" if queue else REPLIES)

    def output(self) -> str:
        """All that the workers have written, to whichever stream."""
        return "".join(worker.out + worker.err for worker in self.workers)

    def end(self) -> None:
        for worker in self.workers:
            worker.end()
        self.redis.end()


Open = Callable[..., Stage]
"""Opens the test's stage; the arguments are those of its Redis."""
