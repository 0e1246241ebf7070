"""Exit codes are one table: what the code has stands in the README, and nothing else."""

import re
from pathlib import Path

from numbergroup.cli.exit_codes import ExitCode

README = Path(__file__).parents[3] / "README.md"


def test_the_table_in_the_readme() -> None:
    """Every code that a command may end with is there, once."""
    table = README.read_text("utf-8").partition("| exit code | |")[2].partition("\n\n")[0]
    assert [int(code) for code in re.findall(r"^\| ([0-9]+) \|", table, re.MULTILINE)] == sorted(ExitCode)
