"""`numbergroup groups`: what the vendor has, and the commands that make it what is wanted."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from e2e_brokers import on_both_brokers
from e2e_cli import Finished, Shell
from e2e_processes import eventually, free_port
from e2e_stage import KEY, SECRET, Stage, Vendor
from e2e_terminal import on_a_terminal

from numbergroup_contracts.commands import COMMAND_ADAPTER

pytestmark = pytest.mark.redis_server

A, B, C = "85211111114", "85235753351", "85235753311"
ACCOUNT = {"ACCOUNTS__DEFAULT__ACCESS_KEY": KEY, "ACCOUNTS__DEFAULT__ACCESS_SECRET": SECRET}
NUMBER = re.compile("[0-9]{11}")


PATIENT = {"LEASE_TTL_S": "20", "ACCOUNTS__DEFAULT__TIMEOUT_S": "15"}


@pytest.fixture
def shell(stage: Stage) -> Shell:
    """As the stage's workers, but a busy machine may take its time: requests are counted."""
    settings = {name: stage.settings[name] for name in stage.settings if "LOG" not in name}
    return Shell(stage.folder, settings | PATIENT)


def pool(group: int, count: int) -> list[str]:
    return [f"852{group:03}{n:05}" for n in range(count)]


def ndjson(groups: Mapping[str, Iterable[str]], handle: str = "groupId") -> bytes:
    lines = (json.dumps({handle: name, "phones": list(groups[name])}) for name in groups)
    return "\n".join(lines).encode()


def shape(line: str) -> tuple[str, str, int]:
    """Of a command: its group, what it does, and with how many numbers."""
    event = COMMAND_ADAPTER.validate_json(line)
    kind = event.type.split(".")[1]
    if kind == "update":
        return event.data.groupId, event.data.operation, len(event.data.numbers)
    if kind == "create":
        return event.data.groupName, kind, len(event.data.numbers)
    return event.data.groupId, kind, 0


def test_a_diff_and_its_commands_until_there_is_none(stage: Stage, shell: Shell) -> None:
    """Of 200 groups with 50,000 numbers, those that differ are changed by the fewest calls; when a worker has
    carried the commands out there is no difference."""
    listed = {f"g-{n}": pool(n, 250) for n in range(200)}
    stage.vendor.seed(listed, {"g-7": "seven"})
    wanted: dict[str, list[str]] = {name: list(reversed(listed[name])) for name in listed}
    wanted["g-1"] = listed["g-1"][:-1]  # delete 1 number
    wanted["g-2"] = [*listed["g-2"], A]  # add 1
    wanted["g-3"] = listed["g-3"][150:] + pool(900, 100)  # delete 150 and add 100: 3 calls, a replace has 2
    wanted["g-4"] = listed["g-4"][50:] + pool(901, 50)  # delete 50 and add 50: 2 calls, a replace has 3
    wanted["g-5"] = []  # 3 calls of deletions; a replace by one number, and its deletion, have 2
    del wanted["g-6"], wanted["g-7"]
    stage.numbers.update(number for numbers in (*listed.values(), *wanted.values()) for number in numbers)
    names = {"seven": pool(7, 249), "new": pool(902, 120)}
    stdin = ndjson(wanted) + b"\n" + ndjson(names, "groupName")
    sizes = {"ACCOUNTS__DEFAULT__NUMBERS_PER_CALL": "100"}
    done = shell("groups", "diff", "-", stdin=stdin, **sizes)
    assert done.code == 0
    assert [shape(line) for line in done.out.splitlines()] == [
        ("g-1", "delete", 1),
        ("g-2", "add", 1),
        ("g-3", "replace", 200),
        ("g-4", "delete", 50),
        ("g-4", "add", 50),
        ("g-5", "replace", 1),
        ("g-5", "delete", 1),
        ("g-7", "delete", 1),
        ("new", "create", 120),
    ]
    assert done.err.splitlines() == [
        "7 groups differ (5 to change, 1 to empty, 1 to create): 9 commands, 11 calls, 425 numbers",
        "193 groups are as they should be",
        "1 group not in the file, left alone (--delete-others deletes them)",
    ]
    # One page, and one that proves that there are no more.
    assert stage.vendor.count() == stage.vendor.count("listGroup") == 2

    worker = stage.worker(sizes)
    worker.says("owning the partition")
    published = shell("publish", "-", stdin=done.out.encode())
    assert (published.code, published.out.split(" to ")[0]) == (0, "published 9 commands")
    answers = stage.answers()
    eventually(lambda: answers.count == 9, "all commands are answered")
    assert set(answers.statuses().values()) <= {"applied", "superseded"}
    assert worker.stop() == 0
    assert stage.vendor.count("updateGroup", "createGroup", "deleteGroup") <= 11
    again = shell("groups", "diff", "-", "--exit-code", stdin=stdin, **sizes)
    assert (again.code, again.out) == (0, "")
    assert again.err.startswith("no differences\n200 groups are as they should be\n")


