"""Programs that are measured."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench.processes import Ended, Tree, running

PARENT = """
import os, sys, time
worker = os.fork()
if not worker:
    began = time.process_time()
    while time.process_time() < began + 0.3: pass
    os._exit(0)
os.waitpid(worker, 0)
child = os.fork()
open(sys.argv[1] + ".new", "w").write(str(child or os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
"""


def eventually(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_tree_of_processes(tmp_path: Path) -> None:
    """What has ended counts with its time; what lives is frozen and thawed as a whole, and ended with it."""
    told = tmp_path / "child"
    with running(sys.executable, "-c", PARENT, str(told)) as program:
        eventually(lambda: told.exists() and len(program.pids()) == 2)
        child = program.pids()[1]
        assert program.pids()[0] == program.pid
        assert 0.25 <= program.cpu_s() < 5
        assert 5 < program.peak_mb() < 200
        program.freeze()
        eventually(lambda: [state(pid) for pid in program.pids()] == ["T", "T"])
        program.thaw()
        eventually(lambda: "T" not in [state(pid) for pid in program.pids()])
        program.freeze()
    # Adopted by another process, which may not have looked for what ended.
    eventually(lambda: not Path(f"/proc/{child}").exists() or state(child) == "Z")


def test_a_program_that_ends() -> None:
    """A run does not wait for a worker that is gone, and says what its last words were."""
    with running(sys.executable, "-c", "raise SystemExit('no broker')") as program:
        os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(Ended, match=r"(?s)ended with 1:.*no broker"):
            program.check()


def test_what_is_gone_has_no_processes() -> None:
    """Figures of a tree that has ended are zero, and no error."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    tree = Tree(child)
    tree.freeze()
    assert (tree.pids(), tree.cpu_s(), tree.peak_mb()) == ([], 0.0, 0.0)
