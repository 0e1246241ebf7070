"""`python -m contracts.schemas`: write the schemas; `--check`: say whether they are as they should be."""

import argparse
import sys

from contracts.schemas import DIRECTORY, NAMES, text


def main(arguments: list[str] | None = None) -> int:
    """0 done, 1 with `--check` when a file differs from what the models give."""
    parser = argparse.ArgumentParser(
        prog="python -m contracts.schemas", description="Write the JSON Schemas."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    check: bool = parser.parse_args(arguments).check
    files = {DIRECTORY / f"{name}.json": text(name) for name in NAMES}
    stale = [
        path for path, content in files.items() if not path.exists() or path.read_text("ascii") != content
    ]
    strays = sorted(set(DIRECTORY.glob("*.json")) - set(files))
    if not check:
        for path in stale:
            path.write_text(files[path], "ascii")
        for path in strays:
            path.unlink()
        return 0
    for path in stale:
        print(f"{path.name} differs from the models: run `python -m contracts.schemas`", file=sys.stderr)
    for path in strays:
        print(f"{path.name} belongs to no model: run `python -m contracts.schemas`", file=sys.stderr)
    return 1 if stale or strays else 0


if __name__ == "__main__":
    sys.exit(main())
