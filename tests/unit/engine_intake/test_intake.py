"""Intake of good messages: what a command says, where its answer goes, and what counts as the same."""

import itertools
from typing import Any

import pytest
from intake_cases import KEY, PHONE, body, entry, event, one_command, one_refusal, read

from numbergroup.engine.commands import Command, CommandKey, CommandKind, GroupRef, HandleKind, Origin
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.verdicts import Refusal

OTHER = "85235753351"


def keyed(**data: Any) -> dict[str, Any]:
    return event(data={"groupKey": "k", "operateType": "add", "phones": [PHONE]} | data)


class TestCommands:
    @pytest.mark.parametrize(
        ("wire", "kind"),
        [
            *(("add", CommandKind.ADD), ("delete", CommandKind.DELETE), ("replace", CommandKind.REPLACE)),
            *((0, CommandKind.ADD), (1, CommandKind.DELETE), (2, CommandKind.REPLACE)),
        ],
    )
    def test_update(self, wire: str | int, kind: CommandKind) -> None:
        command = one_command(event(data={"groupId": "g", "operateType": wire, "phones": f"{PHONE},{OTHER}"}))
        assert command.key == KEY
        assert command.type == "numbergroup.update.v1"
        assert command.kind is kind
        assert command.group == GroupRef("default", HandleKind.ID, "g")
        assert command.numbers == (PHONE, OTHER)
        assert (command.expires_at, command.number_expiry) == (None, None)

    def test_create(self) -> None:
        command = one_command(
            event(type_="create", data={"phones": [PHONE], "groupName": "n", "remark": "r", "groupKey": "k"})
        )
        assert command.kind is CommandKind.CREATE
        assert command.group == GroupRef("default", HandleKind.KEY, "k")
        assert (command.numbers, command.group_name, command.remark) == ((PHONE,), "n", "r")

    def test_create_without_a_key_is_alone_in_its_mailbox(self) -> None:
        refs = {
            one_command(event(name, type_="create", data={"phones": [PHONE]}, source=source)).group
            for name, source in (("a", "b"), ("b", "a"), ("ab", "c"), ("a", "bc"))
        }
        assert len(refs) == 4
        assert {ref.kind for ref in refs} == {HandleKind.OWN}

    def test_delete(self) -> None:
        command = one_command(event(type_="delete", data={"groupKey": "k"}, account="other"))
        assert command.kind is CommandKind.DELETE_GROUP
        assert command.group == GroupRef("other", HandleKind.KEY, "k")
        assert command.numbers == ()

    def test_list(self) -> None:
        command = one_command(event(type_="list", data={"limit": 0, "offset": 7}))
        assert command.kind is CommandKind.LIST
        assert command.group.kind is HandleKind.OWN
        assert (command.limit, command.offset) == (0, 7)
        command = one_command(event(type_="list", data={}))
        assert (command.limit, command.offset) == (1000, 0)

    def test_times_are_unix_seconds(self) -> None:
        data = {"groupId": "g", "operateType": "add", "phones": [PHONE], "expiresAt": "1970-01-01T00:00:01Z"}
        command = one_command(event(data=data, expirytime="1970-01-01T01:00:00.5+01:00"))
        assert (command.expires_at, command.number_expiry) == (0.5, 1.0)

    def test_space_around_a_message(self) -> None:
        assert one_command(b" \r\n\t" + body(event()) + b" \n").key == KEY
        assert [item.origin.index for item in read(b" \n[ " + body(event()) + b",1\t] ")[1:]] == [1]  # type: ignore[union-attr]


class TestAnswers:
    """Where the answer goes: the event's own attribute before the message's property."""

    def origin(self, value: Any) -> Origin:
        message = entry(value)
        message.reply_to, message.correlation_id = "their.queue", "77"
        (item,) = Intake().read(message)
        return item.origin if isinstance(item, Refusal) else item.origins[0]

    @pytest.mark.parametrize("bad", [{}, {"data": None}], ids=["command", "refusal"])
    def test_attributes_go_before_properties(self, bad: dict[str, Any]) -> None:
        own = {"replyto": "mine", "correlationid": "order 1", "traceparent": "00-1-2-01"}
        origin = self.origin(event(**own, **bad))
        assert (origin.reply_to, origin.correlation_id, origin.traceparent) == (
            "mine",
            "order 1",
            "00-1-2-01",
        )

    @pytest.mark.parametrize("bad", [{}, {"data": None}], ids=["command", "refusal"])
    def test_properties_where_attributes_are_missing(self, bad: dict[str, Any]) -> None:
        """A refusal, too, is answered where the message asks for it."""
        for attributes in ({}, {"replyto": None, "correlationid": None}):
            origin = self.origin(event(**attributes, **bad))
            assert (origin.reply_to, origin.correlation_id) == ("their.queue", "77")

    @pytest.mark.parametrize("bad", ["a\nb", "x\x1b[2J", "x" * 256, 7, ["q"]], ids=ascii)
    def test_unusable_attributes_of_a_refusal(self, bad: Any) -> None:
        """What is wrong in them does not come back."""
        origin = self.origin(event(replyto=bad, correlationid=bad, traceparent=bad))
        assert (origin.reply_to, origin.correlation_id, origin.traceparent) == ("their.queue", "77", None)

    def test_properties_hold_for_each_event_of_an_array(self) -> None:
        message = entry([event("a"), event("b", replyto="mine"), event("c", data=None) | {"data": 0}])
        message.reply_to = "their.queue"
        items = Intake().read(message)
        origins = [item.origin if isinstance(item, Refusal) else item.origins[0] for item in items]
        assert [origin.reply_to for origin in origins] == ["their.queue", "mine", "their.queue"]
        assert all(origin.entry is message for origin in origins)


