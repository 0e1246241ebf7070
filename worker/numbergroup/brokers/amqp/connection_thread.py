"""One AMQP connection, in a thread of its own that never waits for anything else.

kombu's objects are not thread-safe, and stay in that thread: what others want done they `submit`. The
thread pumps heartbeats, comes back after a loss with growing pauses, and gives each connection's channels
up as a whole: tags of one connection mean nothing on the next.
"""

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import amqp
from amqp.exceptions import AccessRefused, AMQPError, ChannelError, NotAllowed
from kombu import Connection
from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type, wait_random_exponential

from numbergroup.brokers.amqp.frame_buffer import FrameBuffer
from numbergroup.brokers.amqp.frames import delivering_handler
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.connect import UnfitServer
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.publishing.amqp_connection import limit
from numbergroup_contracts.publishing.urls import amqp_arguments, parse

FAILURES = (AMQPError, OSError, ValueError, AttributeError, KeyError)
"""What a lost connection may look like: py-amqp raises more than its own errors then."""
# What no waiting helps against; the last is py-amqp's own text.
_REFUSALS = (AccessRefused, NotAllowed)
_NO_MECHANISM = "appropriate auth mechanism"
_ANSWER_S = 10.0
_BEAT_S = 1.0
_CONNECT_S = 3.0
_STOP_S = 3.0
_REST_S = 0.5
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux has it

log = get_logger("rabbitmq")


def open_connection(url: str, name: str, heartbeat_s: int = 0) -> Any:
    """py-amqp's connection to the broker at `url`, open.

    Every answer is waited for seconds only. The URL's parameters replace our own values; its heartbeat
    does where there is to be one. A certificate is verified unless the URL says otherwise. Raises one of
    `FAILURES`.
    """
    address = parse(url)
    arguments, transport = amqp_arguments(address)
    if heartbeat_s:
        heartbeat_s = address.options.get("heartbeat", heartbeat_s)
    client = Connection(
        **{"connect_timeout": _CONNECT_S, **arguments},
        heartbeat=heartbeat_s,
        transport_options={
            **transport,
            "frame_handler": delivering_handler,
            "client_properties": {"connection_name": f"{name} {os.getpid()}"},
            # py-amqp's own is one second, which a hiccup of the network may outlast.
            "socket_settings": {_USER_TIMEOUT: round(_ANSWER_S * 1000)} if _USER_TIMEOUT else {},
        },
    )
    limit(client.transport, transport)
    connection = client.transport.establish_connection()
    connection.Channel = Channel
    connection.transport.sock.settimeout(_ANSWER_S)
    return connection


@contextmanager
def connected(url: str, name: str = "numbergroup setup") -> Iterator[Any]:
    """Open for a short errand. Raises `UnfitServer` where no waiting helps, or `BrokerUnavailable`."""
    try:
        connection = open_connection(url, name)
    except _REFUSALS as error:
        raise UnfitServer(
            f"the broker refuses the credentials or the vhost in NUMBERGROUP_BROKER_URL ({error})"
        ) from error
    except FAILURES as error:
        if _NO_MECHANISM in str(error):
            raise UnfitServer(
                f"the broker offers no auth_mechanism that NUMBERGROUP_BROKER_URL allows ({error})"
            ) from error
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
    try:
        yield connection
    except FAILURES as error:
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.collect()


class Channel(amqp.Channel):  # type: ignore[misc]  # untyped
    """A channel that the broker has closed stays closed. py-amqp's own would open itself again, without
    its consumers and confirmations, and look as if nothing had happened."""

    def _do_revive(self) -> None:
        self.collect()


