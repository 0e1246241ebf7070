"""`numbergroup dead-letters`: what operators do with letters, and what they see of it."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dead_letters_written import NUMBERS, group_field, letter, since_key, update
from deadlines import room
from e2e_cli import Shell
from e2e_letters import AUDIT, COUNT, DEAD_LETTER_GROUPS, LETTERS, REPLAYS, left, post, replayed, some
from e2e_processes import NUMBERGROUP, environment
from e2e_stage import RedisServer

pytestmark = pytest.mark.redis_server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, durable=False)
    server.start()
    try:
        yield server
    finally:
        server.end()


@pytest.fixture
def shell(tmp_path: Path, redis: RedisServer) -> Shell:
    return Shell(tmp_path, {"BROKER_URL": redis.url})


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def ids(text: str) -> list[str]:
    return [line["id"] for line in lines(text)]


def test_lists(redis: RedisServer, shell: Shell) -> None:
    """The newest first, as many as asked for, of those that were selected; JSON, or columns with tabs."""
    post(
        redis,
        *some(7),
        letter("x", group="key:g-1", account="hk", kind="unavailable", fingerprint="abcdefabcdef"),
    )
    shown, json_, group, key, kind, old, none = shell.at_once(
        ("dead-letters", "list", "--limit", "2"),
        ("dead-letters", "list", "--json"),
        ("dead-letters", "list", "--json", "--group", "g-1"),
        ("dead-letters", "list", "--json", "--group", "key:g-1", "--account", "hk"),
        ("dead-letters", "list", "--json", "--kind", "unavailable", "--fingerprint", "abcdefabcdef"),
        ("dead-letters", "list", "--json", "--older-than", "1000w"),
        ("dead-letters", "list", "--newer-than", "1s"),
    )
    head, newest, second = (line.split("\t") for line in shown.out.splitlines())
    assert head[:4] == ["failed", "letter", "account", "group"]
    assert newest[:5] == ["2026-11-21 09:30:01", "0-x-0", "hk", "key:g-1", "unavailable"]
    assert second[1] == "0-c-6-0"
    assert shown.err == "the newest 2 of 8: --limit shows more, --by fingerprint counts them\n"
    assert ids(json_.out) == ["0-x-0", *(f"0-c-{n}-0" for n in reversed(range(7)))]
    assert ids(group.out) == ["0-x-0", "0-c-4-0", "0-c-1-0"]
    assert ids(key.out) == ids(kind.out) == ["0-x-0"]
    assert (old.code, old.out) == (0, "")
    assert (none.code, none.out, none.err) == (0, "", "no such dead letters\n")


def test_counts(redis: RedisServer, shell: Shell) -> None:
    """By what went wrong, most first, with what these letters have in common; of selected ones, too."""
    post(redis, *some(3), letter("x", kind="failed", code=None, message="# of #", fingerprint="ba9876543210"))
    whole, some_, kinds = shell.at_once(
        ("dead-letters", "list", "--by", "fingerprint", "--json"),
        ("dead-letters", "list", "--by", "fingerprint", "--json", "--group", "g-1"),
        ("dead-letters", "list", "--by", "kind"),
    )
    error = {"kind": "refused", "code": "1002", "message": "parameter error"}
    first, second = lines(whole.out)
    assert first == {"fingerprint": "0123456789ab", "letters": 3, "error": error}
    assert (second["letters"], second["error"]["message"]) == (1, "# of #")
    assert [line["letters"] for line in lines(some_.out)] == [1, 1]
    assert kinds.out == "letters\tkind\n3\trefused\n1\tfailed\n"


def test_phone_numbers(redis: RedisServer, shell: Shell) -> None:
    """They are masked wherever they may be, unless asked for."""
    post(redis, letter(message="85211111114 is none"), letter("raw", body=b"\xff 85235753351 ["))
    redis.client.hset(since_key(group_field("id:g-1")), NUMBERS[0], f"-{9 << 30}")
    asked = (
        ("list",),
        ("list", "--json"),
        ("show", "0-c-1-0"),
        ("show", "0-c-1-0", "--json"),
        ("show", "0-raw-0"),
        ("replay", "--all", "--dry-run"),
        ("replay", "--all", "--dry-run", "--json"),
        ("export",),
    )
    masked = shell.at_once(*(("dead-letters", *one) for one in asked))
    revealed = shell.at_once(*(("dead-letters", *one, "--reveal") for one in asked))
    for hidden, shown in zip(masked, revealed, strict=True):
        assert hidden.code == shown.code
        assert not any(number in hidden.out + hidden.err for number in NUMBERS)
        assert any(number in shown.out for number in NUMBERS)


def test_numbers_in_what_cannot_be_read(redis: RedisServer, shell: Shell) -> None:
    """They are masked however they are grouped, encoded or nested; times stay."""
    bodies = [
        b'{"phones": ["+852 (9876) 5432"], "time": "2026-11-21T09:30:01Z", oops',
        '{"phones": ["852-9876-5432"]}'.encode("utf-16"),
        update("c", phone="852\u200b9876\u200b5432"),
        b"[" * 251 + b'"852 9876 5432"' + b"]" * 251,
    ]
    post(redis, *(letter(f"c-{n}", body=body) for n, body in enumerate(bodies)))
    names = [f"0-c-{n}-0" for n in range(len(bodies))]
    finished = shell.at_once(
        *(("dead-letters", "show", one) for one in names),
        *(("dead-letters", "show", "--json", one) for one in names),
        ("dead-letters", "export"),
    )
    assert [one.code for one in finished] == [0] * 9
    for one in finished:
        assert not {"9876", "5432"} & set(re.findall(r"\d+", one.out.replace("\\u0000", ""))), one.out
    assert "2026-11-21T09:30:01Z" in finished[0].out


def test_show(redis: RedisServer, shell: Shell) -> None:
    """All that is known, and what a replay would leave out."""
    history = [
        {"time": "2026-11-20T01:02:03.000Z", "error": {"kind": "failed", "code": None, "message": "m"}}
    ]
    post(redis, letter("a", attempts=7, replays=1, history=history), letter("b", body=b"[1,"))
    redis.client.hset(since_key(group_field("id:g-1")), NUMBERS[0], f"-{9 << 30}")
    text, told, broken, missing = shell.at_once(
        ("dead-letters", "show", "0-a-0"),
        ("dead-letters", "show", "0-a-0", "--json"),
        ("dead-letters", "show", "0-b-0"),
        ("dead-letters", "show", "0-c-0\x1b"),
    )
    for said in (
        "error        refused 1002: parameter error\n",
        "tries        7\n",
        "before that  2026-11-20 01:02:03 failed: m\n",
        "replay       leaves out 1 number decided since: 852*****114\n",
        '"852*****351"\n',
    ):
        assert said in text.out
    (one,) = lines(told.out)
    assert one["replay"]["leftOut"] == ["852*****114"]
    assert one["body"]["data"]["operateType"] == "add"
    assert "replay       not possible: it is no command (not JSON: " in broken.out
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == "numbergroup: no such dead letter: 0-c-0\\u001b\n"


def test_terminal_escapes(redis: RedisServer, shell: Shell) -> None:
    """What producers and vendors write moves nobody's cursor."""
    post(redis, letter("a", message="\x1b[2J\r\n\u202egone", group="id:\x1b]0;x\x07"))
    for done in shell.at_once(
        ("dead-letters", "list"),
        ("dead-letters", "show", "0-a-0"),
        ("dead-letters", "replay", "0-a-0", "--dry-run"),
    ):
        assert not {"\x1b", "\r", "\x07", "\u202e"} & set(done.out + done.err)


