"""The named points are for tests only: a production worker has nothing there."""

import ast
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from chaos_launcher import OWN_POINTS
from chaos_scenario import POINTS
from deadlines import room
from e2e_processes import environment

import numbergroup

SOURCES = sorted(Path(next(iter(numbergroup.__path__))).rglob("*.py"))
# `numbergroup run`, and what `failpoints.hit` is when it has ended.
RUN = """
import json, sys
from numbergroup.observability import failpoints
from numbergroup.cli import main
at_first = failpoints.hit
sys.argv = ["numbergroup", "run"]
try:
    main()
finally:
    print(json.dumps([failpoints.hit is at_first, failpoints.hit.__code__.co_names, dir(failpoints)]))
"""


def uses(tree: ast.AST) -> list[ast.Attribute]:
    """Where a module names `failpoints.hit`."""
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return [one for one in attributes if isinstance(one.value, ast.Name) and one.value.id == "failpoints"]


def test_every_point_has_its_cases() -> None:
    """Each point in the code is in the sweep, and the code does nothing with points but to reach them: each
    once, under a name that is there to be read."""
    found: Counter[str] = Counter()
    for file in SOURCES:
        tree = ast.parse(file.read_text("utf-8"))
        used = uses(tree)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func in used]
        assert len(calls) == len(used), f"{file.name} does something else with points"
        for call in calls:
            (name,) = call.args
            either = [name.body, name.orelse] if isinstance(name, ast.IfExp) else [name]
            found.update(ast.literal_eval(one) for one in either)
    assert set(found) == {point for points in POINTS.values() for point in points} - OWN_POINTS
    assert max(found.values()) == 1


def test_a_production_worker_has_none(tmp_path: Path) -> None:
    """Whatever is in its environment, `failpoints.hit` is what it was when it was imported: a function that
    calls nothing, in a module that imports nothing."""
    account = {"ACCESS_KEY": "k", "ACCESS_SECRET": "s"}
    # Nobody answers there: it waits, and is stopped.
    settings = {"BROKER_URL": "redis://127.0.0.1:1/0", "LOG_FORMAT": "json"}
    settings |= {f"ACCOUNTS__DEFAULT__{name}": value for name, value in account.items()}
    variables = environment(tmp_path, settings) | {"POINT": "stopping", "FAULT": "stopping"}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        assert any(b"trying again" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=room(20))
    finally:
        process.kill()
    unchanged, called, names = json.loads(out)
    assert (unchanged, called, process.returncode) == (True, [], 0)
    assert [name for name in names if not name.startswith("__")] == ["hit"]


@pytest.mark.parametrize("name", ["NUMBERGROUP_POINT", "NUMBERGROUP_CRASH_POINT"])
def test_no_variable_switches_one_on(tmp_path: Path, name: str) -> None:
    """There is no setting for it: a worker with one refuses to start."""
    done = subprocess.run(
        [Path(sys.executable).with_name("numbergroup"), "run"],
        env=environment(tmp_path, {}) | {name: "stopping"},
        capture_output=True,
        text=True,
        timeout=room(30),
        check=False,
    )
    assert done.returncode == 2
    assert f"{name} is unknown" in done.stderr
