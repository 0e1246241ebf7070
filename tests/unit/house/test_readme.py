"""The README is short, and its commands exist."""

import re

from documents import ROOT

README = (ROOT / "README.md").read_text("utf-8")
MOST_LINES = 150


def test_it_is_short() -> None:
    """What it need not say stands in the documentation."""
    assert len(README.splitlines()) <= MOST_LINES


def test_the_commands_of_the_first_screen_exist() -> None:
    """`make demo` and the like are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)", README, flags=re.MULTILINE)
    assert targets
    for code, line in targets:
        assert re.search(rf"^{code or line}:", makefile, flags=re.MULTILINE)
