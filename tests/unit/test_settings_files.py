"""Settings from files: one secret each, or many variables. What is accepted, what wins, what is said."""

import os
from pathlib import Path

import pytest
from test_settings import ACCOUNT, SECRET, line_of, with_file

from numbergroup.settings import load_settings, restart_needed

PREFIX = "NUMBERGROUP_ACCOUNTS__DEFAULT__"
KEY = {f"{PREFIX}ACCESS_KEY": "fme2na3kdi3ki"}


def secret_file(tmp_path: Path, content: bytes = SECRET.encode() + b"\n") -> dict[str, str]:
    file = tmp_path / "secret"
    file.write_bytes(content)
    return {f"{PREFIX}ACCESS_SECRET_FILE": str(file)}


def env_file(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "numbergroup.env"
    file.write_text(text, "utf-8")
    return {"NUMBERGROUP_ENV_FILE": str(file)}


def test_a_secret_in_a_file(tmp_path: Path) -> None:
    """A mounted secret is as good as a variable, without the line feed that it ends with."""
    (tmp_path / "key").write_text(" fme2na3kdi3ki \n")
    files = secret_file(tmp_path) | {f"{PREFIX}ACCESS_KEY_FILE": str(tmp_path / "key")}
    settings = load_settings(files)
    account = settings.accounts["default"]
    assert account.access_key == "fme2na3kdi3ki"
    assert account.access_secret.get_secret_value() == SECRET
    assert settings.files == (tmp_path / "key", tmp_path / "secret")
    assert SECRET not in repr(settings)


def test_a_secret_in_a_file_that_the_toml_file_names(tmp_path: Path) -> None:
    """Each of the two may come from another place."""
    secret_file(tmp_path)
    environ = with_file(tmp_path, f"[accounts.default]\naccess_secret_file = '{tmp_path / 'secret'}'") | KEY
    assert load_settings(environ).accounts["default"].access_secret.get_secret_value() == SECRET


@pytest.mark.parametrize("in_table", [False, True])
def test_a_value_and_a_file_are_one_too_many(tmp_path: Path, in_table: bool) -> None:
    """Which of the two would count is not left to a rule that nobody knows."""
    both = secret_file(tmp_path) | ACCOUNT
    where = f"{PREFIX}ACCESS_SECRET"
    if in_table:
        del both[where]
        both |= with_file(tmp_path, f"[accounts.default]\naccess_secret = '{SECRET}'")
        where = f"accounts.default.access_secret in {tmp_path / 'numbergroup.toml'}"
    assert line_of(both) == f"{where} and {PREFIX}ACCESS_SECRET_FILE say the same thing: unset one of them"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "names {}, which is empty"),
        (b" \n", "names {}, which is empty"),
        (b"s\xe9cret", "names {}, which cannot be read: line 1 is not UTF-8: save the file in UTF-8"),
        (None, "names {}, which cannot be read: No such file or directory"),
    ],
)
def test_a_secret_file_that_holds_none(tmp_path: Path, content: bytes | None, said: str) -> None:
    """It is one line, with the variable and the file."""
    environ = secret_file(tmp_path, content or b"")
    if content is None:
        (tmp_path / "secret").unlink()
    assert line_of(KEY | environ) == f"{PREFIX}ACCESS_SECRET_FILE {said.format(tmp_path / 'secret')}"


def test_a_key_file_with_something_else(tmp_path: Path) -> None:
    """What is wrong with a file's content is said of the file, and nothing of it is quoted."""
    file = tmp_path / "key"
    file.write_text("hunter2 and more")
    environ = secret_file(tmp_path) | {f"{PREFIX}ACCESS_KEY_FILE": str(file)}
    assert line_of(environ) == f"{PREFIX}ACCESS_KEY_FILE ({file}): its value must match pattern '^[!-~]+$'"


