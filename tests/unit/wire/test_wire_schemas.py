"""The JSON Schemas: they are what the models give, every language can read them, and they are as strict."""

import json
import re
from datetime import datetime
from functools import cache
from typing import Any

import contract_files
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, FormatChecker
from profiles import examples
from pydantic import TypeAdapter, ValidationError
from wire_cases import (
    GOOD,
    IDENTIFIERS,
    NO_IDENTIFIERS,
    NO_PHONES,
    NO_TIMES,
    PHONES,
    TIMES,
    body,
    command,
    commands,
    with_data,
)

from numbergroup_contracts import schemas
from numbergroup_contracts.commands import BATCH_ADAPTER, COMMAND_ADAPTER, CREATE, DELETE, LIST, UPDATE
from numbergroup_contracts.schemas import main


def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value.upper()))


FORMATS = FormatChecker(())
FORMATS.checkers["date-time"] = (_is_date_time, ValueError)


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(contract_files.schema(name), format_checker=FORMATS)


def accepts(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_json(body(value))
    except ValidationError:
        return False
    return True


def agree(value: Any) -> bool:
    """Whether the command is taken: by all who should say so, or by none."""
    verdict = accepts(COMMAND_ADAPTER, value)
    assert validator("command").is_valid(value) is verdict, value
    assert accepts(BATCH_ADAPTER, [value]) is verdict
    assert validator("command-batch").is_valid([value]) is verdict
    if isinstance(value, dict) and value.get("type") in GOOD:
        assert validator(value["type"].split(".")[1]).is_valid(value) is verdict
    return verdict


class TestFiles:
    @pytest.mark.parametrize("name", schemas.NAMES)
    def test_committed_schemas_are_what_the_models_give(self, name: str) -> None:
        """Generating them again changes nothing."""
        assert (contract_files.SCHEMAS / f"{name}.json").read_text("ascii") == schemas.encode(name)

    def test_check_passes_on_what_is_committed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([str(contract_files.SCHEMAS), "--check"]) == 0
        assert capsys.readouterr().err == ""

    def test_check_names_what_differs_and_generating_mends_it(
        self, tmp_path: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Stale, missing and stray files fail the check by name; a run without `--check` ends that."""
        assert main([str(tmp_path)]) == 0
        assert main([str(tmp_path), "--check"]) == 0
        (tmp_path / "update.json").write_text("{}\n")
        (tmp_path / "list.json").unlink()
        (tmp_path / "stray.json").write_text("{}\n")
        assert main([str(tmp_path), "--check"]) == 1
        said = capsys.readouterr().err
        assert [line.split()[0] for line in said.splitlines()] == ["update.json", "list.json", "stray.json"]
        assert f"python -m numbergroup_contracts.schemas {tmp_path}" in said
        assert main([str(tmp_path)]) == 0
        assert main([str(tmp_path), "--check"]) == 0

    @pytest.mark.parametrize("name", schemas.NAMES)
    def test_each_schema_says_what_it_is(self, name: str) -> None:
        """A valid draft 2020-12 schema with an id of its own, a title and a description."""
        schema = contract_files.schema(name)
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"] == f"urn:numbergroup:{name}.v1"
        assert schema["title"]
        assert schema["description"]

    @pytest.mark.parametrize("name", schemas.NAMES)
    def test_patterns_keep_to_what_all_dialects_share(self, name: str) -> None:
        """ECMA-262 among them: no look-around, no named groups, no class but by its characters."""
        for pattern in _patterns(contract_files.schema(name)):
            re.compile(pattern)
            assert not re.search(r"\(\?|\[\^?\]|\[:|&&|[*+?}][+]", pattern), pattern
            assert set(re.findall(r"\\(.)", pattern)) <= {"x", ".", "+"}, pattern
            assert "\0" not in pattern


def _patterns(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["pattern"]] if isinstance(node.get("pattern"), str) else []
        return own + [one for value in node.values() for one in _patterns(value)]
    return [one for value in node for one in _patterns(value)] if isinstance(node, list) else []


class TestStrictness:
    """A schema takes what the models take, and nothing else."""

    @pytest.mark.parametrize("type_", list(GOOD))
    def test_good_commands(self, type_: str) -> None:
        assert agree(command(type_))

    @pytest.mark.parametrize("value", IDENTIFIERS)
    def test_identifiers(self, value: str) -> None:
        for name in ("id", "source", "account", "replyto", "correlationid", "traceparent"):
            assert agree(command(**{name: value}))
        assert agree(with_data(groupId=value))
        assert agree(command(DELETE, {"groupKey": value}))

    @pytest.mark.parametrize("value", NO_IDENTIFIERS, ids=ascii)
    def test_no_identifiers(self, value: Any) -> None:
        for name in ("id", "source"):
            assert not agree(command(**{name: value}))
        assert not agree(command(DELETE, {"groupKey": value}))

    @pytest.mark.parametrize("value", TIMES)
    def test_times(self, value: str) -> None:
        assert agree(command(time=value, expirytime=value))
        assert agree(with_data(expiresAt=value))

    @pytest.mark.parametrize("value", NO_TIMES, ids=ascii)
    def test_no_times(self, value: Any) -> None:
        assert not agree(command(expirytime=value))
        assert not agree(with_data(expiresAt=value))

    @pytest.mark.parametrize("value", PHONES, ids=ascii)
    def test_phones(self, value: Any) -> None:
        assert agree(with_data(phones=value))
        assert agree(with_data(CREATE, phones=value))

    @pytest.mark.parametrize("value", NO_PHONES, ids=ascii)
    def test_no_phones(self, value: Any) -> None:
        assert not agree(with_data(phones=value))
        assert not agree(with_data(CREATE, phones=value))

    @pytest.mark.parametrize("nothing", [[], ""], ids=ascii)
    def test_only_a_replace_may_be_empty(self, nothing: Any) -> None:
        for operation in ("replace", 2):
            assert agree(with_data(phones=nothing, operateType=operation))
        for operation in ("add", "delete", 0, 1):
            assert not agree(with_data(phones=nothing, operateType=operation))
        assert not agree(with_data(CREATE, phones=nothing))

    @pytest.mark.parametrize("type_", [UPDATE, DELETE])
    def test_exactly_one_handle(self, type_: str) -> None:
        """`null` counts as absent."""
        rest = {name: value for name, value in GOOD[type_].items() if name != "groupId"}
        assert agree(command(type_, rest | {"groupId": "g"}))
        assert agree(command(type_, rest | {"groupKey": "k"}))
        assert agree(command(type_, rest | {"groupId": "g", "groupKey": None}))
        assert agree(command(type_, rest | {"groupId": None, "groupKey": "k"}))
        assert not agree(command(type_, rest))
        assert not agree(command(type_, rest | {"groupId": None}))
        assert not agree(command(type_, rest | {"groupId": None, "groupKey": None}))
        assert not agree(command(type_, rest | {"groupId": "g", "groupKey": "k"}))

    @pytest.mark.parametrize("value", [True, False, 3, -1, "3", "0", "ADD", None, 0.5, []], ids=ascii)
    def test_no_operations(self, value: Any) -> None:
        assert not agree(with_data(operateType=value))

    @pytest.mark.parametrize("value", [True, "1", -(2**53), 2**53, 0.5], ids=ascii)
    def test_no_sequences(self, value: Any) -> None:
        assert not agree(command(sequence=value))

    @pytest.mark.parametrize("value", [True, "1", -1, 1001, 2**64, 0.5], ids=ascii)
    def test_no_limits(self, value: Any) -> None:
        assert not agree(command(LIST, {"limit": value}))

    @pytest.mark.parametrize("value", [None, True, 1, "x", [], [[]], {}, {"specversion": "1.0"}], ids=ascii)
    def test_what_is_no_event(self, value: Any) -> None:
        assert not agree(value)

    def test_a_batch_has_1_to_1000_events(self) -> None:
        for count, verdict in ((0, False), (1, True), (1000, True), (1001, False)):
            events = [command(DELETE)] * count
            assert accepts(BATCH_ADAPTER, events) is verdict
        for name in ("command-batch", "result-batch"):
            schema = contract_files.schema(name)
            assert (schema["minItems"], schema["maxItems"]) == (1, 1000)

    @examples(300)
    @given(commands())
    def test_schemas_and_models_agree(self, value: dict[str, Any]) -> None:
        """On anything that is nearly a command."""
        assert validator("command").is_valid(value) is accepts(COMMAND_ADAPTER, value)

    def test_repeated_names(self) -> None:
        """The last one counts, for the models as for whoever parses before a schema looks."""
        text = json.dumps(command()).replace('"id": "c-1"', '"id": "first", "id": "last"')
        assert COMMAND_ADAPTER.validate_json(text).id == "last"
        assert json.loads(text)["id"] == "last"
