"""A command on a terminal of its own, as a person has it."""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deadlines import room
from e2e_processes import NUMBERGROUP, environment, eventually

_PATIENCE_S = 60.0


class Terminal:
    """What is on the screen, and a keyboard."""

    def __init__(self, folder: Path, settings: Mapping[str, str], arguments: tuple[str, ...], **more: str):
        self._master, slave = pty.openpty()
        self.screen = ""
        self._process = subprocess.Popen(
            [*NUMBERGROUP, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment(folder, settings) | {"TERM": "xterm", "COLUMNS": "200"} | more,
            start_new_session=True,
            preexec_fn=_heeds_ctrl_c,
        )
        os.close(slave)

    def shows(self, text: str) -> None:
        """Wait until `text` is on the screen."""
        eventually(lambda: self._read() and text in self.screen, f"{text!r} after {self.screen!r}")

    def interrupt(self) -> None:
        """Ctrl-C, once it waits for the keyboard: Python does not see one that comes after it has asked and
        before it reads, as little as a person's."""
        eventually(self._waits, f"it to wait after {self.screen!r}")
        self._process.send_signal(signal.SIGINT)

    def _waits(self) -> bool:
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "S"

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def ended(self) -> int:
        """Its exit code, when it has ended and all of it is on the screen."""
        while self._read():
            continue
        return self._process.wait(room(30))

    def _read(self) -> bool:
        """More of the screen, when there is more; whether there may be."""
        if not select.select([self._master], [], [], room(_PATIENCE_S))[0]:
            raise AssertionError(f"nothing comes after {self.screen!r}")
        with suppress(OSError):  # Linux says EIO when the other end has gone
            data = os.read(self._master, 65_536)
            self.screen += data.decode(errors="replace")
            return bool(data)
        return False

    def close(self) -> None:
        os.close(self._master)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def _heeds_ctrl_c() -> None:
    """As on a terminal, whoever runs the tests: what a script has in its background ignores it, and so does
    all that this starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def on_a_terminal(
    folder: Path, settings: Mapping[str, str], *arguments: str, **more: str
) -> Iterator[Terminal]:
    terminal = Terminal(folder, settings, arguments, **more)
    try:
        yield terminal
    finally:
        terminal.close()