def test_an_environment_file(tmp_path: Path) -> None:
    """Lines as systemd and dotenv have them: comments, quotes, `export`; other programs' variables too."""
    text = f"""
        # of the worker
        NUMBERGROUP_LINGER_MS=5
        export numbergroup_log_level='WARNING'   # in any case
        {PREFIX}ACCESS_KEY="fme2na3kdi3ki"
        {PREFIX}ACCESS_SECRET={SECRET}
        {PREFIX}THROTTLE_TEXTS=slow down,$HOME
        PATH=/bin
        NUMBERGROUP_LINGER_MS=6
    """
    settings = load_settings(env_file(tmp_path, text))
    assert (settings.linger_ms, settings.log_level) == (6, "warning")
    account = settings.accounts["default"]
    assert account.access_secret.get_secret_value() == SECRET
    assert account.throttle_texts == ("slow down", "$HOME")
    assert settings.files == (tmp_path / "numbergroup.env",)


def test_the_environment_beats_its_file_and_both_beat_the_toml_file(tmp_path: Path) -> None:
    """Key by key, whatever the case of the names."""
    toml = "linger_ms = 1\npartitions = 2\nmax_pending = 3"
    environ = with_file(tmp_path, toml) | {"numbergroup_linger_ms": "100"}
    environ |= env_file(tmp_path, "NUMBERGROUP_LINGER_MS=10\nNUMBERGROUP_PARTITIONS=20")
    settings = load_settings(environ)
    assert (settings.linger_ms, settings.partitions, settings.max_pending) == (100, 20, 3)


def test_an_environment_file_may_name_the_other_files(tmp_path: Path) -> None:
    """So that one variable of the process is enough."""
    toml = with_file(tmp_path, "linger_ms = 7")["NUMBERGROUP_CONFIG"]
    secret = secret_file(tmp_path)[f"{PREFIX}ACCESS_SECRET_FILE"]
    text = f"NUMBERGROUP_CONFIG={toml}\n{PREFIX}ACCESS_SECRET_FILE={secret}\n{PREFIX}ACCESS_KEY=k"
    settings = load_settings(env_file(tmp_path, text))
    assert settings.linger_ms == 7
    assert settings.accounts["default"].access_secret.get_secret_value() == SECRET


IN_ENV_FILE = {
    "NUMBERGROUP_LINGER=1": "NUMBERGROUP_LINGER in {} is unknown: did you mean NUMBERGROUP_LINGER_MS?",
    "NUMBERGROUP_LINGER_MS=x": "NUMBERGROUP_LINGER_MS in {}: 'x' must be a valid integer",
    "NUMBERGROUP_LINGER_MS=": "NUMBERGROUP_LINGER_MS in {} is empty: give it a value or unset it",
    "\nNUMBERGROUP_LINGER_MS": "line 2 of {} is not KEY=value: correct it",
    f"{PREFIX}ACCESS_SECRET='{SECRET}": "line 1 of {} is not KEY=value: correct it",
    "NUMBERGROUP_ENV_FILE=more.env": (
        "NUMBERGROUP_ENV_FILE in {} has no effect there: an environment file names no other"
    ),
}


@pytest.mark.parametrize("text", IN_ENV_FILE)
def test_a_bad_environment_file_is_one_line(tmp_path: Path, text: str) -> None:
    """Each problem is answered with the file, the variable or the line, and what would do."""
    environ = env_file(tmp_path, text)
    assert line_of(environ).startswith(IN_ENV_FILE[text].format(environ["NUMBERGROUP_ENV_FILE"]))


