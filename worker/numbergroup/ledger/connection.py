"""Connections to Redis that cost less than the client's own, and that know which server answers."""

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
"""Errors that another server behind the same address may not answer with: the master is elsewhere by now, or
this server cannot work. `UNBLOCKED`: it has become a replica."""

_SECTIONS = ("server", "replication")

log = get_logger("redis")


class _Quick(AbstractConnection):
    """What the client does for its connections without asyncio, this one does with it."""

    server: ClassVar[Server]
    _history: History | None = None
    """`None` until the handshake is over."""
    _generation = -1

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """In C: the asyncio client takes three times as long to do it in Python."""
        if " " not in str(args[0]):
            with suppress(TypeError):
                return [pack_command(args)]  # type: ignore[arg-type]
        # Whatever is in need of more: a name of two words, a buffer, a value of no kind that Redis knows.
        packed: list[bytes] = _serializer.pack(*args)  # type: ignore[arg-type]
        return packed

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """The client's own handshake, and then the question which server this is."""
        self._history, self._generation = None, self.server.generation
        await super().on_connect_check_health(check_health=check_health)
        self._history = await self._find_history() if self.server.has_info else History()
        if self._history is None:
            # Some servers hang up after an error.
            await self.disconnect(nowait=True)
            await self._connect()  # type: ignore[no-untyped-call]
            await super().on_connect_check_health(check_health=check_health)
            self._history = History()
        if self.server.current not in (None, self._history):
            log.warning("the server is another one, or was restarted: what it has lost is read or done again")
        self.server.current = self._history

    async def _find_history(self) -> History | None:
        """`None`, once: the server has no `INFO` (the embedded broker), or this user may not ask for it."""
        for section in _SECTIONS:
            await self.send_command("INFO", section, check_health=False)
        fields: dict[str, str] = {}
        for _ in _SECTIONS:
            try:
                fields |= _fields_of(await self.read_response(disable_decoding=True))
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
        """Like the client's own, but with no task for each command (`asyncio.wait_for` up to Python 3.11).

        Raises `HistoryChanged`, and sends nothing, where the server has not the history that is required.
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
            # Nobody knows how much of it was written.
            await self.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise TookTooLong("Timeout writing to socket") from None
            if isinstance(error, OSError):
                raise Disconnected(f"Error while writing to socket: {error}") from error
            raise

    def _is_outdated(self) -> bool:
        """Whether a newer connection has found another server, or an error has said that there may be one."""
        if self._history is None:
            return False
        return self._generation != self.server.generation or self._history != self.server.current

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Like the client's own. After an error that means a wrong server all connections are made anew: the
        same address may lead to the right server by then."""
        try:
            return await super().read_response(*args, **options)
        except (ResponseError, BusyLoadingError) as error:
            if isinstance(error, _WRONG_SERVER) or str(error).startswith(_WRONG_SERVER_CODES):
                self.server.renew_connections()
            raise


def fast_connection_class(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection (TCP, TLS, Unix socket), with commands packed and sent at less cost.

    All connections of the returned type share one `Server`, its attribute `server`.
    """
    return type(f"Quick{kind.__name__}", (_Quick, kind), {"server": Server()})


def server_of(client: Redis) -> Server:
    """What the connections of a client have found out; of one that is not `quick`, nothing ever."""
    found: Server | None = getattr(client.connection_pool.connection_class, "server", None)
    return found or Server()


def _fields_of(section: Any) -> dict[str, str]:
    """The fields of a section of `INFO`."""
    lines = section.decode(errors="replace").splitlines() if isinstance(section, bytes) else ()
    return dict(line.split(":", 1) for line in lines if ":" in line)
