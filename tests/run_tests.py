"""Runs all tests, or the quick ones: `python tests/run_tests.py [--quick] [--rerun]`. 0 if all passed.

With `--rerun`, a test with real servers or processes that failed runs once more, with nothing beside it:
a real server on a busy machine may be slow once. If it passes then, it is printed as `flaky: …`; a test that
fails twice fails. A unit test or a simulation is never run again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAILED = ROOT / ".pytest_cache/v/cache/lastfailed"
REAL = ("tests/integration/", "tests/e2e/", "tests/chaos/")
MOST = 20
"""More failures than that are no accident."""
SOME_FAILED = 1
"""The exit code of pytest that says that it ran, and that tests failed."""


def pytest(*arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def may_run_again(test: str) -> bool:
    """Whether it is one test, and one with real servers or processes."""
    return test.startswith(REAL) and "::" in test


def rerun() -> bool:
    """Whether everything that failed passes now."""
    tests = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    final = [test for test in tests if not may_run_again(test)]
    if final or not 0 < len(tests) <= MOST:
        print(
            f"{len(tests)} failed, and nothing is run again: {', '.join(final) or 'too many, or none known'}"
        )
        return False
    flaky = [test for test in tests if pytest("-p", "no:cacheprovider", test) == 0]
    for test in flaky:
        print(f"flaky: {test}")
    for test in tests:
        if test not in flaky:
            print(f"failed twice: {test}")
    return flaky == tests


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="leave out the tests marked slow and alone")
    parser.add_argument("--jobs", default="8", help="how many tests run side by side; 0: one after the other")
    parser.add_argument("--rerun", action="store_true", help="run what failed with real servers once more")
    options = parser.parse_args()
    FAILED.unlink(missing_ok=True)
    if options.quick:
        codes = [pytest("-n", options.jobs, "-m", "not slow and not alone")]
    else:
        os.environ.setdefault("HYPOTHESIS_PROFILE", "ci")
        codes = [pytest("-n", options.jobs, "-m", "not alone"), pytest("-m", "alone")]
    if max(codes) == SOME_FAILED and options.rerun:
        return int(not rerun())
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