def test_a_plan(redis: RedisServer, shell: Shell) -> None:
    """It says how many letters, of which groups, what is stale and what cannot go, and changes nothing."""
    expired = update("e", expirytime="2020-01-01T00:00:00Z")
    post(redis, *some(5), letter("raw", body=b"not JSON"), letter("e", body=expired))
    redis.client.hset(since_key(group_field("id:g-1")), "*", str(9 << 30))
    before = redis.client.xrange(LETTERS)
    text, told, forced = shell.at_once(
        ("dead-letters", "replay", "--all", "--dry-run"),
        ("dead-letters", "replay", "--all", "--dry-run", "--json"),
        ("dead-letters", "replay", "--all", "--dry-run", "--json", "--force"),
    )
    assert text.out.splitlines()[0] == "5 dead letters of 3 groups can be replayed"
    assert "2 dead letters stale, 2 of them completely" in text.out
    assert "  0-raw-0: it is no command (not JSON: " in text.out
    assert "  0-e-0: its expirytime has passed: edit it\n" in text.out
    assert text.out.endswith("Nothing was changed.\n")
    *each, last = lines(told.out)
    assert [one["id"] for one in each if one["superseded"]] == ["0-c-1-0", "0-c-4-0"]
    plan = {"letters": 7, "replayable": 5, "stale": 2, "superseded": 2, "obstacles": 2, "force": False}
    assert last == {"plan": plan}
    assert lines(forced.out)[-1]["plan"]["force"] is True
    assert redis.client.xrange(LETTERS) == before
    assert not redis.client.exists(AUDIT, REPLAYS)


