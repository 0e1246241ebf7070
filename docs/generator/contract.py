"""The contract, from its JSON Schemas and examples."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.generator.markup import code, described, table

from numbergroup_contracts import results as result_models
from numbergroup_contracts.results import ERROR_KINDS
from numbergroup_contracts.schemas import NAMES, generate

EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"
_COMMANDS = ("create", "update", "delete", "rename", "list")
_HEAD = ("member", "type", "", "meaning")


def commands() -> str:
    """A section for each type of command: what `data` has, and examples."""
    return "\n".join(_command(name) for name in _COMMANDS)


def attributes() -> str:
    """The attributes that events of every command have."""
    schema = generate("update")
    members = {key: one for key, one in schema["properties"].items() if key != "data"}
    return _members(members, schema)


def results() -> str:
    """What `data` of a result has, with what is inside of it."""
    return _objects("ResultData", generate("result")) + _examples("result-", "result-batch")


def statuses() -> str:
    """What `status` may be."""
    return table(
        ("`status`", "meaning"),
        ((code(one.name.lower()), one.text) for one in described(result_models, inside="Status")),
    )


def kinds_of_errors() -> str:
    """What `error.kind` may be."""
    return table(("`error.kind`", "meaning"), ((code(kind), text) for kind, text in ERROR_KINDS.items()))


def dead_letters() -> str:
    """The description of a dead letter."""
    schema = generate("dead-letter")
    parts = [_objects(name, schema, titled=True) for name in ("PastFailure", "Via")]
    return "\n".join([_members(schema["properties"], schema), *parts, _examples("dead-letter")])


def schemas() -> str:
    """Where the schemas are."""
    return "\n".join(
        f"- [`{name}.json`](../../contracts/schemas/{name}.json): {generate(name)['description']}"
        for name in NAMES
    )


def examples() -> dict[str, str]:
    """The examples, by their file names without the ending."""
    return {path.stem: path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.json"))}


def _command(name: str) -> str:
    schema = generate(name)
    data = schema["$defs"][schema["properties"]["data"]["$ref"].rpartition("/")[2]]
    text = " ".join(str(schema["description"]).split())
    members = _members(data["properties"], schema, data)
    return f"### `numbergroup.{name}.v1` {{ #{name} }}\n\n{text}\n\n{members}\n{_examples(f'command-{name}')}"


_SHARED = ("ErrorInfo", "CommandRef")
"""Parts of results, which dead letters have, too."""


def _objects(name: str, schema: Mapping[str, Any], *, titled: bool = False) -> str:
    """The object of that name and those that it contains, each once; `titled`: all have a heading."""
    found: dict[str, Mapping[str, Any]] = {}

    def visit(name: str) -> None:
        if titled and name in _SHARED:
            return
        if name not in found and "properties" in (one := schema["$defs"][name]):
            found[name] = one
            for member in one["properties"].values():
                for inner in _references(member):
                    visit(inner)

    visit(name)
    return "\n".join(
        (f"### `{one}` {{ #{one.lower()} }}\n\n" if titled or one != name else "")
        + f"{' '.join(str(found[one].get('description', '')).split())}\n\n"
        + _members(found[one]["properties"], schema, found[one])
        for one in found
    )


def _members(
    members: Mapping[str, Any], schema: Mapping[str, Any], owner: Mapping[str, Any] | None = None
) -> str:
    required = (owner or schema).get("required", ())
    return table(
        _HEAD,
        (
            (code(name), _type(one), "required" if name in required else "", _text(one, schema))
            for name, one in members.items()
        ),
    )


def _text(member: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    own = member.get("description")
    inner = (schema["$defs"][name].get("description", "") for name in _references(member))
    # What follows is a list, which has a section of its own.
    return str(own or next(inner, "")).partition("\n\n")[0].partition(" So far:")[0]


def _references(member: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in member:
        yield member["$ref"].rpartition("/")[2]
    for inner in (*member.get("anyOf", ()), *([member["items"]] if "items" in member else ())):
        yield from _references(inner)


def _type(member: Mapping[str, Any]) -> str:
    """In words; that `null` counts as absent is stated once, elsewhere."""
    kinds = [_type(one) for one in member.get("anyOf", ()) if one.get("type") != "null"]
    if kinds:
        return " or ".join(dict.fromkeys(kinds))
    if "const" in member or "enum" in member:
        return ", ".join(code(str(one)) for one in member.get("enum", [member.get("const")]))
    if "$ref" in member:
        name = member["$ref"].rpartition("/")[2]
        return f"[`{name}`](#{name.lower()})" if name != "Status" else "text"
    if member.get("type") == "array":
        return f"array of {_type(member['items'])}"
    if member.get("format") == "date-time":
        return "date-time"
    return {"string": "text", "integer": "integer"}.get(str(member.get("type")), str(member.get("type")))


def _examples(*prefixes: str) -> str:
    blocks = []
    for name, text in examples().items():
        if name.startswith(prefixes):
            shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False).replace("\n", "\n    ")
            blocks.append(f'??? example "{name}"\n    ```json\n    {shown}\n    ```\n')
    return "\n".join(blocks)
