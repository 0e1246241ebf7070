"""Runs one AMQP connection in a thread of its own.

kombu's and py-amqp's objects are not thread-safe and stay in that thread; other threads `submit` jobs. The
thread sends heartbeats, and reconnects with growing pauses. After a loss all channels of the connection are
given up: delivery tags of one connection mean nothing on the next.
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
from numbergroup.brokers.amqp.frames import build_frame_handler
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.connect import UnfitServer
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.publishing.amqp_connection import limit
from numbergroup_contracts.publishing.urls import amqp_arguments, parse

CONNECTION_ERRORS = (AMQPError, OSError, ValueError, AttributeError, KeyError)
"""What py-amqp raises when a connection fails or is lost: more than its own errors."""
# Waiting does not help against these; the text is py-amqp's own.
_REFUSED = (AccessRefused, NotAllowed)
_NO_MECHANISM = "appropriate auth mechanism"
_ANSWER_TIMEOUT_S = 10.0
_TICK_S = 1.0
_CONNECT_TIMEOUT_S = 3.0
_STOP_TIMEOUT_S = 3.0
_RECONNECT_PAUSE_S = 0.5
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux has it

log = get_logger("rabbitmq")


def open_connection(url: str, name: str, heartbeat_s: int = 0) -> Any:
    """Return an open py-amqp connection that waits some seconds at most for each answer.

    The URL's parameters replace our defaults; its heartbeat does so unless `heartbeat_s` is 0. Certificates
    are verified unless the URL forbids it. `name` is shown by RabbitMQ. Raises one of `CONNECTION_ERRORS`.
    """
    address = parse(url)
    arguments, transport = amqp_arguments(address)
    if heartbeat_s:
        heartbeat_s = address.options.get("heartbeat", heartbeat_s)
    client = Connection(
        **{"connect_timeout": _CONNECT_TIMEOUT_S, **arguments},
        heartbeat=heartbeat_s,
        transport_options={
            **transport,
            "frame_handler": build_frame_handler,
            "client_properties": {"connection_name": f"{name} {os.getpid()}"},
            # py-amqp's default is one second, which a short network failure may exceed.
            "socket_settings": {_USER_TIMEOUT: round(_ANSWER_TIMEOUT_S * 1000)} if _USER_TIMEOUT else {},
        },
    )
    limit(client.transport, transport)
    connection = client.transport.establish_connection()
    connection.Channel = Channel
    connection.transport.sock.settimeout(_ANSWER_TIMEOUT_S)
    return connection


@contextmanager
def temporary_connection(url: str, name: str = "numbergroup setup") -> Iterator[Any]:
    """Open a connection, and close it at the end.

    Raises `UnfitServer` if waiting does not help, or `BrokerUnavailable`; so do errors of py-amqp inside.
    """
    try:
        connection = open_connection(url, name)
    except _REFUSED as error:
        raise UnfitServer(
            f"the broker refuses the credentials or the vhost in NUMBERGROUP_BROKER_URL ({error})"
        ) from error
    except CONNECTION_ERRORS as error:
        if _NO_MECHANISM in str(error):
            raise UnfitServer(
                f"the broker offers no auth_mechanism that NUMBERGROUP_BROKER_URL allows ({error})"
            ) from error
        raise BrokerUnavailable(_describe(error)) from error
    try:
        yield connection
    except CONNECTION_ERRORS as error:
        raise BrokerUnavailable(_describe(error)) from error
    finally:
        connection.collect()


class Channel(amqp.Channel):  # type: ignore[misc]  # untyped
    """A channel that stays closed after RabbitMQ has closed it.

    py-amqp's own reopens itself without its consumers and confirms, as if nothing had happened.
    """

    def _do_revive(self) -> None:
        self.collect()


class ConnectionThread:
    """The thread of one connection. Call `start` once, and `stop` once.

    Subclasses implement the methods that begin with `on_`, which are called in the thread.

    - `connection`: py-amqp's connection; `None` while there is none.
    - `frames`: the connection's `FrameBuffer`, likewise.
    - `has_more`: when frames were handled, whether further ones have arrived.
    """

    def __init__(self, url: str, name: str, heartbeat_s: int) -> None:
        self._url = url
        self._name = name
        self._heartbeat_s = heartbeat_s
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._is_stopping = False
        self._was_lost = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.connection: Any = None
        self.frames: Any = None
        self.has_more = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Run the submitted jobs and end the thread.

        Returns when it has ended, or after some seconds if the broker does not answer. The thread is a
        daemon, and does not keep the process alive.
        """
        self._is_stopping = True
        self._wake()
        if self._thread.ident is None:
            self._close_sockets()
        else:
            self._thread.join(_STOP_TIMEOUT_S)

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` in the thread after all earlier jobs, even without a connection. Thread-safe."""
        self._jobs.append(job)
        self._wake()

    def on_connected(self) -> None:
        """A connection was opened."""

    def on_tick(self) -> None:
        """A second has passed on the connection."""

    def on_frames_handled(self) -> None:
        """The received frames were handled; see `has_more`."""

    def on_channel_error(self, error: ChannelError) -> None:
        """The broker has closed a channel. An exception closes the connection."""
        raise error

    def on_lost(self) -> None:
        """The connection and all of its channels are closed."""

    def _wake(self) -> None:
        try:
            self._wake_sender.send(b"\0")
        except OSError:
            # The buffer is full, and the thread wakes anyway; or the thread has ended.
            return

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                self._connect()
                self._serve()
            except RetryError:
                break
            except Exception as error:
                log.error(
                    "connection lost",
                    connection=self._name,
                    error=_describe(error),
                    exc_info=not isinstance(error, AMQPError | OSError),
                )
                self._was_lost = True
                self._close(is_intact=False)
            else:
                self._close(is_intact=True)
            if not self._is_stopping:
                self._pause(_RECONNECT_PAUSE_S)
        self._run_jobs()
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._wake_receiver.close()
        self._wake_sender.close()

    def _connect(self) -> None:
        def log_failure(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            log.error(
                "no connection to the broker, trying again",
                connection=self._name,
                error=_describe(error),
                attempt=state.attempt_number,
            )

        retrying = Retrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            stop=lambda _: self._is_stopping,
            before_sleep=log_failure,
            sleep=self._pause,
        )
        self.connection = retrying(open_connection, self._url, self._name, self._heartbeat_s)
        self.frames = FrameBuffer(self.connection, _TICK_S)
        if self._was_lost:
            log.info("connected again", connection=self._name)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_stopping and (remaining := until - time.monotonic()) > 0:
            self._wait(remaining)
            self._run_jobs()

    def _serve(self) -> None:
        """Handle frames, jobs and ticks until the thread stops, or an exception ends the connection."""
        self.on_connected()
        next_tick = time.monotonic() + _TICK_S
        while True:
            self._run_step(self._run_jobs)
            if self._is_stopping:
                return
            if self._wait(max(0.0, next_tick - time.monotonic())):
                self._run_step(self._handle_frames)
            if time.monotonic() >= next_tick:
                self.connection.heartbeat_tick(rate=4)
                self._run_step(self.on_tick)
                next_tick = time.monotonic() + _TICK_S

    def _run_step(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ChannelError as error:
            self.on_channel_error(error)

    def _run_jobs(self) -> None:
        while self._jobs:
            self._jobs.popleft()()

    def _wait(self, seconds: float) -> bool:
        """Wait for input or a job, `seconds` at most; return whether there is input."""
        sockets: list[Any] = [self._wake_receiver]
        if self.connection is not None:
            if self.frames.has_buffered_input:
                return True
            sockets.append(self.connection.transport.sock)
        ready, _, _ = select.select(sockets, [], [], seconds)
        if self._wake_receiver in ready:
            self._wake_receiver.recv(65_536)
        return any(ready_socket is not self._wake_receiver for ready_socket in ready)

    def handle_received_frames(self) -> None:
        """Handle all frames that have arrived. To be called in the thread only."""
        while self.frames.has_input:
            self.frames.handle_frames()

    def _handle_frames(self) -> None:
        try:
            self.frames.handle_frames()
            self.has_more = self.frames.has_input
        finally:
            self.on_frames_handled()

    def _close(self, *, is_intact: bool) -> None:
        connection, self.connection, self.frames = self.connection, None, None
        self.on_lost()
        if connection is None:
            return
        try:
            if is_intact:
                connection.close()
            else:
                connection.collect()
        except CONNECTION_ERRORS as error:
            log.debug("closing", connection=self._name, error=_describe(error))


def _describe(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"