def test_replays(redis: RedisServer, shell: Shell) -> None:
    """One letter at once, many with --yes, in the order in which they first failed, whatever was edited or
    imported meanwhile; and all of it is in the audit stream."""
    post(redis, *some(6, groups=2))
    assert shell(
        "dead-letters", "edit", "0-c-0-0", "--file", "-", stdin=update("c-0", "id:g-0", ["8521234567"])
    )
    one = shell("dead-letters", "replay", "0-c-3-0")
    assert (one.code, one.out.splitlines()[-1]) == (0, "replayed 1 dead letter")
    unsure = shell("dead-letters", "replay", "--all")
    assert (unsure.code, left(redis)) == (2, 5)
    assert "--yes" in unsure.err
    rest = shell("dead-letters", "replay", "--group", "id:g-0", "--yes", "--json")
    assert lines(rest.out)[0]["replayed"] == 3
    events = [json.loads(event) for event in replayed(redis)]
    assert [event["id"] for event in events] == ["c-3", "c-0", "c-2", "c-4"]
    assert events[1]["data"]["phones"] == ["8521234567"]
    assert (redis.client.get(COUNT), left(redis)) == (b"2", 2)
    assert redis.client.hgetall(DEAD_LETTER_GROUPS) == {
        group_field("id:g-0").encode(): b"3",
        group_field("id:g-1").encode(): b"3",
    }
    audited = lines(shell("dead-letters", "audit", "--json").out)
    assert [(line["action"], line["detail"]["count"]) for line in audited] == [
        ("replay", 3),
        ("replay", 1),
        ("edit", 1),
    ]
    assert audited[0]["detail"]["filter"] == {"group": "id:g-0"}
    assert "@" in audited[0]["who"]


def test_what_cannot_be_replayed(redis: RedisServer, shell: Shell) -> None:
    """It stays where it is, and exit code 1 says so when there was nothing else; an id that is not there
    keeps all others from being touched."""
    post(redis, letter("raw", body=b"\xff"), letter("good"))
    hopeless = shell("dead-letters", "replay", "0-raw-0")
    assert hopeless.code == 1
    missing = shell("dead-letters", "replay", "0-good-0", "0-none-0", "--yes")
    assert (missing.code, left(redis)) == (1, 2)
    assert missing.err == "numbergroup: no such dead letter: 0-none-0; nothing was changed\n"
    both = shell("dead-letters", "replay", "--all", "--yes")
    assert (both.code, left(redis), len(replayed(redis))) == (0, 1, 1)


def test_an_edit(redis: RedisServer, shell: Shell) -> None:
    """It must be a command that workers take, of the same source and id; then it can be replayed at once."""
    post(redis, letter("a", body=b'{"id": "a"'), letter("raw", body=b"\xff", command=None, group=None))
    good = update("a", "id:g-1")
    refused = [
        (b"{}", "the new event is not a valid command: "),
        (update("b"), "the new event must keep the source crm and the id a"),
        (b"[" + good + b"]", "the new event must be one event, not an array"),
        (
            update("a", phones=["852"]),
            "the new event is not a valid command: data.phones.0: must be 7 to 15 digits",
        ),
    ]
    for body, said in refused:
        done = shell("dead-letters", "edit", "0-a-0", "--file", "-", stdin=body)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"numbergroup: {said}")
    shell.write("good.json", good)
    done = shell("dead-letters", "edit", "0-a-0", "--file", "good.json", "--replay")
    assert (done.code, done.out) == (0, "edited 0-a-0\nreplayed 1 dead letter\n")
    assert replayed(redis) == [good]
    named = shell("dead-letters", "edit", "0-raw-0", "--file", "-", "--json", stdin=update("new", "key:k"))
    assert lines(named.out) == [{"edited": "0-raw-0"}]
    (shown,) = lines(shell("dead-letters", "show", "0-raw-0", "--json").out)
    assert (shown["command"]["id"], shown["group"], shown["edited"]) == ("new", "key:k", True)
    assert shown["original"] == "\\xff"
    assert redis.client.hget(DEAD_LETTER_GROUPS, group_field("key:k")) == b"1"