def test_all_formats(stage: Stage, shell: Shell) -> None:
    """Every group of every page: masked in the table, in full in CSV and NDJSON, which `diff` takes."""
    listed = {f"g-{n}": [f"8521{n:07}", f"8522{n:07}"][: n % 3] for n in range(1_203)}
    stage.vendor.seed(listed, {"g-1": 'Müller, "VIP"', "g-2": "calls +852 2000 0002"})
    table, as_csv, lines, as_json, narrow = shell.at_once(
        ("groups", "list"),
        ("groups", "list", "--format", "csv"),
        ("groups", "list", "--format", "ndjson"),
        ("groups", "list", "--json"),
        ("groups", "list", "--name", 'Müller, "VIP"', "--reveal"),
    )
    for done in (table, as_csv, lines, as_json, narrow):
        assert done.code == 0
    assert table.err == as_csv.err == "1,203 groups, 1,203 numbers\n"
    assert narrow.err == "1 group of 1,203, 1 number\n"
    assert stage.vendor.count("listGroup") == 10

    rows = [line.split("\t") for line in table.out.splitlines()]
    assert rows[0] == ["group", "name", "numbers", "phones", "remark"]
    assert rows[3] == ["g-2", "calls +852 **** *002", "2", "852*****002, 852*****002", "-"]
    assert len(rows) == 1_204
    assert not NUMBER.search(table.out)
    assert "8521" + "0000001" in narrow.out

    found: dict[str, list[str]] = {}
    for row in csv.DictReader(io.StringIO(as_csv.out)):
        found.setdefault(row["groupId"], []).extend([row["phone"]] if row["phone"] else [])
    assert found == listed
    assert {row["groupId"]: row["phones"] for row in map(json.loads, lines.out.splitlines())} == listed
    assert lines.out == as_json.out
    for form in (as_csv, lines):
        same = shell("groups", "diff", "-", stdin=form.out.encode())
        assert (same.code, same.out, same.err) == (
            0,
            "",
            "no differences\n1,203 groups are as they should be\n",
        )


def test_on_a_terminal(stage: Stage) -> None:
    """A table with columns, and numbers only when they are asked for."""
    stage.vendor.seed({"g-1": [A, B, C, "85220000001"]})
    with on_a_terminal(stage.folder, stage.settings, "groups", "list") as terminal:
        assert terminal.ended() == 0
        assert "852*****114, 852*****351, 852*****311, …" in terminal.screen
        assert "\t" not in terminal.screen
        assert "1 group, 4 numbers" in terminal.screen
    with on_a_terminal(stage.folder, stage.settings, "groups", "list", "--reveal") as terminal:
        assert terminal.ended() == 0
        assert A in terminal.screen


def test_none(stage: Stage, shell: Shell) -> None:
    """No groups are none, and no failure."""
    none, csv_of_none = shell.at_once(("groups", "list"), ("groups", "list", "--format", "csv"))
    assert (none.code, none.out, none.err) == (0, "", "0 groups\n")
    assert csv_of_none.out == "groupId,groupName,phone,remark\n"
    stage.vendor.seed({"g-1": [A]})
    other = shell("groups", "list", "--group", "g-2")
    assert (other.code, other.out, other.err) == (0, "", "no such groups\n")


