"""No function of the product takes more than five positional parameters."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("worker/numbergroup", "contracts/python/numbergroup_contracts")
MAX_POSITIONAL = 5


def _functions() -> Iterator[tuple[str, list[str]]]:
    """Each function's place, and the names of its positional parameters without `self` and `cls`."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    names = [parameter.arg for parameter in (*node.args.posonlyargs, *node.args.args)]
                    own = names[1:] if names[:1] in (["self"], ["cls"]) else names
                    yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", own


def test_positional_parameters() -> None:
    """The others are keyword-only, so that no call has to be read with the signature beside it."""
    assert [place for place, names in _functions() if len(names) > MAX_POSITIONAL] == []
