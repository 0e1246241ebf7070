"""The changelog says each thing once."""

import re
from collections import Counter
from pathlib import Path

CHANGELOG = Path(__file__).parents[3] / "CHANGELOG.md"


def test_no_entry_is_there_twice() -> None:
    for release in re.split(r"^## ", CHANGELOG.read_text("utf-8"), flags=re.MULTILINE):
        entries = Counter(re.split(r"^- ", release, flags=re.MULTILINE)[1:])
        assert [entry for entry, count in entries.items() if count > 1] == []