class TestArrays:
    def test_order_and_indexes(self) -> None:
        message = entry([event(f"c-{n}") for n in range(1000)])
        items = Intake().read(message)
        assert (message.is_array, message.total) == (True, 1000)
        assert [item.key for item in items] == [CommandKey("crm", f"c-{n}") for n in range(1000)]
        assert [one.index for item in items if isinstance(item, Command) for one in item.origins] == list(
            range(1000)
        )

    def test_array_of_one_is_an_array(self) -> None:
        message = entry([event()])
        assert len(Intake().read(message)) == 1
        assert (message.is_array, message.total) == (True, 1)

    def test_one_event_is_no_array(self) -> None:
        message = entry(event())
        message.is_array, message.total = True, 7
        Intake().read(message)
        assert (message.is_array, message.total) == (False, 1)

    @pytest.mark.parametrize("bad", [None, 2], ids=["all good", "one bad"])
    def test_settled_events_are_left_out(self, bad: int | None) -> None:
        """Of what a message still owes after a crash, nothing is taken in twice; its total is the same."""
        events: list[Any] = [event(f"c-{n}") for n in range(5)]
        if bad is not None:
            events[bad] = {"id": "c-2"}
        for settled in ((), (0,), (2,), (1, 3), (0, 1, 2, 3)):
            message = entry(events, *settled)
            items = Intake().read(message)
            assert (message.is_array, message.total, message.settled) == (True, 5, set(settled))
            indexes = [
                item.origin.index if isinstance(item, Refusal) else item.origins[0].index for item in items
            ]
            assert indexes == [index for index in range(5) if index not in settled]

    def test_settled_events_of_an_array_refused_as_a_whole(self) -> None:
        """The same holds for one that is too long."""
        events = [event(f"c-{n}") for n in range(1001)]
        message = entry(events, *range(1000))
        (item,) = Intake().read(message)
        assert isinstance(item, Refusal)
        assert item.key == CommandKey("crm", "c-1000")
        assert message.total == 1001

    def test_events_are_kept_as_they_arrived(self) -> None:
        """The letter of one event has its own bytes, spaces and all."""
        bad = b'{ "id" : "x",\n"source":"crm", "n": 1.50, "id" : "y" }'
        items = read(b"[" + body(event()) + b" , " + bad + b" ]")
        assert isinstance(items[1], Refusal)
        assert items[1].body == bad
        assert items[1].key == CommandKey("crm", "y")


