"""`numbergroup plan`: what commands would cost, and who decides each number."""

import json
import subprocess
import sys
from pathlib import Path

from e2e_cli import Shell

DELETION = (
    '{"specversion": "1.0", "id": "c-3", "source": "crm", "type": "numbergroup.delete.v1",'
    ' "data": {"groupKey": "k2"}}'
)
CONFLICT = "another command was accepted under the same source and id; this one was not applied"


def update(name: str, operation: str, *phones: str, **attributes: str | int) -> str:
    data = {"groupId": "g1", "operateType": operation, "phones": phones}
    event = {"specversion": "1.0", "id": name, "source": "crm", "type": "numbergroup.update.v1", "data": data}
    return json.dumps(event | attributes)


def test_text(bare_shell: Shell) -> None:
    """Each group with its calls, each number with the command that decides it; bare data goes by its line."""
    file = bare_shell.write(
        "commands.ndjson",
        update("c-1", "add", "85211111111", "85211111112"),
        update("c-2", "delete", "85211111111"),
        update("c-2", "delete", "85211111111"),
        update("c-2", "delete", "85211111112"),
        '{"groupKey": "k1", "phones": "85211111113"}',
        '{"groupKey": "k1", "operateType": "add", "phones": "85211111114"}',
        '{"groupKey": "k2", "phones": "85211111113"}',
        DELETION,
        '{"groupId": "g2", "operateType": "replace", "phones": ""}',
        "{}",
    )
    done = bare_shell("plan", file)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "g1: 4 commands, 2 calls",
        "  delete 1 number",
        "    85211111111  by crm c-2",
        "  add 1 number",
        "    85211111112  by crm c-1",
        "  1 repeat, answered like the first",
        f"  rejected: crm c-2: {CONFLICT}",
        "key k1: 2 commands, 1 call",
        "  create 2 numbers",
        "    85211111113  by line 5",
        "    85211111114  by line 6",
        "key k2: 2 commands, 0 calls",
        "g2: 1 command, 1 call",
        "  read-members, then a delete of whatever they are",
        "line 10: 1 command, 1 call",
        "  list",
        "10 commands would cost 5 calls. Nothing was sent.",
    ]


def test_what_would_change_nothing(bare_shell: Shell) -> None:
    """A lower sequence and an expirytime that has passed are passed over, as the worker does."""
    file = bare_shell.write(
        "commands.ndjson",
        update("c-1", "add", "85211111111", sequence=3),
        update("c-2", "replace", "85211111112", sequence=1),
        update("c-3", "add", "85211111113", expirytime="2020-01-01T00:00:00Z"),
    )
    done = bare_shell("plan", file)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "g1: 3 commands, 1 call",
        "  add 1 number",
        "    85211111111  by crm c-1",
        "3 commands would cost 1 call. Nothing was sent.",
    ]


def test_many_numbers(bare_shell: Shell) -> None:
    """Calls are cut to what one may carry; `--numbers` shows all of them, and no line is ever broken."""
    phones = [f"852{n:08}" for n in range(1_200)]
    name = "x" * 128
    file = bare_shell.write("commands.ndjson", update(name, "add", *phones))
    out = Shell(bare_shell.folder, {}, columns=40)("plan", file).out
    assert out.startswith("g1: 1 command, 2 calls\n  add 1,000 numbers\n")
    assert "    and 995 more (--numbers shows all)\n  add 200 numbers\n" in out
    full = bare_shell("plan", file, "--numbers").out.splitlines()
    assert full.count(f"    {phones[-1]}  by crm {name}") == 1
    assert len(full) == 1 + 2 + 1_200 + 1
    account = {"ACCESS_KEY": "k", "ACCESS_SECRET": "s", "NUMBERS_PER_CALL": "500"}
    settings = {f"ACCOUNTS__DEFAULT__{key}": value for key, value in account.items()}
    assert "g1: 1 command, 3 calls\n" in bare_shell("plan", file, **settings).out


def test_json(bare_shell: Shell) -> None:
    """`--json` has the same for programs, every number in it."""
    account = {"ACCOUNTS__DEFAULT__ACCESS_KEY": "k", "ACCOUNTS__DEFAULT__ACCESS_SECRET": "s"}
    lines = [update("c-1", "replace", "85211111111"), update("c-2", "add", "85211111112", account="other")]
    done = bare_shell("plan", "-", "--json", stdin="\n".join(lines).encode(), **account)
    assert done.code == 0
    planned = json.loads(done.out)
    assert (planned["commands"], planned["calls"]) == (2, 1)
    first, second = planned["groups"]
    (call,) = first["calls"]
    assert call == {"operation": "replace", "numbers": {"85211111111": {"source": "crm", "id": "c-1"}}}
    assert (second["account"], second["calls"]) == ("other", [])
    (rejected,) = second["rejected"]
    assert rejected["message"] == "no account named 'other' is configured"


def test_bad_lines(bare_shell: Shell) -> None:
    """A plan of half a file would mislead: bad lines are named, and nothing is planned."""
    done = bare_shell("plan", "-", stdin=DELETION.encode() + b'\n{"groupId": 7}\n')
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "numbergroup: standard input: nothing was sent, because these lines are not commands:"
    )
    assert "\n  line 2: " in done.err


def test_a_full_disk(bare_shell: Shell) -> None:
    """Output that cannot be written is one line, as any error is."""
    file = bare_shell.folder / bare_shell.write("full.ndjson", update("c-1", "add", "85211111111"))
    program = Path(sys.executable).with_name("numbergroup")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([program, "plan", file], stdout=full, stderr=subprocess.PIPE, check=False)
    said = b"numbergroup: the output is not complete: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)
