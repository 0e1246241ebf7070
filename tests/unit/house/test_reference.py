"""The reference of the documentation is made from the code, and covers all of it."""

import re
from collections import Counter
from pathlib import Path

import pytest
from docs.generator import PARTS, commands, expand, ledger_keys, log_events, parts_of

from numbergroup.brokers.redis.key_types import types_of_keys
from numbergroup.brokers.redis.permissions import KEYS
from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.engine.settling.fitting import REPLY_QUEUE, TOO_LARGE
from numbergroup.engine.verdicts import CRASHED, QUARANTINED
from numbergroup.ledger import keys
from numbergroup.settings import VENDORS, Settings
from numbergroup_contracts.results import ERROR_KINDS

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text("utf-8") for path in DOCS.rglob("*.md")}


def test_every_part_is_on_one_page() -> None:
    """No generated part is missing, and none is there twice; no page asks for one that does not exist."""
    used = Counter(part for page in PAGES.values() for part in parts_of(page))
    assert used == Counter(dict.fromkeys(PARTS, 1))


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_part_has_content(name: str) -> None:
    """Each part has a list, a table or sections, with no cell that is empty but for those that may be."""
    text = PARTS[name]()
    assert len(text.splitlines()) > 3
    assert "None" not in text


def test_every_setting() -> None:
    """Each setting has a section with its variable, and each has a description of its own."""
    page = expand(PAGES["reference/settings.md"])
    accounts = {key for vendor in VENDORS.values() for key in vendor.model_fields}
    variables = {f"NUMBERGROUP_{key.upper()}" for key in Settings.model_fields if key != "accounts"}
    variables |= {f"NUMBERGROUP_ACCOUNTS__<name>__{key.upper()}" for key in accounts}
    sections = re.findall(r"^### `(\w\S+)` .*\n\n(\S.*)\n", page, re.MULTILINE)
    assert Counter(name for name, _ in sections) == Counter(variables)


def test_every_command() -> None:
    """Each command that can be typed has a section, with every option that its `--help` lists."""
    page = expand(PAGES["reference/commands.md"])
    for path, command in commands.leaves():
        section = page[page.index(f"### `{path}`") :].partition("\n### ")[0]
        for parameter in command.params:
            names = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
            assert all(name in section for name in names if name != "--help"), (path, names)


def test_every_metric() -> None:
    """The metrics are described with all values of their labels."""
    table = PARTS["metrics"]()
    assert table.count("| `numbergroup_") >= 15
    for values in ("`closed`, `open`, `ramping`", "`operator`, `fault`, `throttle`", "`applied`, `refused`"):
        assert values in table


def test_every_kind_of_error() -> None:
    """Page, option and contract have one list."""
    table = PARTS["kinds of errors"]()
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == [*ERROR_KINDS]
    assert {CRASHED, QUARANTINED, REPLY_QUEUE, TOO_LARGE} <= ERROR_KINDS.keys()
    for kind in ERROR_KINDS:
        DeadLetterFilter(kind=kind).validate()


def test_every_exit_code() -> None:
    """Every code that a command may end with is there, once."""
    assert [int(code) for code in re.findall(r"^\| ([0-9]+) \|", PARTS["exit codes"](), re.MULTILINE)] == [
        *ExitCode
    ]


def test_log_events() -> None:
    """The events are found wherever and however they are written: by a name, in pieces, to be written
    later."""
    found = {event.text: event for event in log_events.events()}
    assert found["starting"].fields == ("accounts", "broker", "owner", "partitions", "version")
    assert {event.level for event in found.values()} == {"debug", "info", "warning", "error", "critical"}
    assert all(event.logger for event in found.values())


def test_log_lines_on_other_pages() -> None:
    """What pages quote from the log is an event, of that level and logger where they are quoted, too."""
    found = log_events.events()
    for name, page in PAGES.items():
        for level, text, logger in re.findall(r"^\[(\w+) *\] (.+?) \[([\w-]+)\]", page, re.MULTILINE):
            events = [one for one in found if (one.level, one.logger) == (level, logger)]
            assert any(_is(one.text, text) for one in events), (name, text)
        for quoted in re.findall(r"log: `([^`]+)`", page):
            start, *_ = quoted.split(", …")
            assert any(one.text.startswith(start) for one in found), (name, quoted)


def _is(event: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, event.split("…"))), text) is not None


def test_ledger_keys() -> None:
    """Every kind of key that a worker needs a permission for is described."""
    described = [one.pattern for one in (*ledger_keys.partition_keys(), *ledger_keys.other_keys())]
    patterns = [re.sub(r"\\{p\\}|<\w+>", ".+", re.escape(one)) for one in described]
    for key in KEYS:
        if key.startswith("numbergroup:"):
            assert any(re.fullmatch(pattern, key) for pattern in patterns), key
    assert len(set(described)) == len(described)
    assert keys.of_partition(0, keys.LEASE) == "numbergroup:{0}:lease"


def test_the_types_of_ledger_keys() -> None:
    """Every key whose name is known beforehand is expected to be of the type that is described."""
    described = {
        one.pattern.replace("{p}", "{0}").replace("<account>", "default"): one.type.partition(",")[0].lower()
        for one in (*ledger_keys.partition_keys(), *ledger_keys.other_keys())
    }
    fixed = {key: kind for key, kind in described.items() if "<" not in key}
    assert {key: types_of_keys(1, ["default"]).get(key) for key in fixed} == fixed