class TestFingerprints:
    """Whether a second command under the same `(source, id)` says the same."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (event(), event(time="2026-11-21T00:00:00Z", correlationid="x", comexample=1)),
            (event(), event(account="default")),
            (
                event(data={"groupId": "g", "operateType": "add", "phones": [PHONE, OTHER, PHONE]}),
                event(
                    data={"phones": f"{PHONE},{OTHER}", "operateType": 0, "groupId": "g", "groupKey": None}
                ),
            ),
            (event(type_="list", data={}), event(type_="list", data={"limit": 1000, "offset": 0})),
        ],
    )
    def test_same(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        """However it is written."""
        assert one_command(first).fingerprint == one_command(second).fingerprint

    def test_different(self) -> None:
        """Whatever is asked differently makes a difference, and nothing runs into its neighbour."""
        name = {"groupName": "n"}
        asked = [
            event(),
            event(account="other"),
            event(data={"groupId": "g", "operateType": "delete", "phones": [PHONE]}),
            event(data={"groupId": "g", "operateType": "replace", "phones": [PHONE]}),
            event(data={"groupId": "g", "operateType": "replace", "phones": []}),
            event(data={"groupId": "g", "operateType": "add", "phones": [OTHER]}),
            event(data={"groupId": "g", "operateType": "add", "phones": [PHONE, OTHER]}),
            event(data={"groupId": "h", "operateType": "add", "phones": [PHONE]}),
            event(
                data={
                    "groupId": "g",
                    "operateType": "add",
                    "phones": [PHONE],
                    "expiresAt": "2030-01-01T00:00:00Z",
                }
            ),
            keyed(),
            keyed(groupKey="g"),
            event(type_="create", data={"phones": [PHONE]}),
            event(type_="create", data={"phones": [PHONE], "groupKey": "k"}),
            event(type_="create", data={"phones": [PHONE], "groupName": "n"}),
            event(type_="create", data={"phones": [PHONE], "remark": "n"}),
            event(type_="create", data={"phones": [PHONE], "remark": "None"}),
            event(type_="create", data={"phones": [PHONE], "groupName": "n\0o", "remark": "p"}),
            event(type_="create", data={"phones": [PHONE], "groupName": "n", "remark": "o\0p"}),
            event(type_="create", data={"phones": [PHONE], "groupName": "n', 'o", "remark": "p"}),
            event(type_="create", data={"phones": [PHONE], **name, "remark": "o', 'p"}),
            event(type_="delete", data={"groupId": "g"}),
            event(type_="delete", data={"groupKey": "g"}),
            event(type_="list", data={}),
            event(type_="list", data={"limit": 1}),
            event(type_="list", data={"offset": 1}),
        ]
        marks = [one_command(one).fingerprint for one in asked]
        assert len(set(marks)) == len(marks)

    def test_they_are_stored_and_do_not_change(self) -> None:
        """A worker of another version compares with them."""
        assert one_command(event()).fingerprint == "099257ef28fa"


def test_limit_is_on_bytes() -> None:
    message = body(event(account="ü"))
    assert isinstance(Intake(len(message)).read(entry(message))[0], Command)
    assert isinstance(Intake(len(message) - 1).read(entry(message))[0], Refusal)


def test_refusals_name_the_place() -> None:
    """What is wrong, and where: as the producer wrote it."""
    for bad, said in {
        "phones.0: ": event(data={"groupId": "g", "operateType": "add", "phones": ["1"]}),
        "data.operateType: ": event(data={"groupId": "g", "operateType": "merge", "phones": [PHONE]}),
        "data.groupID: is unknown": event(data={"groupID": "g"}, type_="delete"),
        "data: exactly one of groupId and groupKey": event(data={}, type_="delete"),
        "type: none of 'numbergroup.create.v1'": event(type_="move"),
        "type: is missing": {"id": "c-1", "source": "crm"},
        "specversion: ": event(specversion="0.3"),
        "expirytime: must be a date-time of RFC 3339": event(expirytime="tomorrow"),
        "event: must be an object": 7,
        "not JSON: ": b"{",
        "phones.0: must be 7 to 15 digits": event(data={"groupId": "g", "operateType": 0, "phones": ["+1"]}),
        "phones: must be numbers of 7": event(data={"groupId": "g", "operateType": 0, "phones": "1, 2"}),
        "replyto: must have printable characters": event(replyto="a\n"),
        "datacontenttype: must be application/json": event(datacontenttype="text/plain"),
    }.items():
        assert bad in one_refusal(said).message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"phones": f"+{PHONE}"},
            "data.phones: must be numbers of 7 to 15 digits with the country code, the first one not 0",
        ),
        (
            {"phones": [PHONE, f"0{PHONE}"]},
            "data.phones.1: must be 7 to 15 digits with the country code, the first one not 0, without a +",
        ),
        ({"phones": [int(PHONE)]}, "data.phones.0: must be a string"),
        (
            {"phones": int(PHONE)},
            "data.phones: must be an array of strings, or one string of numbers joined by commas",
        ),
        ({"operateType": 7}, "data.operateType: must be 'add', 'delete' or 'replace', or 0, 1 or 2"),
        ({"groupId": ""}, "data.groupId: must have at least 1 character"),
    ],
)
def test_a_bad_value_is_one_problem(given: dict[str, Any], said: str) -> None:
    """However many forms it might have had; and it is told in the words of the contract."""
    data = {"groupId": "g", "operateType": "add", "phones": [PHONE]} | given
    assert one_refusal(event(data=data)).message.removesuffix(", joined by commas without spaces") == said


def test_many_problems_are_counted() -> None:
    """A message stays short, and the time to make it too."""
    few = one_refusal(event(data=dict.fromkeys(itertools.islice(_names(), 10), 1)))
    assert few.message.endswith("; and 9 more")
    many = one_refusal(event(data=dict.fromkeys(itertools.islice(_names(), 50_000), 1)))
    assert many.message == "event: 50002 problems"


def _names() -> Any:
    return ("".join(letters) for letters in itertools.product("abcdefgh", repeat=7))