class ConnectionThread:
    """`start` it once, `stop` it once; everything that begins with `on_` is called in its thread."""

    def __init__(self, url: str, name: str, heartbeat_s: int) -> None:
        self._url = url
        self._name = name
        self._heartbeat_s = heartbeat_s
        self._jobs: deque[Callable[[], None]] = deque()
        self._wakes, self._waker = socket.socketpair()
        self._wakes.setblocking(False)
        self._waker.setblocking(False)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.connection: Any = None
        """py-amqp's; `None` while there is none."""
        self.wire: Any = None
        """Its `Wire`, and for as long."""
        self.more = False
        self._was_lost = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the jobs that it was given; returns when it has ended, or when a broker that
        does not answer has been waited for long enough: the thread keeps no process alive."""
        self._stopping = True
        self._wake()
        if self._thread.ident is None:
            self._put_away()
        else:
            self._thread.join(_STOP_S)

    def submit(self, job: Callable[[], None]) -> None:
        """Have `job` done in the thread, in turn, whether there is a connection or not. Any thread may."""
        self._jobs.append(job)
        self._wake()

    def on_open(self) -> None:
        """The connection is there."""

    def on_beat(self) -> None:
        """A second has passed with it."""

    def on_drained(self) -> None:
        """What had come in was handled; `more` says whether there is more already."""

    def on_channel_error(self, error: ChannelError) -> None:
        """The broker has closed a channel."""
        raise error

    def on_lost(self) -> None:
        """The connection is gone, and all of its channels."""

    def _wake(self) -> None:
        try:
            self._waker.send(b"\0")
        except OSError:
            # So many wakes are unread that one more makes no difference, or the thread has ended.
            return

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._connect()
                self._serve()
            except RetryError:
                break
            except Exception as error:
                log.error(
                    "connection lost",
                    link=self._name,
                    error=_said(error),
                    exc_info=not isinstance(error, AMQPError | OSError),
                )
                self._was_lost = True
                self._close(sound=False)
            else:
                self._close(sound=True)
            if not self._stopping:
                self._rest(_REST_S)
        self._do_jobs()
        self._put_away()

    def _put_away(self) -> None:
        self._wakes.close()
        self._waker.close()

    def _connect(self) -> None:
        def complain(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            log.error(
                "no connection to the broker, trying again",
                link=self._name,
                error=_said(error),
                attempt=state.attempt_number,
            )

        retrying = Retrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            stop=lambda _: self._stopping,
            before_sleep=complain,
            sleep=self._rest,
        )
        self.connection = retrying(open_connection, self._url, self._name, self._heartbeat_s)
        self.wire = FrameBuffer(self.connection, _BEAT_S)
        if self._was_lost:
            log.info("connected again", link=self._name)

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._await(left)
            self._do_jobs()

    def _serve(self) -> None:
        self.on_open()
        beat = time.monotonic() + _BEAT_S
        while True:
            self._guarded(self._do_jobs)
            if self._stopping:
                return
            if self._await(max(0.0, beat - time.monotonic())):
                self._guarded(self._drain)
            if time.monotonic() >= beat:
                self.connection.heartbeat_tick(rate=4)
                self._guarded(self.on_beat)
                beat = time.monotonic() + _BEAT_S

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ChannelError as error:
            self.on_channel_error(error)

    def _do_jobs(self) -> None:
        while self._jobs:
            self._jobs.popleft()()

    def _await(self, seconds: float) -> bool:
        """Wait for something to read or to do; whether there is something to read."""
        watched: list[Any] = [self._wakes]
        if self.connection is not None:
            if self.wire.buffered:
                return True
            watched.append(self.connection.transport.sock)
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._wakes in ready:
            self._wakes.recv(65_536)
        return any(one is not self._wakes for one in ready)

    def take_in(self) -> None:
        """Handle what has come in by now."""
        while self.wire.ready:
            self.wire.take()

    def _drain(self) -> None:
        try:
            self.wire.take()
            self.more = self.wire.ready
        finally:
            self.on_drained()

    def _close(self, *, sound: bool) -> None:
        connection, self.connection, self.wire = self.connection, None, None
        self.on_lost()
        if connection is None:
            return
        try:
            if sound:
                connection.close()
            else:
                connection.collect()
        except FAILURES as trouble:
            log.debug("closing", link=self._name, error=_said(trouble))


def _said(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"
