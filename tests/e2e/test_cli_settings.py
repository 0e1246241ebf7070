"""Settings that cannot be used: exit code 2, one line that says what to change, and no secret in it."""

import pytest
from e2e_cli import Shell

SECRET = "a-secret-that-nobody-may-see"
ACCOUNT = {"ACCOUNTS__DEFAULT__ACCESS_KEY": "key", "ACCOUNTS__DEFAULT__ACCESS_SECRET": SECRET}

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "no account": ({}, "no account is configured: set NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY and "),
    "an unknown variable": (
        {"BROKER_URI": "redis://localhost"},
        "NUMBERGROUP_BROKER_URI is unknown: did you mean NUMBERGROUP_BROKER_URL?",
    ),
    "an unknown key of an account": (
        {"ACCOUNTS__DEFAULT__SECRET": SECRET},
        "NUMBERGROUP_ACCOUNTS__DEFAULT__SECRET is unknown: did you mean NUMBERGROUP_ACCOUNTS__DEFAULT__",
    ),
    "no number": ({**ACCOUNT, "LINGER_MS": "soon"}, "NUMBERGROUP_LINGER_MS: 'soon' "),
    "no URL": (
        {**ACCOUNT, "BROKER_URL": f"localhost:6379/{SECRET}"},
        "NUMBERGROUP_BROKER_URL must begin with ",
    ),
    "a broker that nobody knows": (
        {**ACCOUNT, "BROKER_URL": f"kafka://user:{SECRET}@localhost"},
        "NUMBERGROUP_BROKER_URL must begin with ",
    ),
    "a file that is not there": ({"CONFIG": "missing.toml"}, "NUMBERGROUP_CONFIG names missing.toml, "),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_worker_does_not_start(bare_shell: Shell, name: str) -> None:
    """Each mistake is one line, and names the variable to change."""
    settings, said = WRONG[name]
    done = bare_shell("run", **settings)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"numbergroup: {said}")
    assert done.err.count("\n") == 1
    assert SECRET not in done.err


def test_neither_do_the_other_commands(bare_shell: Shell) -> None:
    """Every command that talks to the broker refuses its URL alike; a mistyped variable is one everywhere."""
    nats = ACCOUNT | {"BROKER_URL": "nats://localhost"}
    for done in bare_shell.at_once(("publish", "-"), ("replies",), ("run", "--check"), **nats):
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("numbergroup: NUMBERGROUP_BROKER_URL must begin with redis:// or ")
    for done in bare_shell.at_once(("plan", "-"), ("sandbox",), LINGER="5"):
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(
            "numbergroup: NUMBERGROUP_LINGER is unknown: did you mean NUMBERGROUP_LING"
        )


def test_secrets_that_the_sandbox_cannot_take(bare_shell: Shell) -> None:
    """They are refused without being said."""
    account = ACCOUNT | {"ACCOUNTS__DEFAULT__ACCESS_SECRET": f"{SECRET} with spaces"}
    done = bare_shell("sandbox", "--port", "0", **account)
    assert (done.code, done.out) == (2, "")
    assert "visible ASCII" in done.err
    assert SECRET not in done.err


def test_a_file_of_settings(bare_shell: Shell) -> None:
    """The file counts, the environment goes before it, and a mistake in it is named with its place."""
    bare_shell.write("good.toml", "[accounts.default]", 'access_key = "k"', f'access_secret = "{SECRET}"')
    done = bare_shell("run", "--check", CONFIG="good.toml")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("settings are fine: accounts default; NUMBERGROUP_BROKER_URL is not set")
    bare_shell.write("bad.toml", "[accounts.default]", 'acess_key = "k"')
    done = bare_shell("run", CONFIG="bad.toml")
    assert done.code == 2
    assert done.err.startswith("numbergroup: accounts.default.acess_key in bad.toml is unknown: did you mean")


def test_check_tells_all_mistakes(bare_shell: Shell) -> None:
    """`run --check` names every setting that is wrong, each on a line of its own."""
    done = bare_shell(
        "run", "--check", **ACCOUNT, LINGER_MS="soon", PARTITIONS="0", BROKER_URL="redis://h?a=1"
    )
    assert (done.code, done.out) == (2, "")
    first, *lines = done.err.splitlines()
    assert first == "numbergroup: 3 problems:"
    assert [line.split()[0].rstrip(":") for line in lines] == [
        f"NUMBERGROUP_{name}" for name in ("BROKER_URL", "PARTITIONS", "LINGER_MS")
    ]


def test_what_is_to_be_known_without_a_broker(bare_shell: Shell) -> None:
    """A setting without an effect is a warning, also where the worker would start a broker of its own; a port
    that cannot be had is a mistake."""
    done = bare_shell("run", "--check", **ACCOUNT, METRICS_HOST="127.0.0.1")
    assert (done.code, done.err) == (0, "")
    assert "warning: NUMBERGROUP_METRICS_HOST has no effect without NUMBERGROUP_METRICS_PORT" in done.out
    done = bare_shell("run", "--check", **ACCOUNT, METRICS_HOST="no-such-host.invalid", METRICS_PORT="0")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("numbergroup: NUMBERGROUP_METRICS_PORT is 0, but nothing can listen on ")


def test_parameters_of_urls(bare_shell: Shell) -> None:
    """A parameter of the broker's URL that does not work is one line, the same in every command."""
    url = f"redis://:{SECRET}@localhost/0?decode_responses=true"
    runs = (("run",), ("run", "--check"), ("publish", "-"), ("replies",), ("status",))
    for done in bare_shell.at_once(*runs, **ACCOUNT, BROKER_URL=url):
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            "numbergroup: NUMBERGROUP_BROKER_URL has the parameter decode_responses, which must be false\n"
        )