def test_a_discard_and_back(redis: RedisServer, shell: Shell) -> None:
    """A copy is made that others cannot read, under a name that is free, and from it all comes back."""
    post(redis, *some(5), letter("raw", body=b"\xff\x00", group=None, account=None))
    before = [fields for _, fields in redis.client.xrange(LETTERS)]
    assert shell("dead-letters", "discard", "--all").code == 2
    shell.write("taken.ndjson", "mine")
    taken = shell("dead-letters", "discard", "--all", "--yes", "--export", "taken.ndjson")
    assert (taken.code, taken.err) == (
        1,
        "numbergroup: taken.ndjson exists already, and is not overwritten\n",
    )
    assert (shell.folder / "taken.ndjson").read_text() == "mine\n"
    assert left(redis) == 6
    done = shell("dead-letters", "discard", "--all", "--yes")
    (file,) = shell.folder.glob("dead-letters-*.ndjson")
    assert done.out == f"6 dead letters copied to {file.name}\ndiscarded 6 dead letters\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert left(redis) == 0
    assert not redis.client.exists(COUNT, DEAD_LETTER_GROUPS)

    back = shell("dead-letters", "import", file.name)
    assert (back.code, back.out) == (0, "imported 6 dead letters\n")
    again = shell("dead-letters", "import", "-", stdin=file.read_bytes())
    assert again.out == "imported 0 dead letters\nskipped 6 dead letters: already in the ledger\n"
    after = [fields for _, fields in redis.client.xrange(LETTERS)]
    assert [{**one, b"watched": b""} for one in before[:5]] == [{**one, b"watched": b""} for one in after[:5]]
    assert {**before[5]} == {name: value for name, value in after[5].items() if name in before[5]}
    assert redis.client.get(COUNT) == b"6"
    no_copy = shell("dead-letters", "discard", "0-c-1-0", "--yes", "--no-export", "--json")
    assert lines(no_copy.out) == [{"export": None, "discarded": 1, "gone": 0, "left": 0}]


def test_nothing_to_discard(redis: RedisServer, shell: Shell) -> None:
    """Then there is no file either, nor when a letter is not there."""
    none = shell("dead-letters", "discard", "--kind", "unavailable", "--yes")
    assert (none.code, none.out) == (0, "discarded 0 dead letters\n")
    assert shell("dead-letters", "discard", "0-a-0", "--yes").code == 1
    assert list(shell.folder.glob("dead-letters-*")) == []
    assert not redis.client.exists(AUDIT)


def test_masked_exports(redis: RedisServer, shell: Shell) -> None:
    """They say that they are, and are not taken in; nothing of a file is when one line is wrong."""
    post(redis, *some(2))
    masked = shell("dead-letters", "export", "-o", "masked.ndjson")
    assert "cannot be imported" in masked.err
    refused = shell("dead-letters", "import", "masked.ndjson")
    assert refused.code == 1
    assert "line 1: its phone numbers are masked: export with --reveal" in refused.err
    whole = shell("dead-letters", "export", "--reveal").out
    shell("dead-letters", "discard", "--all", "--yes", "--no-export")
    half = shell("dead-letters", "import", "-", stdin=(whole + '{"id": 5}\n').encode())
    assert (half.code, left(redis)) == (1, 0)
    assert "line 3: id: " in half.err


def test_a_ledger_that_refuses(redis: RedisServer, shell: Shell) -> None:
    """Nothing is lost; what was done, and what may have been, is said."""
    post(redis, *some(2))
    redis.client.set(REPLAYS, "somebody else's")
    done = shell("dead-letters", "replay", "--all", "--yes", "--json")
    assert (done.code, left(redis)) == (1, 2)
    assert lines(done.out)[0]["replayed"] == 0
    assert "refuses: WRONGTYPE numbergroup:{0}:side is no stream" in done.err
    assert "2 dead letters left; up to 2 of these may be replayed" in done.err


