"""Runs the sandbox as an HTTP server: `start`, then use `url` and `state`, then `stop`."""

import asyncio
import time
from types import TracebackType
from typing import Self

from aiohttp import web

from numbergroup.sandbox import ozonetel
from numbergroup.sandbox.api import Api, Clock, Sleep
from numbergroup.sandbox.control import Control
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.state import State

API_PATH = "/api/pns/"
DEFAULT_PORT = 8900

_OZONETEL_PATHS = (ozonetel.LEGACY_PATH, ozonetel.API_PATH + "{operation:.*}")
_MAX_BODY_BYTES = 64 * 1024 * 1024
_BACKLOG = 1024
# Drips and latencies may be endless. Calls that are not finished after this time are cancelled.
_GRACE_S = 0.1


def unix_ms() -> int:
    """Returns the time of the system's clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Sandbox:
    """A running sandbox. As an async context manager, it stops on exit."""

    def __init__(self, runner: web.AppRunner, api: Api, state: State, origin: str, port: int) -> None:
        self._runner = runner
        self._api = api
        self.state = state
        self.origin = origin
        self.port = port

    @property
    def url(self) -> str:
        """NXCloud's base URL, such as `http://127.0.0.1:8900/api/pns/`. Ozonetel's is `origin`."""
        return self.origin + API_PATH

    async def drain(self) -> None:
        """Waits until every call that a `late` fault holds back is applied."""
        await self._api.drain()

    async def stop(self) -> None:
        """Closes the port and all connections. It may be called twice."""
        await self._api.close()
        await self._runner.cleanup()
        # A call in progress may have started another late call in the meantime.
        await self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def start(
    options: Options | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    clock: Clock = unix_ms,
    sleep: Sleep = asyncio.sleep,
) -> Sandbox:
    """Starts a sandbox, which serves until `Sandbox.stop`. Port 0 selects a free port.

    `clock` returns Unix milliseconds, for signatures, tokens, `Date`, the rate limit and the log. `sleep`
    does all waiting, in seconds. Raises `OSError` if the port is not available.
    """
    options = options or Options()
    state = State(options)
    api = Api(options, state, clock, sleep)
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    # NXCloud is served on its own path, and on every path that no other route matches.
    app.add_routes([web.post(API_PATH, api.nxcloud)])
    app.add_routes([web.route("*", path, api.ozonetel) for path in _OZONETEL_PATHS])
    app.add_routes(Control(state, api, clock).routes())
    app.add_routes([web.post("/{path:.*}", api.nxcloud)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
    except OSError:
        await runner.cleanup()
        raise
    bound_port: int = runner.addresses[0][1]
    url_host = f"[{host}]" if ":" in host else host
    return Sandbox(runner, api, state, f"http://{url_host}:{bound_port}", bound_port)
