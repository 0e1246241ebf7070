"""A vendor that no sandbox emulates: it answers every request with the bytes that it was given."""

import socket
import threading
from types import TracebackType
from typing import Self

_PART = 65_536


class Impostor:
    """Listens on loopback. `says`: the whole answer, HTTP head and all; `heard` counts requests."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.heard = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/api/pns/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(accepted,), daemon=True).start()

    def _answer(self, accepted: socket.socket) -> None:
        with accepted:
            try:
                while request := accepted.recv(_PART):
                    self.heard += request.count(b"POST ")
                    accepted.sendall(self.says)
            except OSError:
                return
