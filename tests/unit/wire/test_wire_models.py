"""The models against the wire page, line by line: lenient where it is lenient, strict elsewhere."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from wire_cases import UNPRINTABLE, body, command, with_data

from numbergroup_contracts.commands import (
    COMMAND_ADAPTER,
    CREATE,
    DELETE,
    LIST,
    AnyCommand,
    CreateGroup,
    DeleteGroup,
    ListGroups,
    UpdateGroup,
)
from numbergroup_contracts.results import RESULT_ADAPTER, ResultEvent, Status


def read(value: Any) -> AnyCommand:
    return COMMAND_ADAPTER.validate_json(body(value))


def update(**members: Any) -> UpdateGroup:
    event = read(with_data(**members))
    assert isinstance(event, UpdateGroup)
    return event


def refused(value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        read(value)
    return str(caught.value)


class TestEnvelope:
    def test_type_chooses_the_model(self) -> None:
        models = [type(read(command(type_))) for type_ in ("numbergroup.update.v1", CREATE, DELETE, LIST)]
        assert models == [UpdateGroup, CreateGroup, DeleteGroup, ListGroups]

    @pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "data"])
    def test_required_attributes(self, name: str) -> None:
        """Neither absent nor `null`."""
        event = command()
        refused({**event, name: None})
        del event[name]
        refused(event)

    @pytest.mark.parametrize(
        "name",
        [
            *("time", "datacontenttype", "subject", "traceparent", "correlationid"),
            *("account", "replyto", "expirytime", "sequence"),
        ],
    )
    def test_null_counts_as_absent(self, name: str) -> None:
        assert read(command(**{name: None})) == read(command())

    @pytest.mark.parametrize("value", [None, 1, "x", {"a": [1]}], ids=ascii)
    def test_extension_attributes_are_ignored(self, value: Any) -> None:
        assert read(command(comexample=value, dataschema=value)) == read(command())

    @pytest.mark.parametrize("type_", ["numbergroup.update.v1", CREATE, DELETE, LIST])
    def test_unknown_members_of_data_are_refused(self, type_: str) -> None:
        """A misspelt member must not be taken for an absent one."""
        assert "Extra inputs" in refused(with_data(type_, phoneNumbers=["85211111114"]))

    @pytest.mark.parametrize(
        "type_", ["numbergroup.update.v2", "numbergroup.result.v1", "", "NUMBERGROUP.UPDATE.V1"]
    )
    def test_unknown_types(self, type_: str) -> None:
        refused(command(type_, {}))

    @pytest.mark.parametrize("version", ["0.3", "1.1", "1", 1.0])
    def test_unknown_versions(self, version: Any) -> None:
        refused(command(specversion=version))

    def test_identifiers_have_1_to_128_printable_characters(self) -> None:
        """Characters, not bytes."""
        for name in ("id", "source"):
            read(command(**{name: "客" * 128}))
            refused(command(**{name: "客" * 129}))
            refused(command(**{name: ""}))

    @pytest.mark.parametrize("text", UNPRINTABLE.values(), ids=UNPRINTABLE)
    def test_unprintable_identifiers(self, text: str) -> None:
        """They end up in terminals and logs."""
        for name in ("id", "source", "account", "replyto", "correlationid", "traceparent"):
            refused(command(**{name: text}))
        for name in ("groupId", "groupKey"):
            refused(command(DELETE, {name: text}))

    @given(st.text(min_size=1, max_size=128).filter(str.isprintable))
    def test_every_printable_text_is_an_identifier(self, text: str) -> None:
        assert read(command(id=text)).id == text

    def test_subject_may_be_any_text_without_controls(self) -> None:
        """It is somebody else's: only what CloudEvents forbids is refused."""
        read(command(subject="x" * 5000 + "\u200d"))
        refused(command(subject="a\nb"))
        refused(command(subject=""))

    @pytest.mark.parametrize(
        "value", ["application/json", "Application/JSON;charset=utf-8", "application/x.y+json"]
    )
    def test_json_content_types(self, value: str) -> None:
        read(command(datacontenttype=value))

    @pytest.mark.parametrize("value", ["application/xml", "text/plain", "application/x-python-serialize", ""])
    def test_other_content_types(self, value: str) -> None:
        refused(command(datacontenttype=value))

    def test_times_keep_their_zone(self) -> None:
        event = read(command(expirytime="2026-11-21T09:30:00.5+05:30"))
        assert event.expirytime is not None
        assert event.expirytime.isoformat() == "2026-11-21T09:30:00.500000+05:30"
        assert event.expirytime.timestamp() == 1795233600.5

    @pytest.mark.parametrize("value", [-(2**53) + 1, -1, 0, 2**53 - 1])
    def test_sequences(self, value: int) -> None:
        assert read(command(sequence=value)).sequence == value

    @pytest.mark.parametrize("value", [True, 1.0, "1", 2**53, -(2**53)], ids=ascii)
    def test_no_sequences(self, value: Any) -> None:
        """A boolean, a float or a text is no integer."""
        refused(command(sequence=value))