def test_an_environment_file_that_is_none(tmp_path: Path) -> None:
    """Binary files, directories and files that are not there are answered as plainly."""
    file = tmp_path / "x.env"
    file.write_bytes(b"\xff\x80")
    why = "line 1 is not UTF-8: save the file in UTF-8"
    where = f"NUMBERGROUP_ENV_FILE names {file}"
    assert line_of({"NUMBERGROUP_ENV_FILE": str(file)}) == f"{where}, which cannot be read: {why}"
    for name, why in ((tmp_path, os.strerror(21)), (tmp_path / "no", os.strerror(2))):
        line = line_of({"NUMBERGROUP_ENV_FILE": str(name)})
        assert line == f"NUMBERGROUP_ENV_FILE names {name}, which cannot be read: {why}"
    assert line_of({"NUMBERGROUP_ENV_FILE": "a\0b"}).endswith("cannot be read: it is no path")


def test_a_toml_file_that_is_nested_too_deep(tmp_path: Path) -> None:
    """More brackets than a parser can follow are one line about the file."""
    environ = with_file(tmp_path, "a = " + 20_000 * "[" + "1" + 20_000 * "]")
    file = environ["NUMBERGROUP_CONFIG"]
    assert line_of(environ) == f"{file} has brackets nested far too deep, correct it"


@pytest.mark.parametrize(
    "name", [f"{PREFIX}ACCESS_SECRET_FILE", "NUMBERGROUP_CONFIG", "NUMBERGROUP_ENV_FILE"]
)
@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str, through_a_link: bool) -> None:
    """What is no regular file is refused at once: nobody may ever write into it."""
    file = pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if through_a_link:
        file = tmp_path / "link"
        file.symlink_to(pipe)
    line = line_of(KEY | {name: str(file)})
    assert line == f"{name} names {file}, which cannot be read: it is no regular file"


def test_a_number_that_is_too_long_to_be_written(tmp_path: Path) -> None:
    """A number that cannot be quoted is one line about its key all the same."""
    environ = with_file(tmp_path, "partitions = 0x" + 10_000 * "f")
    where = f"partitions in {environ['NUMBERGROUP_CONFIG']}"
    assert line_of(environ).startswith(f"{where}: its value must be")


def test_a_file_that_never_ends(tmp_path: Path) -> None:
    """Devices are refused, and so is what is larger than settings can be: memory is not filled with it."""
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(2**20 + 1)
    for name, why in (("/dev/zero", "it is no regular file"), (huge, "it has more than 1048576 bytes")):
        line = line_of({"NUMBERGROUP_ENV_FILE": str(name)})
        assert line == f"NUMBERGROUP_ENV_FILE names {name}, which cannot be read: {why}"


@pytest.mark.parametrize("key", ["config", "env_file"])
def test_where_files_are_is_for_the_environment_to_say(tmp_path: Path, key: str) -> None:
    """A file that names itself, or the environment's, would not be gone by: it says so."""
    environ = with_file(tmp_path, f"{key} = 'x'")
    assert line_of(environ) == (
        f"{key} in {environ['NUMBERGROUP_CONFIG']} has no effect there: set NUMBERGROUP_{key.upper()} "
        "in the environment"
    )


def test_what_needs_a_restart() -> None:
    """All but the credentials of accounts that are there; and no value is told."""
    running = load_settings(ACCOUNT | {"NUMBERGROUP_LINGER_MS": "5"})
    assert restart_needed(running, running) == ()
    rotated = {f"{PREFIX}ACCESS_KEY": "other", f"{PREFIX}ACCESS_SECRET": "other"}
    assert restart_needed(running, load_settings(rotated | {"NUMBERGROUP_LINGER_MS": "5"})) == ()
    more = {
        f"{PREFIX}TIMEOUT_S": "1",
        "NUMBERGROUP_ACCOUNTS__SECOND__ACCESS_KEY": "k",
        "NUMBERGROUP_ACCOUNTS__SECOND__ACCESS_SECRET": SECRET,
    }
    assert restart_needed(running, load_settings(rotated | more)) == (
        "NUMBERGROUP_LINGER_MS",
        "NUMBERGROUP_ACCOUNTS__SECOND__ACCESS_KEY",
        "NUMBERGROUP_ACCOUNTS__DEFAULT__TIMEOUT_S",
    )