def test_options_of_diff(stage: Stage, shell: Shell) -> None:
    """Others are deleted, a file is written, ids and source are chosen, and the exit code tells, when that is
    asked for; ids are new ones every time."""
    stage.vendor.seed({"g-1": [A], "g-2": [B]})
    stdin = f"groupId,phone\ng-1,{A}\n".encode()
    alone = shell("groups", "diff", "-", "--exit-code", stdin=stdin)
    assert (alone.code, alone.out) == (0, "")
    options = ("--delete-others", "--exit-code", "-o", "out.ndjson", "--source", "ops", "--ids-prefix", "x-")
    done = shell("groups", "diff", "-", *options, stdin=stdin)
    assert (done.code, done.out) == (3, "")
    assert "1 group differs" in done.err
    file = stage.folder / "out.ndjson"
    assert file.stat().st_mode & 0o777 == 0o600
    event = COMMAND_ADAPTER.validate_json(file.read_bytes())
    assert (event.type, event.source, event.account) == ("numbergroup.delete.v1", "ops", "default")
    assert event.id.startswith("x-")
    assert event.data.handle == "g-2"
    there = shell("groups", "diff", "-", *options, stdin=stdin)
    assert (there.code, "out.ndjson exists already" in there.err) == (1, True)
    again = shell("groups", "diff", "-", "--delete-others", "--ids-prefix", "x-", stdin=stdin)
    assert (again.code, len(again.out.splitlines())) == (0, 1)
    assert COMMAND_ADAPTER.validate_json(again.out).id != event.id


def test_no_replace(stage: Stage, shell: Shell) -> None:
    """Whoever wants to touch nothing but the difference says so."""
    stage.vendor.seed({"g-1": [A, B]})
    stdin = f"groupId,phone\ng-1,{C}\n".encode()
    replace = shell("groups", "diff", "-", stdin=stdin)
    edit = shell("groups", "diff", "-", "--no-replace", stdin=stdin)
    assert [shape(line) for line in replace.out.splitlines()] == [("g-1", "replace", 1)]
    assert [shape(line) for line in edit.out.splitlines()] == [("g-1", "delete", 2), ("g-1", "add", 1)]


@on_both_brokers
def test_what_waits_is_said(stage: Stage, shell: Shell) -> None:
    """A diff does not know of commands that nobody has carried out yet, and says that there are some."""
    stage.vendor.seed({"g-1": [A]})
    data = {"groupId": "g-1", "operateType": "add", "phones": [B]}
    assert shell("publish", "-", stdin=json.dumps(data).encode()).code == 0
    done = shell("groups", "diff", "-", stdin=f"groupId,phone\ng-1,{A}\n".encode())
    assert (done.code, done.out) == (0, "")
    assert "warning: 1 message waits in the broker" in done.err


@pytest.mark.alone
def test_the_limit_holds_over_all(stage: Stage, shell: Shell) -> None:
    """Pages are calls: several people who look at the same time keep to the account's rate limit."""
    stage.vendor.seed({f"g-{n}": [] for n in range(2_001)})
    limit = {"ACCOUNTS__DEFAULT__CALLS_PER_SECOND": "2"}
    for done in shell.at_once(("groups", "list", "--json"), ("groups", "list", "--json"), **limit):
        assert (done.code, len(done.out.splitlines())) == (0, 2_001)
    assert stage.vendor.count("listGroup") == 6
    assert stage.vendor.most_in_a_second() <= 2


def test_a_page_that_fails(stage: Stage, shell: Shell) -> None:
    """What may pass is tried again; what does not pass is said, and nothing is printed."""
    stage.vendor.seed({"g-1": [A]})
    stage.vendor.fault("status", status=503, times=1)
    assert shell("groups", "list").code == 0
    stage.vendor.fault("throttle", retry_after="7")
    failed(shell("groups", "list"), "throttles the account", "try again in 7 s")


def test_a_vendor_that_caps_its_pages(stage: Stage, shell: Shell) -> None:
    """It shows fewer groups at once than it is asked for: none of them is planned to be created anew."""
    stage.vendor.seed({f"g-{n}": [A] for n in range(25)}, {f"g-{n}": f"name {n}" for n in range(25)})
    stage.vendor.fault("page_cap", most=10)
    assert len(shell("groups", "list", "--json").out.splitlines()) == 25
    rows = "".join(f"name {n},{A}\n" for n in range(25))
    done = shell("groups", "diff", "-", stdin=f"groupName,phone\n{rows}".encode())
    assert (done.code, done.out) == (0, "")
    assert "no differences" in done.err


def test_a_vendor_that_counts_more_than_it_shows(stage: Stage, shell: Shell) -> None:
    """Nothing is compared with a list that is not whole; it is printed with a warning."""
    stage.vendor.seed({"g-1": [A], "g-2": [B]})
    stage.vendor.fault("hide_groups", groups=["g-2"])
    done = shell("groups", "diff", "-", stdin=f"groupId,phone\ng-1,{A}\n".encode())
    failed(done, "the vendor counts 2 groups, and lists 1")
    listed = shell("groups", "list", "--json")
    assert (listed.code, len(listed.out.splitlines())) == (0, 1)
    assert "warning: the vendor counts 2 groups, and lists 1" in listed.err


