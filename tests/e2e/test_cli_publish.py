"""`numbergroup publish`: files of commands go to the stream whole, or not at all."""

import json

import pytest
from e2e_cli import Shell
from e2e_stage import COMMANDS, Stage

from numbergroup_contracts.commands import BATCH_ADAPTER, COMMAND_ADAPTER

pytestmark = pytest.mark.redis_server

EVENT = (
    '{"specversion": "1.0", "id": "c-1", "source": "crm", "type": "numbergroup.update.v1",'
    ' "data": {"groupId": "g1", "operateType": "add", "phones": ["85211111114"]}}'
)
BARE = '{"groupId": "g1", "operateType": "delete", "phones": "85211111114,85211111115"}'


def bodies(stage: Stage) -> list[bytes]:
    return [fields[b"event"] for _, fields in stage.redis.client.xrange(COMMANDS)]


def test_events_and_bare_data(stage: Stage, shell: Shell) -> None:
    """An event goes out byte by byte as it stands; bare data gets an envelope of the type that it fits."""
    data = [
        BARE,
        '{"phones": ["85211111114"], "groupKey": "k"}',
        '{"groupKey": "k", "operateType": "add", "phones": "85211111114"}',
        '{"limit": 10, "offset": 0}',
    ]
    file = shell.write("commands.ndjson", "\ufeff" + EVENT, "", *data, "  ")
    done = shell("publish", file, "--source", "ops", "--account", "default")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"published 5 commands to {stage.redis.url}\n"
    first, *others = bodies(stage)
    assert first == EVENT.encode()
    events = [COMMAND_ADAPTER.validate_json(body) for body in others]
    assert [event.type.split(".")[1] for event in events] == ["update", "create", "update", "list"]
    assert {event.source for event in events} == {"ops"}
    assert {event.account for event in events} == {"default"}
    assert len({event.id for event in events}) == 4


@pytest.mark.parametrize(
    "line", ['{"groupId": "g1"}', '{"groupKey": "k"}', '{"groupId": "g1", "phones": ["85211111114"]}']
)
def test_bare_data_never_deletes_a_group(stage: Stage, shell: Shell, line: str) -> None:
    """A line that has lost a field or two is refused: to delete a group takes an event that says so."""
    done = shell("publish", shell.write("commands.ndjson", line))
    assert done.code == 1
    assert "operateType: is missing" in done.err
    assert bodies(stage) == []


def test_arrays(stage: Stage, shell: Shell) -> None:
    """`--batch` packs events into arrays; an array in the file counts as its events."""
    other = EVENT.replace("c-1", "c-2")
    file = shell.write("commands.ndjson", f"[{EVENT}, {other}]", *[BARE] * 5)
    done = shell("publish", file, "--batch", "3")
    assert (done.code, done.out) == (0, f"published 7 commands in 3 messages to {stage.redis.url}\n")
    arrays = [BATCH_ADAPTER.validate_json(body) for body in bodies(stage)]
    assert [len(array) for array in arrays] == [3, 3, 1]
    assert [event.id for event in arrays[0]][:2] == ["c-1", "c-2"]


def test_arrays_that_would_be_too_large(stage: Stage, shell: Shell) -> None:
    """No array is larger than a message may be."""
    file = shell.write("commands.ndjson", *[EVENT.replace("c-1", f"c-{n:03}") for n in range(100)])
    done = shell("publish", file, "--batch", "1000", MAX_MESSAGE_BYTES="2000")
    assert done.code == 0
    sent = bodies(stage)
    assert max(len(body) for body in sent) <= 2000
    ids = [event.id for body in sent for event in BATCH_ADAPTER.validate_json(body)]
    assert ids == [f"c-{n:03}" for n in range(100)]


def test_standard_input(stage: Stage, shell: Shell) -> None:
    """`-` reads it; one who sent a single bare command is told its id, to look for the answer."""
    done = shell("publish", "-", stdin=BARE.encode())
    assert done.code == 0
    (body,) = bodies(stage)
    assert f"published 1 command (id {json.loads(body)['id']}) to" in done.out
    assert shell("publish", "-").out == f"published 0 commands to {stage.redis.url}\n"


def test_nothing_is_sent_when_a_line_is_bad(stage: Stage, shell: Shell) -> None:
    """Exit code 1; every bad line is named with its number and what is wrong, and none is sent."""
    bad = [
        BARE.replace("85211111114,", "+85211111114,"),
        "not JSON",
        BARE.replace("delete", "merge"),
        EVENT.replace("update.v1", "move.v1"),
        f"[{EVENT}, 7]",
        '{"groupID": "g1", "operateType": "add", "phones": "85211111114"}',
        '{"id": "c-1", "source": "crm", "data": {"groupId": "g1"}}',
        EVENT.replace('["85211111114"]', "[" + ", ".join(['"85211111114"'] * 200_000) + "]"),
    ]
    file = shell.write("commands.ndjson", EVENT, *bad, BARE)
    done = shell("publish", file)
    assert (done.code, done.out) == (1, "")
    head, *lines = done.err.splitlines()
    assert head == "numbergroup: commands.ndjson: nothing was sent, because these lines are not commands:"
    assert [line.split(":")[0].strip() for line in lines] == [f"line {n}" for n in range(2, len(bad) + 2)]
    assert "85211111114" not in done.err
    assert bodies(stage) == []


def test_json_over_several_lines(shell: Shell) -> None:
    """One line says what is wrong, not one for each brace."""
    for document in (json.loads(EVENT), [json.loads(EVENT)] * 2):
        file = shell.write("pretty.json", json.dumps(document, indent=2))
        done = shell("publish", file)
        assert (done.code, done.out) == (1, "")
        (line,) = done.err.splitlines()
        assert "one JSON document over several lines" in line


def test_files_that_cannot_be_read(shell: Shell) -> None:
    """Exit code 1 and one line; of what is no text, too, in a file and on standard input."""
    packed = shell("publish", "-", stdin=b"\x1f\x8b\x08\x00")
    assert (packed.code, packed.out) == (1, "")
    assert packed.err == "numbergroup: standard input: it is compressed with gzip: unpack it first (gunzip)\n"
    file = shell.write("latin1.ndjson", EVENT, b'{"groupId": "\xff"}')
    assert shell("plan", file).err == f"numbergroup: {file}: line 2 is not UTF-8: save the file in UTF-8\n"
    assert (
        shell("publish", "missing.ndjson").err == "numbergroup: missing.ndjson: No such file or directory\n"
    )
    done = shell("publish", ".")
    assert (done.code, done.err) == (1, "numbergroup: .: Is a directory\n")


def test_a_broker_that_refuses(stage: Stage, shell: Shell) -> None:
    """What the broker says is passed on, and how much was published before it said so."""
    stage.redis.client.set(COMMANDS, "taken")
    file = shell.write("commands.ndjson", EVENT)
    done = shell("publish", file)
    assert done.code == 1
    assert done.err.startswith(f"numbergroup: the broker at {stage.redis.url} refuses: WRONGTYPE")
