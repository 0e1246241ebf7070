"""Redis connections that cost less CPU than the client's own, and that detect a change of the server."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import (
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TookTooLong
from redis.typing import EncodableT

from numbergroup.ledger.history import History, HistoryChanged, Server, required_history
from numbergroup.observability.logging import get_logger

_serializer = HiredisRespSerializer()

_WRONG_SERVER = (ReadOnlyError, BusyLoadingError, MasterDownError)
_WRONG_SERVER_CODES = ("MISCONF", "NOREPLICAS", "UNBLOCKED")
"""Errors that a new connection may avoid: the primary is another server now, or this server cannot work.

`UNBLOCKED` means that the server has become a replica."""

_SECTIONS = ("server", "replication")

log = get_logger("redis")


class _FastConnection(AbstractConnection):
    """A connection to Redis that encodes in C, and notices when the server lost writes.

    It writes to the socket without creating a task for each Redis command. After each connect, it compares
    the server's replication id with the one that the worker has seen: see `numbergroup.ledger.history`.
    """

    server: ClassVar[Server]
    _history: History | None = None
    """`None` until the handshake is over."""
    _generation = -1

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """Pack a command in C; the asyncio client does it in Python, which takes three times as long."""
        if " " not in str(args[0]):
            with suppress(TypeError):
                return [pack_command(args)]  # type: ignore[arg-type]
        # hiredis cannot pack names of two words, buffers, or values of other types.
        packed: list[bytes] = _serializer.pack(*args)  # type: ignore[arg-type]
        return packed

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Do the client's own handshake, then find out the server's history."""
        self._history, self._generation = None, self.server.generation
        await super().on_connect_check_health(check_health=check_health)
        self._history = await self._find_history() if self.server.has_info else History()
        if self._history is None:
            # Some servers close the connection after an error.
            await self.disconnect(nowait=True)
            await self._connect()  # type: ignore[no-untyped-call]
            await super().on_connect_check_health(check_health=check_health)
            self._history = History()
        if self.server.current not in (None, self._history):
            log.warning("the server is another one, or was restarted: what it has lost is read or done again")
        self.server.current = self._history

    async def _find_history(self) -> History | None:
        """Return the server's history, from `INFO`.

        Returns `None` if the server has no `INFO` (the embedded broker) or forbids it; then `server.has_info`
        becomes False.
        """
        for section in _SECTIONS:
            await self.send_command("INFO", section, check_health=False)
        fields: dict[str, str] = {}
        for _ in _SECTIONS:
            try:
                fields |= _parse_info(await self.read_response(disable_decoding=True))
            except ResponseError as error:
                is_refused = isinstance(error, NoPermissionError)
                if not (is_refused or str(error).lower().removeprefix("err ").startswith("unknown command")):
                    raise
                self.server.has_info = False
                if is_refused:
                    log.warning(
                        "INFO is not allowed: a server that has lost its last writes cannot be recognised"
                    )
                return None
        return History(fields.get("run_id", ""), fields.get("master_replid", ""))

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Send a command like the client does, but without a task for each (see `asyncio.wait_for`).

        Raises `HistoryChanged`, and sends nothing, if the server's history is not the required one.
        """
        if self.is_connected and self._is_outdated():
            await self.disconnect(nowait=True)
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        required = required_history()
        if required is not None and self._history not in (None, required):
            raise HistoryChanged("the Redis server is another one, or was restarted")
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        if isinstance(command, str):
            command = command.encode()
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command([command] if isinstance(command, bytes) else command)
        except BaseException as error:
            # The command may be half written: the connection cannot be used any more.
            await self.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise TookTooLong("Timeout writing to socket") from None
            if isinstance(error, OSError):
                raise Disconnected(f"Error while writing to socket: {error}") from error
            raise

    def _is_outdated(self) -> bool:
        """Whether a newer connection found another server, or an error was a sign of one."""
        if self._history is None:
            return False
        return self._generation != self.server.generation or self._history != self.server.current

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a response like the client does.

        After an error that means a wrong server, all connections are renewed: the same address may lead to
        the right server by then.
        """
        try:
            return await super().read_response(*args, **options)
        except (ResponseError, BusyLoadingError) as error:
            if isinstance(error, _WRONG_SERVER) or str(error).startswith(_WRONG_SERVER_CODES):
                self.server.renew_connections()
            raise


def fast_connection_class(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return a subclass of a connection class (TCP, TLS, Unix socket) that uses less CPU.

    All connections of the returned class share one `Server`, its attribute `server`.
    """
    return type(f"Fast{kind.__name__}", (_FastConnection, kind), {"server": Server()})


def server_of(client: Redis) -> Server:
    """Return what a client's connections know of the server; nothing unless they are of a fast class."""
    server: Server | None = getattr(client.connection_pool.connection_class, "server", None)
    return server or Server()


def _parse_info(section: Any) -> dict[str, str]:
    """Return the fields of one section of `INFO`."""
    lines = section.decode(errors="replace").splitlines() if isinstance(section, bytes) else ()
    return dict(line.split(":", 1) for line in lines if ":" in line)
