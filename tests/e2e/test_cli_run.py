"""`numbergroup run` and `numbergroup sandbox` as they start and as they fail to."""

import json
import signal
import socket
import sys

import e2e_killer
import pytest
from e2e_cli import Shell
from e2e_commands import Script, lone
from e2e_processes import NUMBERGROUP, environment, eventually, free_port
from e2e_stage import Open, Stage, Vendor, Worker

EMBEDDED = ("127.0.0.1", 8901)
BARE = b'{"groupId": "g1", "operateType": "add", "phones": "85211111114"}'


def account(vendor: Vendor) -> dict[str, str]:
    details = {"BASE_URL": vendor.url, "ACCESS_KEY": "sandbox-key", "ACCESS_SECRET": "sandbox-secret"}
    return {f"ACCOUNTS__DEFAULT__{name}": value for name, value in details.items()}


def is_taken(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def test_embedded_broker(bare_shell: Shell, shared_vendor: Vendor) -> None:
    """Without a broker's URL the worker starts one, which `publish` and `replies` find by themselves; a
    second worker says that the port is taken."""
    if is_taken(EMBEDDED):
        pytest.skip("somebody else's embedded broker listens on 127.0.0.1:8901")
    shared_vendor.reset()
    settings = account(shared_vendor)
    folder = bare_shell.folder
    worker = Worker("worker", [*NUMBERGROUP, "run"], folder, environment(folder, settings))
    try:
        worker.says("owning the partition")
        assert "embedded broker: for trying out" in worker.err
        second = bare_shell("run", **settings)
        assert second.code == 1
        assert "the embedded broker cannot listen on 127.0.0.1:8901" in second.err.splitlines()[-1]

        done = bare_shell("publish", "-", stdin=BARE)
        assert done.code == 0
        name = done.out.split("(id ")[1].split(")")[0]
        done = bare_shell("replies", "--follow", "--for", name)
        assert json.loads(done.out)["data"]["status"] == "applied"
        assert shared_vendor.groups() == {"g1": {"85211111114"}}
        assert worker.stop() == 0
    finally:
        worker.end()


def test_no_broker_answers(bare_shell: Shell) -> None:
    """One line says where it was looked for, why it failed and what to do; exit code 1, and no password."""
    port = free_port()
    url = f"redis://:a-password@127.0.0.1:{port}/0"
    where = f"numbergroup: no broker answers at redis://:***@127.0.0.1:{port}/0 (Connection refused)"
    settings = {"ACCOUNTS__DEFAULT__ACCESS_KEY": "k", "ACCOUNTS__DEFAULT__ACCESS_SECRET": "s"}
    runs = (("publish", "-"), ("replies",), ("run", "--check"))
    for done in bare_shell.at_once(*runs, stdin=BARE, BROKER_URL=url, **settings):
        assert (done.code, done.out) == (1, "")
        assert done.err == f"{where}: is it running, and is NUMBERGROUP_BROKER_URL right?\n"


@pytest.mark.redis_server
def test_wrong_password(open_stage: Open) -> None:
    """Waiting would not help: the worker ends with exit code 2, and every command says what is wrong."""
    stage = open_stage(durable=False, password="right")
    wrong = stage.settings | {"BROKER_URL": stage.redis.url.replace("right", "wrong-password")}
    shell = Shell(stage.folder, wrong)
    done, published = shell.at_once(("run",), ("publish", "-"), stdin=BARE)
    assert done.code == 2
    assert "Redis refuses the credentials in NUMBERGROUP_BROKER_URL" in done.err.splitlines()[-1]
    assert published.code == 1
    assert published.err.startswith("numbergroup: the broker at redis://:***@127.0.0.1:")
    assert "wrong-password" not in done.err + published.err
    assert "are user and password in NUMBERGROUP_BROKER_URL right?" in published.err
    nobody = shell("status", BROKER_URL=stage.redis.url.replace(":right@", ""))
    assert (nobody.code, nobody.out) == (1, "")
    assert "refuses: Authentication required: are user and password in" in nobody.err
    stage.redis.client.execute_command(
        "ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+@connection"
    )
    reader = shell("pause", "account", "default", BROKER_URL=stage.redis.url.replace(":right", "reader:pw"))
    assert (reader.code, reader.out) == (1, "")
    assert "refuses: " in reader.err
    assert "no permissions to run the 'evalsha' command" in reader.err


@pytest.mark.redis_server
def test_a_redis_that_forgets(stage: Stage, shell: Shell) -> None:
    """A server that may throw commands away is not worked on; the message says what to set."""
    stage.redis.client.config_set("maxmemory", "100mb")
    stage.redis.client.config_set("maxmemory-policy", "allkeys-lru")
    for done in shell.at_once(("run",), ("run", "--check")):
        assert done.code == 2
        assert done.err.splitlines()[-1].endswith("(maxmemory-policy allkeys-lru): set it to noeviction")


@pytest.mark.redis_server
def test_check(stage: Stage, shell: Shell) -> None:
    """`run --check` says that all is well, the vendor asked, and what would be lost; it leaves no trace."""
    done = shell("run", "--check")
    assert (done.code, done.err) == (0, "")
    said, *warnings = done.out.splitlines()
    assert said == (
        f"settings are fine: accounts default; the broker at {stage.redis.url} answers; "
        "the vendor answers for default"
    )
    assert [one for one in warnings if "on disk" not in one] == []
    assert set(stage.redis.client.keys()) <= {b"numbergroup:rate:default"}


@pytest.mark.redis_server
def test_check_reports_all_problems_at_once(stage: Stage, shell: Shell) -> None:
    """A server that evicts, and a user who may not do what is needed: both are named, the commands too."""
    client = stage.redis.client
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.execute_command("ACL", "SETUSER", "w", "on", ">w-password", "~*", "+@all", "-xadd", "-hset")
    done = shell("run", "--check", BROKER_URL=stage.redis.url.replace("//", "//w:w-password@"))
    assert (done.code, done.out) == (2, "")
    first, evicts, forbids = done.err.splitlines()
    assert first == "numbergroup: 2 problems:"
    assert evicts.endswith("set it to noeviction")
    assert forbids.endswith("forbids commands that a worker needs: HSET, XADD")
    assert "w-password" not in done.err


@pytest.mark.redis_server
def test_keys_of_the_wrong_type(stage: Stage, shell: Shell) -> None:
    """`run --check` and `status` name each key of ours that holds something else, once."""
    stage.redis.client.lpush("numbergroup:{0}:commands", "{}")
    stage.redis.client.set("numbergroup:pauses", "text")
    checked, status = shell.at_once(("run", "--check"), ("status", "--json"))
    assert (checked.code, checked.out) == (2, "")
    problems = json.loads(status.out)["problems"]
    assert problems == checked.err.splitlines()[1:]
    stream, pauses = problems
    assert stream.startswith("the key 'numbergroup:{0}:commands' is a list and must be a stream")
    assert pauses.startswith("the key 'numbergroup:pauses' is a string and must be a hash")


@pytest.mark.redis_server
def test_check_asks_the_vendor(stage: Stage, shell: Shell) -> None:
    """Credentials that the vendor refuses are to be changed; a vendor that is away may come back."""
    refused = shell("run", "--check", ACCOUNTS__DEFAULT__ACCESS_SECRET="wrong-secret")
    assert refused.code == 2
    assert refused.err == (
        "numbergroup: the vendor refuses the account default (1003): invalid signature: are "
        "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY, NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET, "
        "NUMBERGROUP_ACCOUNTS__DEFAULT__ALGORITHM and NUMBERGROUP_ACCOUNTS__DEFAULT__BASE_URL right?\n"
    )
    address = f"127.0.0.1:{free_port()}"
    away = shell("run", "--check", ACCOUNTS__DEFAULT__BASE_URL=f"http://{address}/")
    assert away.code == 1
    assert away.err == (
        "numbergroup: the vendor of account default does not answer as it should: not connected to "
        f"{address}: Connection refused: is the vendor up, and is "
        "NUMBERGROUP_ACCOUNTS__DEFAULT__BASE_URL right?\n"
    )


@pytest.mark.redis_server
def test_an_unexpected_error(stage: Stage) -> None:
    """It ends the worker with exit code 1 and one line; what happened is in the log, line by line, and not
    in a traceback that nobody has searched for phone numbers."""
    stage.publish(lone([Script().create("k")]))
    variables = environment(stage.folder, stage.settings) | {e2e_killer.BREAKING: "create"}
    worker = Worker("broken", [sys.executable, e2e_killer.__file__, "run"], stage.folder, variables)
    stage.workers.append(worker)
    assert worker.ended() == 1
    *logged, last = worker.err.splitlines()
    assert last.startswith("numbergroup: the worker ended on an unexpected error, ")
    assert "critical" in {json.loads(line)["level"] for line in logged}
    assert stage.backlog() == 1


@pytest.mark.slow
@pytest.mark.redis_server
def test_a_terminal_that_hangs_up(stage: Stage) -> None:
    """SIGHUP drains as SIGTERM does, exit code 0; a worker under `nohup` works on."""
    answers = stage.answers()
    drained, kept = stage.worker(), None
    variables = environment(stage.folder, stage.settings)
    try:
        drained.says("owning the partition")
        drained.signal(signal.SIGHUP)
        drained.says("stopping")
        assert drained.ended() == 0
        kept = Worker("kept", ["nohup", *NUMBERGROUP, "run"], stage.folder, variables)
        stage.workers.append(kept)
        kept.says("owning the partition")
        kept.signal(signal.SIGHUP)
        script = Script()
        stage.publish(lone([script.create("k")]))
        eventually(lambda: answers.count, "an answer of the worker that was to stay")
        assert kept.stop() == 0
    finally:
        drained.end()


def test_sandbox(bare_shell: Shell, shared_vendor: Vendor) -> None:
    """It prints what a worker needs to use it, says when its port is taken, and ends on SIGTERM with 0."""
    port = shared_vendor.origin.rpartition(":")[2]
    done = bare_shell("sandbox", "--port", port)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"numbergroup: cannot listen on 127.0.0.1:{port} (")
    assert done.err.endswith("try --port 0\n")

    other = {"PROVIDER": "ozonetel", "USERNAME": "my-own-user", "API_KEY": "an0ther-secret"}
    settings = account(shared_vendor) | {"ACCOUNTS__DEFAULT__ACCESS_KEY": "my-own-key"}
    settings |= {f"ACCOUNTS__OTHER__{name}": value for name, value in other.items()}
    with Vendor(bare_shell.folder, **settings) as vendor:
        vendor.program.says("credentials: my-own-key\n")
        vendor.program.says("users: my-own-user\n")
        assert "sandbox-secret" not in vendor.program.out
        assert "an0ther-secret" not in vendor.program.out
        vendor.program.signal(signal.SIGTERM)
        assert vendor.program.ended() == 0
    for line in (
        f"DEFAULT__BASE_URL={shared_vendor.url}",
        f"OZONETEL__BASE_URL={shared_vendor.origin}",
        "OZONETEL__PROVIDER=ozonetel",
        *(f"OZONETEL__AUTH={mode}" for mode in ("token", "basic", "legacy")),
    ):
        assert f"  export NUMBERGROUP_ACCOUNTS__{line}\n" in shared_vendor.program.out
