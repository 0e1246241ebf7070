"""Rotation: what is read again when a file changes, and what is said of it."""

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from numbergroup.runtime.rotation import CredentialRotation
from numbergroup.settings import Settings, load_settings
from numbergroup.vendors.keyring import Keyring

PREFIX = "NUMBERGROUP_ACCOUNTS__"


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines
    assert not any(secret in repr(lines) for secret in ("old-secret", "new-secret", "half"))


class Stage:
    """A worker's settings: the default account's secret in a file, another's in an environment file."""

    def __init__(self, folder: Path) -> None:
        self.secret, self.env = folder / "secret", folder / "worker.env"
        self.secret.write_text("old-secret")
        self.write_env("old-secret")
        environ = {
            "NUMBERGROUP_ENV_FILE": str(self.env),
            f"{PREFIX}DEFAULT__ACCESS_KEY": "key",
            f"{PREFIX}DEFAULT__ACCESS_SECRET_FILE": str(self.secret),
        }
        self.read = partial(load_settings, environ)
        self.rings = {name: Keyring(name, one.credentials) for name, one in self.read().accounts.items()}
        self.rotation = CredentialRotation(self.read(), self.read, self.rings, lambda: 0.0)

    def write_env(self, secret: str, more: str = "") -> None:
        lines = f"{PREFIX}SECOND__ACCESS_KEY=two\n{PREFIX}SECOND__ACCESS_SECRET={secret}\n"
        self.env.write_text(lines + more)

    async def looks(self, times: int = 2) -> list[str]:
        """The accounts whose credentials were replaced, as it was told at these looks."""
        return [account for _ in range(times) for account in await self.rotation.check_files()]

    def secrets(self) -> tuple[str, str]:
        return self.rings["default"].newest.secret, self.rings["second"].newest.secret


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    assert await stage.looks() == []
    return stage


async def test_a_secret_file_changes(stage: Stage, logs: list[Any]) -> None:
    """Its account gets the new secret, and nobody else gets anything."""
    stage.secret.write_text("new-secret\n")
    assert await stage.looks() == ["default"]
    assert stage.secrets() == ("new-secret", "old-secret")
    assert await stage.looks(5) == []
    assert [(line["log_level"], line["account"]) for line in logs] == [("info", "default")]


async def test_an_environment_file_changes(stage: Stage) -> None:
    """Its accounts get what is in it now."""
    stage.write_env("new-secret")
    assert await stage.looks() == ["second"]
    assert stage.secrets() == ("old-secret", "new-secret")


async def test_credentials_of_any_vendor(tmp_path: Path) -> None:
    """User name and API key of an Ozonetel account are read again like NXCloud's."""
    key = tmp_path / "key"
    key.write_text("old-secret")
    environ = {"PROVIDER": "ozonetel", "USERNAME": "me", "API_KEY_FILE": str(key)}
    read = partial(load_settings, {f"{PREFIX}DEFAULT__{name}": value for name, value in environ.items()})
    ring = Keyring("default", read().accounts["default"].credentials)
    rotation = CredentialRotation(read(), read, {"default": ring}, lambda: 0.0)
    assert [await rotation.check_files() for _ in range(2)] == [[], []]
    key.write_text("new-secret")
    assert [await rotation.check_files() for _ in range(2)] == [[], ["default"]]
    assert (ring.newest.name, ring.newest.secret) == ("me", "new-secret")


async def test_another_vendors_credentials(stage: Stage, logs: list[Any]) -> None:
    """They are not shown to the vendor that the worker runs with: it has to be started anew."""
    keys = {"PROVIDER": "ozonetel", "USERNAME": "two", "API_KEY": "new-secret"}
    stage.env.write_text("".join(f"{PREFIX}SECOND__{key}={value}\n" for key, value in keys.items()))
    assert await stage.looks() == []
    assert stage.secrets() == ("old-secret", "old-secret")
    assert [line["keys"] for line in logs] == [(f"{PREFIX}SECOND__PROVIDER",)]


async def test_a_change_between_the_start_and_the_first_look(tmp_path: Path) -> None:
    """What was changed after the settings were read, and before anybody looked, is found."""
    stage = Stage(tmp_path)
    stage.secret.write_text("new-secret")
    assert await stage.looks() == ["default"]


