"""Transport: one signed request goes out, and its answer comes back, over HTTP."""

import math
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Protocol

import aiohttp

from worker import points
from worker.providers.port import Answer, Request


class NotConnected(Exception):
    """There is no connection to the vendor: nothing was sent."""


class TooLate(Exception):
    """The time in which the request might be sent has passed: nothing was sent."""


class NoAnswer(Exception):
    """Sent, as far as anybody knows, and not answered in a way that can be read."""


class Transport(Protocol):
    """The way to one account's vendor and back."""

    async def exchange(self, request: Request, most_bytes: int, sent_by: float) -> Answer:
        """The answer to `request`, if it has `most_bytes` at most.

        The request is not written after `sent_by` (monotonic seconds). Raises `NotConnected`, `TooLate` or
        `NoAnswer`.
        """

    async def close(self) -> None:
        """Close all connections."""


class HttpTransport:
    """See `Transport`. Close it when done; it has one HTTP session.

    No cookies, no proxies from the environment, no compression; a redirect is an answer like any other.
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
        tracing.on_connection_create_end.append(_look_at_the_time)
        tracing.on_connection_reuseconn.append(_look_at_the_time)
        self.session = aiohttp.ClientSession(
            trace_configs=[tracing],
            connector=aiohttp.TCPConnector(limit=max_in_flight, keepalive_timeout=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent",),
            headers={"Accept-Encoding": "identity", "User-Agent": "numbergroup"},
        )

    async def exchange(self, request: Request, most_bytes: int, sent_by: float) -> Answer:
        def in_time() -> None:
            if self._monotonic_s() >= sent_by:
                raise TooLate("not sent in time")

        try:
            return await self._exchange(request, most_bytes, in_time)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotConnected(f"not connected: {type(error).__name__}") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise NotConnected(f"BASE_URL cannot be called: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoAnswer(f"no answer: {type(error).__name__}") from error

    async def _exchange(self, request: Request, most_bytes: int, in_time: Callable[[], None]) -> Answer:
        async with self.session.request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            trace_request_ctx=in_time,
            timeout=self._timeout,
        ) as response:
            points.reach("answer begun")
            body = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                body += chunk
                if len(body) > most_bytes:
                    raise ValueError("the answer does not end")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, bytes(body), headers)

    async def close(self) -> None:
        await self.session.close()


async def _look_at_the_time(_session: object, context: SimpleNamespace, _params: object) -> None:
    """The last moment before a request is written: a process that was frozen since must not send it."""
    context.trace_request_ctx()
