"""The stage on RabbitMQ: commands and results in its queues, Redis as the ledger only."""

import re
import secrets
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import amqp
from amqp.exceptions import AMQPError
from deadlines import room
from e2e_answers import Answers
from e2e_stage import RedisServer, Stage, Vendor
from rabbit_server import RabbitServer

from numbergroup.brokers.amqp.topology import Topology

COMMANDS = "numbergroup.commands"
REPLIES = "numbergroup.replies"
LOST = (AMQPError, OSError)
_CONFIRMED_S = 30.0
_GLANCE_S = 0.01

_MESSAGES = """{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)),
case amqqueue:get_type(Q) of
  rabbit_quorum_queue -> {{ok, {{_, N}}, _}} =
    ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), N;
  _ -> [{{messages, N}}] = rabbit_amqqueue:info(Q, [messages]), N
end.
"""
_VHOST = """rabbit_vhost:add(<<"{vhost}">>, <<"tests">>), rabbit_auth_backend_internal:set_permissions(
  <<"guest">>, <<"{vhost}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>).
"""


class Rabbit(RabbitServer):
    """With a vhost for every test, and a way to ask that takes no second, as `rabbitmqctl` does."""

    crashed = False

    def new_vhost(self) -> str:
        """One of the test's own."""
        vhost = secrets.token_hex(4)
        assert self._ask(_VHOST.format(vhost=vhost)) == "ok"
        return vhost

    def heartbeats(self, vhost: str) -> list[int]:
        """In seconds, one of each connection; 0 is none."""
        rows = [line.split() for line in self.control("list_connections", "vhost", "timeout").splitlines()]
        return [int(seconds) for of, seconds in rows if of == vhost]

    def configure(self, key: str, value: int) -> None:
        """Change a setting of the running server."""
        assert self._ask(f"application:set_env(rabbit, {key}, {value}).\n") == "ok"

    def allow_memory(self, watermark: str) -> None:
        """As `rabbitmqctl set_vm_memory_high_watermark`, and at once: that takes a second, or five when the
        machine is busy, and the work that is to be disturbed is over. An Erlang term."""
        assert self._ask(f"vm_memory_monitor:set_vm_memory_high_watermark({watermark}).\n") == "ok"

    def want_disk(self, limit: str) -> None:
        """As `rabbitmqctl set_disk_free_limit`, and at once."""
        assert self._ask(f'rabbit_disk_monitor:set_disk_free_limit("{limit}").\n') == "ok"

    def url_of(self, vhost: str, user: str = "guest") -> str:
        return f"amqp://{user}:{user}@127.0.0.1:{self.port}/{vhost}"

    def messages(self, vhost: str, queue: str) -> int:
        """How many are in the queue, be they ready or delivered: what `list_queues` says is seconds old."""
        return int(self._ask(_MESSAGES.format(vhost=vhost, queue=queue)))

    def _ask(self, expression: str) -> str:
        cookie = (Path(self.environment["HOME"]) / ".erlang.cookie").read_text()
        done = subprocess.run(
            ["erl_call", "-sname", self.node, "-c", cookie, "-e"],
            input=expression,
            capture_output=True,
            text=True,
            check=False,
            timeout=room(20),
        )
        answer = re.fullmatch(r"\{ok, (.*)\}", done.stdout, re.DOTALL)
        assert answer, done.stdout + done.stderr
        return answer[1]

    def kill(self) -> None:
        self.crashed = True
        super().kill()

    def freeze(self) -> None:
        self.crashed = True
        super().freeze()


class QueueAnswers(Answers):
    """All results in a queue: none is acknowledged, so that each comes again after a loss."""

    def __init__(self, connect: Callable[[], Any], queue: str, may_repeat: Callable[[], bool]) -> None:
        super().__init__(None, queue, may_repeat)
        self._connect = connect
        self._connection: Any = None
        self._bodies: list[bytes] = []
        self._comes_again = False

    def _fresh(self) -> Sequence[bytes]:
        try:
            if self._connection is None:
                self._open()
            self._drain()
        except TimeoutError:
            pass
        except LOST:
            self.close()
        bodies, self._bodies = self._bodies, []
        return bodies

    def _open(self) -> None:
        self._connection = self._connect()
        self._connection.channel().basic_consume(self.queue, callback=self._take_in, on_cancel=self._forgo)
        if self._comes_again:
            self.of.clear()
            self.alone.clear()
            self.in_arrays.clear()
            self._bodies.clear()
        self._comes_again = True

    def _drain(self) -> None:
        while self._connection is not None:
            self._connection.drain_events(timeout=_GLANCE_S)

    def _take_in(self, message: Any) -> None:
        self._bodies.append(message.body)

    def _forgo(self, _tag: str) -> None:
        """The queue was deleted: what was in it will not come again."""
        self._comes_again = False
        self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect()


class RabbitStage(Stage):
    """One test's own vhost, Redis and workers."""

    def __init__(self, folder: Path, vendor: Vendor, redis: RedisServer, rabbit: Rabbit) -> None:
        super().__init__(folder, vendor, redis)
        self.rabbit = rabbit
        rabbit.crashed = False
        self.vhost = rabbit.new_vhost()
        self.settings |= {"BROKER_URL": rabbit.url_of(self.vhost), "LEDGER_URL": redis.url}
        self.disturbed = False
        self._answers: list[QueueAnswers] = []

    def connect(self) -> Any:
        """A connection of py-amqp, open."""
        connection = amqp.Connection(
            f"127.0.0.1:{self.rabbit.port}", virtual_host=self.vhost, connect_timeout=2, confirm_publish=True
        )
        connection.connect()
        return connection

    def declare(self) -> None:
        """The queues, as a worker does: commands may come before it is there."""
        with self.connect() as connection:
            Topology().declare_all(connection)

    def publish(self, bodies: Iterable[bytes]) -> None:
        self.publish_messages([amqp.Message(body, delivery_mode=2) for body in self.noted(bodies)])

    def publish_messages(self, messages: Sequence[Any], exchange: str = "") -> None:
        """Returns when every message is in the queue."""
        left = len(messages)

        def confirmed(tag: int, multiple: bool) -> None:
            nonlocal left
            left = len(messages) - tag if multiple else left - 1

        with self.connect() as connection:
            channel = connection.channel()
            channel.confirm_select()
            channel.events["basic_ack"].add(confirmed)
            for message in messages:
                channel.basic_publish(message, exchange, COMMANDS, mandatory=True)
            while left:
                connection.drain_events(timeout=_CONFIRMED_S)

    def backlog(self) -> int:
        return self.rabbit.messages(self.vhost, COMMANDS)

    def waiting(self) -> list[bytes]:
        found: list[bytes] = []
        with self.connect() as connection:
            channel = connection.channel()
            expected = channel.queue_declare(COMMANDS, passive=True).message_count
            channel.basic_consume(COMMANDS, callback=lambda message: found.append(message.body))
            while len(found) < expected:
                connection.drain_events(timeout=_CONFIRMED_S)
        return found

    def answers(self, queue: str = "", *, every_repeat: bool = False) -> Answers:
        name = f"{REPLIES}.{queue}" if queue else REPLIES
        self._answers.append(QueueAnswers(self.connect, name, lambda: not every_repeat and self.may_repeat))
        return self._answers[-1]

    @property
    def may_repeat(self) -> bool:
        """Whether something has happened after which a result may come twice."""
        crashed = [self.rabbit.crashed, self.redis.crashed, *(worker.crashed for worker in self.workers)]
        return self.disturbed or any(crashed)

    def end(self) -> None:
        for answers in self._answers:
            answers.close()
        super().end()
