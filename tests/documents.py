"""The documents' snippets: fenced blocks of code.

What stands in a comment right before a block says what is done with it:

- `<!-- file: NAME -->`: it is written into a file of that name.
- `<!-- background -->`: its command runs until the page ends; the output below it is waited for.
- `<!-- until -->`: its commands are typed again until they print what stands below them.
- `<!-- not run: WHY -->`: it is only read.

Of a page with a comment that begins with `Snippets run`, all blocks in `sh` are typed, all in `python` are
run as programs, and all in `console` are typed: lines with `$ `, continued by lines with `> `. Below them
stands what is printed, in this order; other lines may stand between, and `…` stands for anything. A comment
that begins with `setup` has lines that are typed before; what ends with `&` runs until the page ends.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<mark>[^>]+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_SETUP = re.compile(r"^<!-- setup\n(.*?)^-->$", re.MULTILINE | re.DOTALL)
_RUNS = re.compile(r"^<!-- Snippets run.*?-->$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block; `line` is where it begins, `mark` what the comment before it says."""

    line: int
    language: str
    mark: str
    text: str


class Step(NamedTuple):
    """A command, and the lines that it prints."""

    command: str
    printed: list[str]


def pages() -> dict[str, str]:
    """The README and all pages of the documentation, by their paths in the repository."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}


def runs(page: str) -> bool:
    """Whether the page's snippets are typed."""
    return _RUNS.search(page) is not None


def setup(page: str) -> list[str]:
    """The lines that are typed before the page's snippets."""
    return [line for found in _SETUP.findall(page) for line in found.splitlines()]


def blocks(page: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(page):
        indent, text = found["indent"], found["text"]
        dedented = "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
        line = page[: found.start("language")].count("\n") + 1
        yield Block(line, found["language"], found["mark"] or "", dedented)


def steps(text: str) -> list[Step]:
    """What a block in `console` types, and what is printed then."""
    found: list[Step] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Step(line.removeprefix("$ "), []))
        elif line.startswith("> ") and found and not found[-1].printed:
            found[-1] = Step(f"{found[-1].command}\n{line.removeprefix('> ')}", [])
        else:
            assert found, f"what is typed first? {line}"
            found[-1].printed.append(line)
    return found


def missing(printed: list[str], output: str) -> str | None:
    """The first line that should be printed and is not, after those before it."""
    lines = iter(output.splitlines())
    for wanted in printed:
        pattern = re.compile(".*".join(re.escape(part.rstrip()) for part in wanted.split("…")) + r"\s*")
        if wanted.strip() not in ("…", "") and not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None
