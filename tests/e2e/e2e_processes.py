"""Programs as processes of their own: started, watched, signalled and ended by their own ids."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from deadlines import room
from e2e_forked import Order
from e2e_launcher import launcher

NUMBERGROUP = (str(Path(sys.executable).with_name("numbergroup")),)
"""The console script of the installation under test."""

_POLL_S = 0.02
T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, within_s: float = 30.0) -> T:
    """The first true value of `condition`, asked again and again; fails the test when it takes
    longer than `within_s`, with `deadlines.room` for a busy machine."""
    deadline = time.monotonic() + room(within_s)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {room(within_s):g} s: {what}"
        time.sleep(_POLL_S)


def free_port() -> int:
    """A port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the developer's own, and the settings: `{"LINGER_MS": "5"}` is `NUMBERGROUP_LINGER_MS`."""
    own = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "default"}
    return own | {f"NUMBERGROUP_{name}": value for name, value in settings.items()}


class Program:
    """A process that runs until it ends by itself or `end` is called; its output goes to two files."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]
    ) -> None:
        self.name = name
        self.crashed = False
        self._files = folder / f"{name}.out", folder / f"{name}.err"
        self._process = self._start(arguments, folder, variables)

    def _start(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Any:
        if tuple(arguments[:1]) == NUMBERGROUP:
            for file in self._files:
                file.write_bytes(b"")
            out, err = (str(file) for file in self._files)
            return launcher().ask(Order([*arguments[1:]], dict(variables), str(folder), out, err))
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=variables,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        """What it has written to standard output so far."""
        return self._files[0].read_text("utf-8")

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return self._files[1].read_text("utf-8")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def says(self, text: str, within_s: float = 30.0) -> None:
        """Wait until `text` is in its output."""
        eventually(lambda: text in self.out or text in self.err, f"{self.name} says {text!r}", within_s)

    def signal(self, number: signal.Signals) -> None:
        self.crashed = self.crashed or number in (signal.SIGKILL, signal.SIGSTOP)
        self._process.send_signal(number)

    def ended(self, within_s: float = 30.0) -> int:
        """Its exit code (negative: the signal that killed it), once it has ended."""
        return self._process.wait(room(within_s))

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Leave nothing of it behind, however it got here."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
