"""What the documents say in code is code: commands that exist, settings that exist, events that are valid."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from deadlines import room
from documents import ROOT, Block, blocks, pages
from typer.main import get_command

from numbergroup.cli.app import app
from numbergroup.settings import VENDORS, Settings
from numbergroup_contracts.commands import MESSAGE_ADAPTER
from numbergroup_contracts.results import RESULT_ADAPTER

PAGES = pages()
BLOCKS = [(name, block) for name, page in PAGES.items() for block in blocks(page)]
_VARIABLE = re.compile(r"\bNUMBERGROUP_[A-Z0-9_<>a-z…]*[A-Z0-9]")
_COMMAND = re.compile(r"(?:^|[|;&(] *)(?:\$ |> )?numbergroup ((?:[^|;&>\n#]|\\\n)+)", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
_KEYS = {key for vendor in VENDORS.values() for key in vendor.model_fields}


def of(*languages: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{name}:{block.line}")
        for name, block in BLOCKS
        if block.language in languages
    ]


def is_known(variable: str) -> bool:
    """Whether a setting has that name."""
    first, *rest = variable.removeprefix("NUMBERGROUP_").split("__")
    if first == "ACCOUNTS":
        return len(rest) == 0 or (len(rest) == 2 and rest[1].lower() in _KEYS)
    return not rest and first.lower() in Settings.model_fields


@pytest.mark.parametrize("name", sorted(PAGES))
def test_settings(name: str) -> None:
    """Every variable that a page names is a setting."""
    named = set(_VARIABLE.findall(PAGES[name]))
    assert {variable for variable in named if not is_known(variable)} == set()


@pytest.mark.parametrize("block", of("sh", "console", "bash", "ini", "text"))
def test_command_lines(block: Block) -> None:
    """Every command of ours exists, with its options and as many arguments as it takes."""
    for typed in _COMMAND.findall(block.text if block.language != "text" else ""):
        command: Any = get_command(app)
        words = shlex.split(typed.replace("\\\n", " "))
        while words and not words[0].startswith("-") and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context("numbergroup", words, resilient_parsing=words[:1] in (["--help"], ["--version"]))


@pytest.mark.parametrize("block", of("json"))
def test_json(block: Block) -> None:
    """JSON is JSON, or an object a line; what says that it is an event of ours is valid."""
    try:
        values = [json.loads(block.text)]
    except ValueError:
        values = [json.loads(line) for line in block.text.splitlines()]
    for value in values:
        for event in value if isinstance(value, list) else [value]:
            kind = str(event.get("type", "")) if isinstance(event, dict) else ""
            if kind.startswith("numbergroup."):
                adapter: Any = RESULT_ADAPTER if kind == "numbergroup.result.v1" else MESSAGE_ADAPTER
                adapter.validate_json(json.dumps(event))


@pytest.mark.parametrize("block", of("python"))
def test_python(block: Block) -> None:
    """Python is Python."""
    ast.parse(block.text)


CHECKS = {"js": ["node", "--check"], "go": ["gofmt", "-e"], "php": ["php", "-l"]}
"""What checks a program of another language without running it, where it is on the machine."""


@pytest.mark.parametrize("block", of(*CHECKS))
def test_other_languages(block: Block, tmp_path: Path) -> None:
    """Programs in other languages have no mistake that their own tools find."""
    command = CHECKS[block.language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on the PATH")
    file = tmp_path / {"js": "snippet.mjs"}.get(block.language, f"snippet.{block.language}")
    missing = {"go": "package main\n", "php": "<?php\n"}.get(block.language, "")
    file.write_text("" if missing in block.text else missing, "utf-8")
    with file.open("a", encoding="utf-8") as program:
        program.write(block.text)
    ended = subprocess.run(
        [*command, str(file)], capture_output=True, text=True, check=False, timeout=room(30)
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("block", of("toml"))
def test_toml(block: Block) -> None:
    """A file of settings has settings only."""
    table = tomllib.loads(block.text)
    assert {*table} <= {*Settings.model_fields}
    assert {key for account in table.get("accounts", {}).values() for key in account} <= _KEYS


def test_links_of_pages_outside_of_the_site() -> None:
    """What the README and the like lead to is there. (`make docs` looks at the links of the site.)"""
    for path in ROOT.glob("*.md"):
        for link in _LINK.findall(re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)):
            target = (link[0] or link[1]).partition("#")[0]
            if target and "://" not in target and not target.startswith("mailto:"):
                assert (Path(ROOT) / target).exists(), (path.name, target)
