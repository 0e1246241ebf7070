"""A reader who types what a page says, and looks whether the page shows what is printed. See `documents`."""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deadlines import room
from documents import Block, Step, blocks, missing, setup, steps
from e2e_processes import Program, eventually

_READY = {" sandbox": "…sandbox on…", " run": "…owning the partition…"}
"""What our programs say when they are ready."""


class Reader:
    """Types the snippets of one page in order, in one shell. `replaced`: what has another name on this
    machine."""

    def __init__(self, folder: Path, variables: Mapping[str, str], replaced: Mapping[str, str]) -> None:
        self._folder = folder
        self._variables = dict(variables)
        self._replaced = replaced
        self._state = folder / ".shell"
        self._state.write_text("", "utf-8")
        self._background: list[Program] = []

    def read(self, page: str) -> None:
        """Fails with the page's own words when something is not as it says."""
        for line in setup(page):
            command = self._here(line.removesuffix("&"))
            if line.endswith("&"):
                ready = [text for name, text in _READY.items() if f"numbergroup{name}" in command]
                self._start(Step(command, ready), line)
            else:
                self._type(command, line)
        for block in blocks(page):
            kind, _, name = block.mark.partition(": ")
            if kind == "not run":
                continue
            if kind == "file":
                (self._folder / name).write_text(self._here(block.text), "utf-8")
            elif block.language == "sh":
                self._type(self._here(block.text), f"line {block.line}")
            elif block.language == "console":
                self._console(block, kind)
            elif block.language == "python":
                program = self._folder / f"line_{block.line}.py"
                program.write_text(self._here(block.text), "utf-8")
                self._type(f"python {program.name}", f"line {block.line}")

    def _console(self, block: Block, kind: str) -> None:
        for step in steps(self._here(block.text)):
            where = f"line {block.line}: {step.command}"
            if kind == "background":
                self._start(step, where)
            elif kind == "until":
                eventually(lambda s=step: missing(s.printed, self._run(s.command)[1]) is None, where)  # type: ignore[misc]
            else:
                output = self._type(step.command, where)
                absent = missing(step.printed, output)
                assert absent is None, f"{where}\ndoes not print\n{absent}\nbut\n{output}"

    def _start(self, step: Step, where: str) -> None:
        script = f". {self._state}; {step.command}"
        name = f"background-{len(self._background)}"
        program = Program(name, ["bash", "-c", script], self._folder, self._variables)
        self._background.append(program)
        eventually(lambda: missing(step.printed, program.out + program.err) is None, where)

    def _type(self, command: str, where: str) -> str:
        code, output = self._run(command)
        assert code == 0, f"{where}\nends with {code}:\n{output}"
        return output

    def _run(self, command: str) -> tuple[int, str]:
        """The shell keeps its variables and its folder from one command to the next."""
        keep = f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {shlex.quote(str(self._state))}"
        script = f". {shlex.quote(str(self._state))}; set -o pipefail; {command}\ncode=$?; {keep}; exit $code"
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=room(60),
            check=False,
        )
        return ended.returncode, ended.stdout.decode("utf-8", "replace")

    def _here(self, text: str) -> str:
        for theirs, ours in self._replaced.items():
            text = text.replace(theirs, ours)
        return text

    def end(self) -> None:
        for program in self._background:
            program.end()
