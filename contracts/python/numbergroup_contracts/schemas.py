"""Writes the contracts as JSON Schemas (draft 2020-12), for programs in other languages.

`python -m numbergroup_contracts.schemas DIRECTORY` generates them from the models. A schema and its model
accept the same values, except where JSON Schema cannot express a rule:

- JSON Schema accepts `1.0` as an integer; the models do not.
- Only validators that check `format` reject 30 February, and only some of these reject the year 0.
- If a name occurs twice in an object, the last one counts; a validator sees only that one.
- Text that UTF-8 cannot encode (half of a surrogate pair) never reaches a validator.

Patterns use only what ECMA-262, RE2, PCRE, Java, .NET, Python and Rust have in common.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from numbergroup_contracts.commands import (
    BATCH_ADAPTER,
    COMMAND_ADAPTER,
    CreateGroup,
    DeleteGroup,
    ListGroups,
    RenameGroup,
    UpdateGroup,
)
from numbergroup_contracts.dead_letters import DeadLetter
from numbergroup_contracts.results import ResultBatch, ResultEvent

_SOURCES: dict[str, tuple[TypeAdapter[Any], str, str]] = {
    "command": (
        COMMAND_ADAPTER,
        "Command",
        "One command to a group of numbers, as a CloudEvent (JSON, structured mode).",
    ),
    "command-batch": (
        BATCH_ADAPTER,
        "Commands",
        "An array of commands (the CloudEvents batch format), applied in order.",
    ),
    "create": (TypeAdapter(CreateGroup), "Create a group", "The command `numbergroup.create.v1`."),
    "update": (TypeAdapter(UpdateGroup), "Update a group", "The command `numbergroup.update.v1`."),
    "delete": (TypeAdapter(DeleteGroup), "Delete a group", "The command `numbergroup.delete.v1`."),
    "rename": (TypeAdapter(RenameGroup), "Rename a group", "The command `numbergroup.rename.v1`."),
    "list": (TypeAdapter(ListGroups), "List groups", "The command `numbergroup.list.v1`."),
    "result": (TypeAdapter(ResultEvent), "Result", "The answer to one command, as a CloudEvent."),
    "result-batch": (TypeAdapter(ResultBatch), "Results", "Answers to commands that settled together."),
    "dead-letter": (
        TypeAdapter(DeadLetter),
        "Dead letter",
        "What is known of an event that could not succeed; its bytes are stored beside this.",
    ),
}

NAMES = tuple(_SOURCES)
"""The names of all schemas; each is in the file `<name>.json`."""


class _Generator(GenerateJsonSchema):
    """pydantic's generator, without members that only pydantic or OpenAPI uses."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (titles repeat the names)
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        json_schema = super().tagged_union_schema(schema)
        json_schema.pop("discriminator", None)  # OpenAPI's; strict validators reject unknown keywords
        return json_schema


def generate(name: str) -> dict[str, Any]:
    """Return the schema of this name."""
    adapter, title, description = _SOURCES[name]
    schema = _portable(adapter.json_schema(schema_generator=_Generator, mode="validation"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:numbergroup:{name}.v1",
        "title": title,
        "description": description,
        **{key: value for key, value in schema.items() if key not in ("title", "description")},
    }


def encode(name: str) -> str:
    """Return the content of the schema's file."""
    return json.dumps(generate(name), indent=2, ensure_ascii=True) + "\n"


def _portable(node: Any) -> Any:
    """Return the schema with patterns that mean the same in every dialect."""
    if isinstance(node, list):
        return [_portable(item) for item in node]
    if not isinstance(node, dict):
        return node
    members = {key: _portable(value) for key, value in node.items()}
    if isinstance(members.get("pattern"), str):
        members["pattern"] = re.sub(r"\\u([0-9a-f]{4})", _character, members["pattern"])
        # In Python, Java and PCRE, `$` also matches before a line feed at the end.
        members["not"] = {"pattern": "\n"}
    return members


def _character(match: re.Match[str]) -> str:
    # Some dialects have no \u....; all have \x.. and the characters themselves (which JSON escapes).
    code = int(match[1], 16)
    return f"\\x{code:02x}" if code < 0x80 else chr(code)


def main(arguments: list[str] | None = None) -> int:
    """Write the schemas to a directory, or compare them with its files (`--check`).

    Returns the exit code: 1 if `--check` finds a difference, otherwise 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m numbergroup_contracts.schemas",
        description="Write the JSON Schemas of all events to DIRECTORY, one file each.",
    )
    parser.add_argument("directory", metavar="DIRECTORY", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    options = parser.parse_args(arguments)
    directory: Path = options.directory
    files = {directory / f"{name}.json": encode(name) for name in NAMES}
    stale = [
        path for path, content in files.items() if not path.exists() or path.read_text("ascii") != content
    ]
    strays = sorted(set(directory.glob("*.json")) - set(files))
    if not options.check:
        for path in stale:
            path.write_text(files[path], "ascii")
        for path in strays:
            path.unlink()
        return 0
    for path in stale:
        print(f"{path.name} differs from the models: run `{parser.prog} {directory}`", file=sys.stderr)
    for path in strays:
        print(f"{path.name} belongs to no model: run `{parser.prog} {directory}`", file=sys.stderr)
    return 1 if stale or strays else 0


if __name__ == "__main__":
    sys.exit(main())
