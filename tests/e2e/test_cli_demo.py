"""`numbergroup demo`: the first thing that anybody runs."""

import re

from e2e_cli import Shell


def test_demo(bare_shell: Shell) -> None:
    """Exit code 0, plain lines, and a table that says what was saved and that every promise held."""
    small = ("demo", "--commands", "300", "--groups", "8")
    tiny = ("demo", "--commands", "3", "--groups", "8", "--no-faults")
    *demos, nothing_to_save = bare_shell.at_once((*small, "--faults"), (*small, "--no-faults"), tiny)
    for done in demos:
        assert (done.code, done.err) == (0, "")
        table = rows(done.out)
        assert table["commands in"] == "300"
        assert int(table["calls made"]) + int(table["calls saved"]) == 300
        assert sum(int(table[row]) for row in table if row.startswith("results: ")) == 300
        assert {table[row] for row in ("one answer each", "nothing left", "same final groups")} == {"yes"}
    assert nothing_to_save.code == 0
    assert "calls saved" not in rows(nothing_to_save.out)


def rows(out: str) -> dict[str, str]:
    """The table's first two columns."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) > 1}