class TestData:
    @pytest.mark.parametrize(
        ("wire", "operation"),
        [
            ("add", "add"),
            ("delete", "delete"),
            ("replace", "replace"),
            (0, "add"),
            (1, "delete"),
            (2, "replace"),
        ],
    )
    def test_operations(self, wire: str | int, operation: str) -> None:
        assert update(operateType=wire).data.operation == operation

    @pytest.mark.parametrize("value", [True, False, 1.0, 3, -1, "0", "Add", None], ids=ascii)
    def test_no_operations(self, value: Any) -> None:
        refused(with_data(operateType=value))

    def test_phones_as_array_and_as_text_are_the_same(self) -> None:
        assert update(phones="85211111114,85235753351").data.numbers == ("85211111114", "85235753351")
        assert update(phones=["85211111114", "85235753351"]).data.numbers == ("85211111114", "85235753351")

    def test_repeats_count_once(self) -> None:
        """In the order in which they first came."""
        assert update(phones=["85211111114", "85235753351", "85211111114"]).data.numbers == (
            "85211111114",
            "85235753351",
        )
        assert update(phones="85211111114,85211111114").data.numbers == ("85211111114",)

    @pytest.mark.parametrize("nothing", [[], ""], ids=ascii)
    def test_only_a_replace_may_be_empty(self, nothing: Any) -> None:
        assert update(phones=nothing, operateType="replace").data.numbers == ()
        assert "phones must name" in refused(with_data(phones=nothing, operateType="add"))
        assert "phones must name" in refused(with_data(phones=nothing, operateType=1))
        assert "phones must name" in refused(with_data(CREATE, phones=nothing))

    def test_ten_thousand_phones(self) -> None:
        """How many numbers a call may have is the vendor's limit, not the command's."""
        phones = [str(85_200_000_000 + n) for n in range(10_000)]
        assert update(phones=phones).data.numbers == tuple(phones)

    def test_one_bad_phone_is_enough(self) -> None:
        """A long array of bad ones costs no more to refuse than one."""
        with pytest.raises(ValidationError) as caught:
            read(with_data(phones=["0"] * 10_000))
        assert caught.value.error_count() <= 2

    def test_handle(self) -> None:
        assert update().data.handle == "6a7sd3402px21429s04"
        assert update(groupId=None, groupKey="k").data.handle == "k"

    def test_list_defaults(self) -> None:
        """Absent and `null` are the same here, too."""
        assert read(command(LIST, {"limit": None, "offset": None})) == read(command(LIST))
        event = read(command(LIST, {"limit": 0, "offset": 2**31 - 1}))
        assert isinstance(event, ListGroups)
        assert (event.data.limit, event.data.offset) == (0, 2**31 - 1)

    @pytest.mark.parametrize(
        "members", [{"limit": 1001}, {"limit": -1}, {"offset": -1}, {"limit": True}], ids=ascii
    )
    def test_no_pages(self, members: dict[str, Any]) -> None:
        refused(command(LIST, members))

    def test_commands_do_not_change(self) -> None:
        event = update()
        with pytest.raises(ValidationError, match="frozen"):
            event.id = "other"  # type: ignore[misc]


class TestResult:
    def test_what_the_engine_writes_is_read(self) -> None:
        """Members that do not apply may be `null`."""
        event = RESULT_ADAPTER.validate_json(
            body(
                {
                    "specversion": "1.0",
                    "id": "x",
                    "source": "numbergroup",
                    "type": "numbergroup.result.v1",
                    "time": "2026-11-21T09:30:00.125Z",
                    "data": {
                        "command": {"id": "c-1", "source": "crm", "type": None},
                        "status": "rejected",
                        "account": None,
                        "groupId": None,
                        "requestIds": [],
                        "mergedCommands": 0,
                        "error": {"kind": "invalid", "code": None, "message": "not JSON"},
                        "deadLetterId": "0-1-0",
                    },
                }
            )
        )
        assert isinstance(event, ResultEvent)
        assert event.data.status is Status.REJECTED

    @pytest.mark.parametrize("status", ["done", "", None, 1], ids=ascii)
    def test_no_statuses(self, status: Any) -> None:
        data = {"command": {"id": "c-1", "source": "crm"}, "status": status}
        with pytest.raises(ValidationError):
            RESULT_ADAPTER.validate_json(body(command("numbergroup.result.v1", data)))