def test_a_reader_that_goes_away(redis: RedisServer, shell: Shell) -> None:
    """`list | head -1` is no failure, and no traceback."""
    post(redis, *some(2_000))
    for how in ("list", "export"):
        with subprocess.Popen(
            [*NUMBERGROUP, "dead-letters", how, *(("--limit", "5000") if how == "list" else ())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(shell.folder, shell.settings),
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert b"Traceback" not in process.stderr.read()
        assert process.returncode == 0


def test_junk_in_the_ledger(redis: RedisServer, shell: Shell) -> None:
    """What nobody but junk can have written there is passed over, or shown as it can be."""
    post(redis, *some(1))
    redis.client.hset("numbergroup:dead-letters:fingerprints", "junk", "9" * 5_000)
    redis.client.hset(since_key(group_field("id:g-0")), "*", "9" * 5_000)
    redis.client.xadd(AUDIT, {"who": "ann", "action": "discard"}, id="99999999999999999-1")
    counts, shown, plan, audit = shell.at_once(
        ("dead-letters", "list", "--by", "fingerprint"),
        ("dead-letters", "show", "0-c-0-0"),
        ("dead-letters", "replay", "--all", "--dry-run"),
        ("dead-letters", "audit"),
    )
    assert (counts.code, shown.code, plan.code, audit.code) == (0, 0, 0, 0)
    assert "junk" not in counts.out
    assert "no later command is known to have decided any of it" in shown.out
    assert audit.out.splitlines()[1].split("\t")[:3] == ["9999-12-31 23:59:59", "ann", "discard"]


def test_names_that_are_no_text(redis: RedisServer, shell: Shell) -> None:
    """No letter has such an id; a file may have such a name."""
    post(redis, *some(1))
    odd = os.fsdecode(b"\xff")
    for command in (("show", odd), ("edit", odd, "--file", "-"), ("replay", odd), ("discard", odd, "--yes")):
        done = shell("dead-letters", *command)
        assert (done.code, "no such dead letter: \\udcff" in done.err) == (1, True), command
    assert shell("dead-letters", "discard", "--all", "--yes", "--export", odd).code == 0
    assert shell("dead-letters", "import", odd).code == 0
    assert left(redis) == 1


def test_imports_from_a_pipe(redis: RedisServer, shell: Shell) -> None:
    """As bash's `<(…)` gives one: it is read as a file is, and no copy is left."""
    post(redis, *some(2))
    assert shell("dead-letters", "discard", "--all", "--yes", "--export", "kept").code == 0
    temporary = shell.folder / "temporary"
    temporary.mkdir()
    reading, writing = os.pipe()
    os.write(writing, (shell.folder / "kept").read_bytes())
    os.close(writing)
    done = subprocess.run(
        [*NUMBERGROUP, "dead-letters", "import", f"/dev/fd/{reading}"],
        capture_output=True,
        env=environment(shell.folder, shell.settings) | {"TMPDIR": str(temporary)},
        pass_fds=[reading],
        timeout=room(20),
        check=False,
    )
    os.close(reading)
    assert (done.returncode, done.stdout) == (0, b"imported 2 dead letters\n")
    assert (left(redis), list(temporary.iterdir())) == (2, [])


def test_mistakes(shell: Shell) -> None:
    """Exit code 2, and what is wrong, before anything is done."""
    mistakes = {
        ("replay",): "give the ids of dead letters, filters, or --all",
        ("replay", "a", "--all"): "but only one of these",
        ("discard", "--kind", "refused", "--all"): "but only one of these",
        ("discard", "--all", "--export", "x", "--no-export"): "exclude each other",
        ("list", "--older-than", "2y"): "'2y' is not an age such as",
        ("list", "--older-than", "99999999w"): "too long ago",
        ("list", "--by", "moon"): "'moon' is not one of fingerprint, account, kind",
        ("edit", "a"): "give --file",
    }
    runs = (("dead-letters", *one) for one in mistakes)
    for said, done in zip(mistakes.values(), shell.at_once(*runs), strict=True):
        assert (done.code, done.out) == (2, "")
        assert said in " ".join(done.err.split())


def test_where_the_letters_are(bare_shell: Shell, redis: RedisServer) -> None:
    """Beside RabbitMQ in the ledger, which has to be named; else what is missing is said."""
    post(redis, *some(1))
    rabbit = {"BROKER_URL": "amqp://guest:guest@127.0.0.1:1//"}
    found = bare_shell("dead-letters", "list", "--json", **rabbit, LEDGER_URL=redis.url)
    assert (found.code, ids(found.out)) == (0, ["0-c-0-0"])
    nowhere = bare_shell("dead-letters", "list", **rabbit)
    assert (nowhere.code, nowhere.out) == (2, "")
    assert nowhere.err.startswith("numbergroup: NUMBERGROUP_LEDGER_URL is not set: ")
    away = bare_shell("dead-letters", "list", BROKER_URL="redis://:hidden@127.0.0.1:1/0")
    assert (away.code, away.out) == (1, "")
    assert away.err.startswith("numbergroup: no ledger answers at redis://:***@127.0.0.1:1/0 (Connection ref")
    two = bare_shell("dead-letters", "list", BROKER_URL=redis.url, LEDGER_URL="redis://127.0.0.1:1/0")
    assert (two.code, two.err.split(":")[1]) == (
        2,
        " NUMBERGROUP_LEDGER_URL differs from NUMBERGROUP_BROKER_URL",
    )
