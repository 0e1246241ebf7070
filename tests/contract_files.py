"""The contract as other languages read it: the committed JSON Schemas and examples."""

import json
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parents[1] / "contracts" / "schemas"
EXAMPLES = SCHEMAS.with_name("examples")


def schema(name: str) -> dict[str, Any]:
    """Return the committed JSON Schema of that name."""
    content: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text("ascii"))
    return content
