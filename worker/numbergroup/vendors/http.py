"""Transport: one signed request goes out, and its answer comes back, over HTTP."""

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
from numbergroup.vendors.content_coding import unpacked
from numbergroup.vendors.port import Answer, Request

MayGo = Callable[[], bool]
"""Asked at the last moment before a request is written."""


class NotConnected(TransportError):
    """There is no connection to the vendor: nothing was sent."""


class TooLate(TransportError):
    """The time in which the request might be sent has passed: nothing was sent."""


class Withdrawn(TransportError):
    """There was a reason at the last moment not to send the request: nothing was sent."""


class NoAnswer(TransportError):
    """Sent, as far as anybody knows, and not answered in a way that can be read."""


def always() -> bool:
    """For a request that nothing can keep from being sent."""
    return True


class Transport(Protocol):
    """The way to one account's vendor and back."""

    async def exchange(
        self, request: Request, most_bytes: int, sent_by: float, may_go: MayGo = always
    ) -> Answer:
        """The answer to `request`, if it has `most_bytes` at most.

        The request is written once at most, not after `sent_by` (monotonic seconds), and only if it `may_go`
        at that moment. Raises `NotConnected`, `TooLate`, `Withdrawn` or `NoAnswer`.
        """

    async def close(self) -> None:
        """Close all connections."""


async def answer_to(
    request: Request,
    transport: Transport,
    most_bytes: int,
    sent_by: float,
    may_go: MayGo = always,
) -> Answer | Unavailable:
    """See `Transport.exchange`; what went wrong becomes an outcome. Raises `Withdrawn`."""
    try:
        return await transport.exchange(request, most_bytes, sent_by, may_go)
    except NotConnected as error:
        return Unavailable(str(error), is_in_doubt(None, sent=False))
    except TooLate as error:
        return Unavailable(str(error), is_in_doubt(None, sent=False), is_local=True)
    except NoAnswer as error:
        return Unavailable(str(error), is_in_doubt(None))


class HttpTransport:
    """See `Transport`. Close it when done; it has one HTTP session.

    No cookies, no proxies from the environment, a redirect is an answer like any other. No compression is
    asked for; an answer that is compressed all the same is unpacked, and may not be larger for that.
    `timeout_s` is the time that one exchange may take, connecting included.
    """

    def __init__(
        self,
        max_in_flight: int,
        connect_timeout_s: float,
        timeout_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        # Not rounded up to whole seconds, as is usual: the lease is checked against it.
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, sock_connect=connect_timeout_s, ceil_threshold=math.inf
        )
        self._monotonic_s = monotonic_s
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_start.append(_connecting)
        tracing.on_connection_create_end.append(_connected)
        tracing.on_connection_reuseconn.append(_connected)
        self.session = aiohttp.ClientSession(
            trace_configs=[tracing],
            connector=aiohttp.TCPConnector(limit=max_in_flight, keepalive_timeout=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent",),
            headers={"Accept-Encoding": "identity", "User-Agent": "numbergroup"},
        )

    async def exchange(
        self, request: Request, most_bytes: int, sent_by: float, may_go: MayGo = always
    ) -> Answer:
        def last_look() -> None:
            if self._monotonic_s() >= sent_by:
                raise TooLate("not sent in time")
            if not may_go():
                raise Withdrawn("not sent: something has come between")

        try:
            return await self._exchange(request, most_bytes, _Sending(last_look))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotConnected(f"not connected to {urlsplit(request.url).netloc}: {_cause(error)}") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise NotConnected(f"BASE_URL cannot be called: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoAnswer(f"no answer: {type(error).__name__}") from error

    async def _exchange(self, request: Request, most_bytes: int, sending: "_Sending") -> Answer:
        async with self.session.request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            trace_request_ctx=sending,
            timeout=self._timeout,
        ) as response:
            failpoints.hit("answer begun")
            body = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                body += chunk
                if len(body) > most_bytes:
                    raise ValueError("the answer does not end")
            headers = {name.lower(): value for name, value in response.headers.items()}
            encoding = headers.get("content-encoding", "")
            return Answer(response.status, unpacked(bytes(body), encoding, most_bytes), headers)

    async def close(self) -> None:
        await self.session.close()


def _cause(error: aiohttp.ClientError) -> str:
    """Why there is no connection, without the types and numbers of the libraries."""
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


class _Sending:
    """One exchange's request on its way to a connection."""

    def __init__(self, last_look: Callable[[], None]) -> None:
        self._last_look = last_look
        self._sent = False

    def connecting(self) -> None:
        """The client repeats a PUT or DELETE by itself when the connection ends without an answer (RFC 9112,
        9.3.1, allows it). That would be a call without a permit, and if it cannot connect any more, it would
        hide that the first one was sent."""
        if self._sent:
            raise ConnectionResetError("the connection ended")

    def connected(self) -> None:
        """The last moment before the request is written: a process that was frozen since must not send it."""
        self.connecting()
        self._last_look()
        self._sent = True


async def _connecting(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.connecting()


async def _connected(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.connected()