def failed(done: Finished, *said: str, code: int = 1) -> None:
    """It ends with this code and one message, without a number."""
    assert (done.code, done.out) == (code, ""), done
    for text in said:
        assert text in done.err
    assert not NUMBER.search(done.err)


def test_what_cannot_be_had(stage: Stage, shell: Shell) -> None:
    """Groups that are not there, or not only one, by their lines; no command is printed."""
    stage.vendor.seed({"g-1": [A], "g-2": [B]}, {"g-1": "vip", "g-2": "vip"})
    rows = f"groupId,groupName,phone\n,vip,{A}\ng-3,,{B}\n,new,\n"
    done = shell("groups", "diff", "-", stdin=rows.encode())
    failed(done, "line 2: 2 groups have this name (g-1, g-2)", "line 3: no group has", "line 4: no group has")


def test_bad_files(stage: Stage, shell: Shell) -> None:
    """What is wrong with a file is said before the vendor is asked."""
    failed(shell("groups", "diff", "nowhere.csv"), "nowhere.csv: No such file")
    failed(shell("groups", "diff", "-"), "standard input: the file has no groups")
    bad = f"groupId,phone\ng-1,{A}\ng-1,+{B}\n".encode()
    failed(shell("groups", "diff", "-", stdin=bad), "standard input: ", "line 3: its number begins with +")
    assert stage.vendor.count() == 0


def test_accounts_and_servers_that_are_not_there(stage: Stage, shell: Shell) -> None:
    """Exit code 2 for what is not configured, 1 for who does not answer or does not let us in."""
    nowhere = {"ACCOUNTS__DEFAULT__BASE_URL": f"http://127.0.0.1:{free_port()}/"}
    stranger = {"ACCOUNTS__DEFAULT__ACCESS_SECRET": "wrong"}
    failed(shell("groups", "list", "--account", "other"), "only default", code=2)
    failed(shell("groups", "list", "--format", "xml"), "--format", code=2)
    failed(shell("groups", "diff", "-", "--source", "\x07"), "--source", code=2)
    failed(shell("groups", "list", **nowhere), "not connected", "BASE_URL")
    failed(shell("groups", "list", **stranger), "the vendor refuses the account (1003)")
    stage.redis.kill()
    failed(shell("groups", "list"), "no ledger answers at")


def test_without_a_broker(bare_shell: Shell, shared_vendor: Vendor) -> None:
    """An account is enough; a broker that does not answer is no hindrance either, but it is said."""
    shared_vendor.reset()
    shared_vendor.seed({"g-1": [A]})
    account = {**ACCOUNT, "ACCOUNTS__DEFAULT__BASE_URL": shared_vendor.url}
    assert bare_shell("groups", "list", **account).out.splitlines()[1].startswith("g-1\t")
    failed(bare_shell("groups", "list"), "no account is configured", code=2)
    broker = {**account, "BROKER_URL": f"amqp://127.0.0.1:{free_port()}//"}
    done = bare_shell("groups", "diff", "-", stdin=f"groupId,phone\ng-1,{A}\n".encode(), **broker)
    assert (done.code, done.out) == (0, "")
    assert "warning: whether commands wait in the broker is not known" in done.err


def test_several_accounts(bare_shell: Shell, tmp_path: Path) -> None:
    """Each account has groups of its own, and the commands name theirs."""
    both = {
        f"ACCOUNTS__{name}__ACCESS_{part}": f"{name}-{part}"
        for name in ("ONE", "TWO")
        for part in ("KEY", "SECRET")
    }
    with Vendor(tmp_path, **both) as vendor:
        vendor.seed({"g-1": [A]}, access_key="ONE-KEY")
        settings = both | {f"ACCOUNTS__{name}__BASE_URL": vendor.url for name in ("ONE", "TWO")}
        stdin = f"groupName,phone\ng-1,{A}\n".encode()
        for name, expected in (("one", []), ("two", [("g-1", "create", 1)])):
            done = bare_shell("groups", "diff", "-", "--account", name, stdin=stdin, **settings)
            assert done.code == 0
            assert [shape(line) for line in done.out.splitlines()] == expected
            assert all(json.loads(line)["account"] == name for line in done.out.splitlines())
