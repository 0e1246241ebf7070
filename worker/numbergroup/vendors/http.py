"""Transport: sends one signed request over HTTP, and reads its answer."""

import math
import os
import socket
import ssl
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from numbergroup.engine.calls import Unavailable
from numbergroup.errors import TransportError
from numbergroup.observability import failpoints
from numbergroup.vendors.certainty import is_in_doubt
from numbergroup.vendors.content_coding import decompress
from numbergroup.vendors.port import Answer, Request

MaySend = Callable[[], bool]
"""Called right before a request is written: whether it may be sent."""


class NotConnected(TransportError):
    """Raised when there is no connection to the vendor: nothing was sent."""


class TooLate(TransportError):
    """Raised when the time in which the request might be sent has passed: nothing was sent."""


class Withdrawn(TransportError):
    """Raised when a check right before sending forbids the request: nothing was sent."""


class NoAnswer(TransportError):
    """Raised when the request may have been sent, and has no answer that can be read."""


def always() -> bool:
    """Return True: a `MaySend` for requests that no check can forbid."""
    return True


class Transport(Protocol):
    """Exchanges requests and answers with one account's vendor."""

    async def exchange(
        self, request: Request, max_bytes: int, send_deadline: float, may_send: MaySend = always
    ) -> Answer:
        """Send `request` and return its answer, of `max_bytes` at most.

        The request is written once at most, not after `send_deadline` (monotonic seconds), and only if
        `may_send` returns True right before. Raises `NotConnected`, `TooLate`, `Withdrawn` or `NoAnswer`.
        """

    async def close(self) -> None:
        """Close all connections."""


async def try_exchange(
    request: Request,
    transport: Transport,
    max_bytes: int,
    send_deadline: float,
    may_send: MaySend = always,
) -> Answer | Unavailable:
    """Send `request` by `Transport.exchange`, and turn its errors into an outcome. Raises `Withdrawn`."""
    try:
        return await transport.exchange(request, max_bytes, send_deadline, may_send)
    except NotConnected as error:
        return Unavailable(str(error), is_in_doubt(None, sent=False))
    except TooLate as error:
        return Unavailable(str(error), is_in_doubt(None, sent=False), is_local=True)
    except NoAnswer as error:
        return Unavailable(str(error), is_in_doubt(None))


class HttpTransport:
    """See `Transport`. Close it when done; it has one HTTP session.

    It keeps no cookies, uses no proxies from the environment, and returns a redirect as an answer. It asks
    for no compression; an answer that is compressed all the same is decompressed, within the same size limit.
    `timeout_s` is the longest time of one exchange, connecting included.
    """

    def __init__(
        self,
        max_in_flight: int,
        connect_timeout_s: float,
        timeout_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        # aiohttp would round it up to whole seconds, but the lease is checked against the exact time.
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, sock_connect=connect_timeout_s, ceil_threshold=math.inf
        )
        self._monotonic_s = monotonic_s
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_start.append(_on_connecting)
        tracing.on_connection_create_end.append(_on_connected)
        tracing.on_connection_reuseconn.append(_on_connected)
        self.session = aiohttp.ClientSession(
            trace_configs=[tracing],
            connector=aiohttp.TCPConnector(limit=max_in_flight, keepalive_timeout=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent",),
            headers={"Accept-Encoding": "identity", "User-Agent": "numbergroup"},
        )

    async def exchange(
        self, request: Request, max_bytes: int, send_deadline: float, may_send: MaySend = always
    ) -> Answer:
        def check_sending() -> None:
            if self._monotonic_s() >= send_deadline:
                raise TooLate("not sent in time")
            if not may_send():
                raise Withdrawn("not sent: something has come between")

        try:
            return await self._exchange(request, max_bytes, _RequestGuard(check_sending))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotConnected(
                f"not connected to {urlsplit(request.url).netloc}: {_describe_cause(error)}"
            ) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise NotConnected(f"BASE_URL cannot be called: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoAnswer(f"no answer: {type(error).__name__}") from error

    async def _exchange(self, request: Request, max_bytes: int, guard: "_RequestGuard") -> Answer:
        async with self.session.request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            trace_request_ctx=guard,
            timeout=self._timeout,
        ) as response:
            failpoints.hit("answer begun")
            body = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                body += chunk
                if len(body) > max_bytes:
                    raise ValueError("the answer does not end")
            headers = {name.lower(): value for name, value in response.headers.items()}
            encoding = headers.get("content-encoding", "")
            return Answer(response.status, decompress(bytes(body), encoding, max_bytes), headers)

    async def close(self) -> None:
        await self.session.close()


def _describe_cause(error: aiohttp.ClientError) -> str:
    """Return why there is no connection, without the libraries' types and numbers."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no answer in time"
    match reason := error.__cause__ or error:
        case ssl.SSLCertVerificationError():
            return f"its certificate: {reason.verify_message}"
        case ssl.SSLError():
            return f"TLS: {reason.reason or type(reason).__name__}"
        case socket.gaierror():
            return f"its name cannot be resolved ({reason.strerror})"
        case OSError(errno=int() as number) if number > 0:
            return os.strerror(number)
    return type(reason).__name__


class _RequestGuard:
    """Checks one exchange's request when it gets its connection."""

    def __init__(self, check_sending: Callable[[], None]) -> None:
        self._check_sending = check_sending
        self._sent = False

    def check_unsent(self) -> None:
        """Forbid sending the request twice. Raises `ConnectionResetError` when it was sent.

        aiohttp repeats a PUT or DELETE by itself when the connection ends without an answer (RFC 9112, 9.3.1,
        allows it). That would be a request without a permit. If it could not connect any more, it would hide
        that the first one was sent.
        """
        if self._sent:
            raise ConnectionResetError("the connection ended")

    def mark_written(self) -> None:
        """Run the checks right before the request is written, and note that it is.

        A process that was frozen meanwhile must not send it.
        """
        self.check_unsent()
        self._check_sending()
        self._sent = True


async def _on_connecting(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.check_unsent()


async def _on_connected(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.mark_written()
