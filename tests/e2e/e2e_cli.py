"""The command line as a person or a script uses it: arguments in, exit code and texts out."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deadlines import room
from e2e_forked import Order
from e2e_launcher import launcher
from e2e_processes import environment

_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs commands of `numbergroup` in `folder`, not on a terminal, with `settings` and nothing else set."""

    folder: Path
    settings: Mapping[str, str]
    columns: int = 80

    def __call__(self, *arguments: str, stdin: bytes = b"", **settings: str) -> Finished:
        variables = environment(self.folder, {**self.settings, **settings}) | {"COLUMNS": str(self.columns)}
        with TemporaryDirectory(prefix="numbergroup-") as name:
            given, out, err = (Path(name, each) for each in ("in", "out", "err"))
            given.write_bytes(stdin)
            order = Order([*arguments], variables, str(self.folder), str(out), str(err), str(given))
            code = launcher().ask(order).wait(room(_PATIENCE_S))
            said, complained = out.read_bytes(), err.read_bytes()
        assert b"Traceback" not in complained, complained.decode()
        assert b"\x1b" not in said + complained, "it is no terminal, and got colours"
        return Finished(code, said.decode(), complained.decode())

    def at_once(self, *runs: tuple[str, ...], stdin: bytes = b"", **settings: str) -> list[Finished]:
        """Several independent commands, side by side."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda run: self(*run, stdin=stdin, **settings), runs))

    def write(self, name: str, *lines: str | bytes) -> str:
        """A file of these lines; returns its name."""
        content = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        (self.folder / name).write_bytes(content)
        return name