async def test_a_link_that_is_swapped(tmp_path: Path) -> None:
    """A mounted secret is a link to a folder that is replaced as a whole: time and size may be the same."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(f"{name}-secret")
    (tmp_path / "data").symlink_to(tmp_path / "old")
    stage = Stage(tmp_path)
    stage.secret.unlink()
    stage.secret.symlink_to(tmp_path / "data" / "secret")
    assert await stage.looks() == []
    (tmp_path / "data.tmp").symlink_to(tmp_path / "new")
    (tmp_path / "data.tmp").rename(tmp_path / "data")
    assert await stage.looks() == ["default"]
    assert stage.secrets()[0] == "new-secret"


async def test_what_is_being_written(stage: Stage, logs: list[Any]) -> None:
    """Nothing is taken over, or complained of, while it changes from look to look."""
    for text in ("", "half", "half-a", "new-secret"):
        stage.secret.write_text(text)
        assert await stage.looks(1) == []
    assert (stage.secrets()[0], logs) == ("old-secret", [])
    assert await stage.looks(1) == ["default"]


@pytest.mark.parametrize("bad", [b"", None, b"\xff"])
async def test_a_file_that_cannot_be_used(stage: Stage, logs: list[Any], bad: bytes | None) -> None:
    """The credentials stay as they are; it is said once, and over when the file is good again."""
    if bad is None:
        stage.secret.unlink()
    else:
        stage.secret.write_bytes(bad)
    stage.write_env("new-secret")
    assert await stage.looks(5) == []
    assert stage.secrets() == ("old-secret", "old-secret")
    (line,) = logs
    assert line["log_level"] == "error"
    assert f"{PREFIX}DEFAULT__ACCESS_SECRET_FILE" in line["reason"]
    stage.secret.write_text("new-secret")
    assert await stage.looks() == ["default", "second"]


async def test_a_pipe_in_the_place_of_a_file(stage: Stage, logs: list[Any]) -> None:
    """No look waits for somebody to write into it; the credentials stay, and a file in its place is read."""
    stage.secret.unlink()
    os.mkfifo(stage.secret)
    assert await stage.looks(5) == []
    assert stage.secrets() == ("old-secret", "old-secret")
    (line,) = logs
    assert line["log_level"] == "error"
    assert "no regular file" in line["reason"]
    stage.secret.unlink()
    stage.secret.write_text("new-secret")
    assert await stage.looks() == ["default"]


@pytest.mark.parametrize("error", [RecursionError("old-secret"), MemoryError(), KeyError("old-secret")])
async def test_no_content_ends_a_worker(stage: Stage, logs: list[Any], error: Exception) -> None:
    """Whatever reading raises, the credentials stay, it is said once, and later contents are taken over."""
    troubled = True

    def read() -> Settings:
        if troubled:
            raise error
        return stage.read()

    rotation = CredentialRotation(stage.read(), read, stage.rings, lambda: 0.0)
    assert [await rotation.check_files() for _ in range(4)] == [[]] * 4
    (line,) = logs
    assert line["log_level"] == "error"
    assert type(error).__name__ in line["reason"]
    troubled = False
    stage.secret.write_text("new-secret")
    assert [await rotation.check_files() for _ in range(2)] == [[], ["default"]]


async def test_other_settings_need_a_restart(stage: Stage, logs: list[Any]) -> None:
    """They are named, once, without their values; the credentials beside them are taken over."""
    stage.write_env("new-secret", f"{PREFIX}SECOND__TIMEOUT_S=1.5\nNUMBERGROUP_LINGER_MS=77\n")
    assert await stage.looks() == ["second"]
    stage.secret.write_text("new-secret")
    assert await stage.looks() == ["default"]
    (warning,) = [line for line in logs if line["log_level"] == "warning"]
    assert warning["keys"] == ("NUMBERGROUP_LINGER_MS", f"{PREFIX}SECOND__TIMEOUT_S")
    assert "77" not in repr(logs)


async def test_an_account_that_is_gone(stage: Stage, logs: list[Any]) -> None:
    """A running worker keeps an account, and its credentials, that the settings no longer have."""
    stage.env.write_text("")
    assert await stage.looks() == []
    assert stage.secrets() == ("old-secret", "old-secret")
    assert [line["keys"] for line in logs] == [(f"{PREFIX}SECOND__ACCESS_KEY",)]


async def test_another_file(stage: Stage, tmp_path: Path) -> None:
    """A file that a changed file names is looked at from then on."""
    other = tmp_path / "other"
    other.write_text("old-secret")
    stage.env.write_text(f"{PREFIX}SECOND__ACCESS_KEY=two\n{PREFIX}SECOND__ACCESS_SECRET_FILE={other}\n")
    assert await stage.looks(4) == []
    other.write_text("new-secret")
    assert await stage.looks() == ["second"]


async def test_it_looks_about_once_a_second(stage: Stage) -> None:
    """No look comes sooner than a second after the last one, and each change is told."""
    slept: list[float] = []
    changed: list[str] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            stage.secret.write_text("new-secret")
        if len(slept) == 6:
            raise asyncio.CancelledError

    rotation = CredentialRotation(stage.read(), stage.read, stage.rings, lambda: 0.0, sleep)
    with pytest.raises(asyncio.CancelledError):
        await rotation.run(changed.append)
    assert slept == [1.0] * 6
    assert changed == ["default"]


async def test_nothing_to_look_at() -> None:
    """Where all settings are variables, nobody looks again and again."""
    settings = load_settings(
        {f"{PREFIX}DEFAULT__ACCESS_KEY": "key", f"{PREFIX}DEFAULT__ACCESS_SECRET": "old-secret"}
    )

    async def never(_seconds: float) -> None:
        raise AssertionError

    changed: list[str] = []
    await CredentialRotation(settings, lambda: settings, {}, lambda: 0.0, never).run(changed.append)
    assert changed == []
