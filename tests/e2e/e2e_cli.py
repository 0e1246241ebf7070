"""The command line as a person or a script uses it: arguments in, exit code and texts out."""

import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from e2e_processes import NUMBERGROUP, environment

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
        done = subprocess.run(
            [*NUMBERGROUP, *arguments],
            input=stdin,
            capture_output=True,
            env=variables,
            cwd=self.folder,
            timeout=_PATIENCE_S,
            check=False,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert b"\x1b" not in done.stdout + done.stderr, "it is no terminal, and got colours"
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    def at_once(self, *runs: tuple[str, ...], stdin: bytes = b"", **settings: str) -> list[Finished]:
        """Several independent commands, side by side."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda run: self(*run, stdin=stdin, **settings), runs))

    def write(self, name: str, *lines: str | bytes) -> str:
        """A file of these lines; returns its name."""
        content = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        (self.folder / name).write_bytes(content)
        return name
