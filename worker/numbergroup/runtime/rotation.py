"""Rotation: credentials are read again when a file that they come from changes, without a restart."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from numbergroup.observability.logging import get_logger
from numbergroup.settings import Settings, SettingsError, content_of, restart_needed
from numbergroup.vendors.keyring import Keyring

_LOOK_S = 1.0

_UNUSABLE = "changed settings cannot be used: the credentials stay as they are"

log = get_logger("credentials")

Contents = Sequence[bytes | None]


class CredentialRotation:
    """Of all accounts. `running` are the settings that the worker runs with, `read` reads them anew.

    Files are looked at about once a second, by content: Kubernetes swaps links, and a time stamp may stay.
    What was changed is taken over when it is the same at two looks in a row, so that nothing half-written
    is. What cannot be used is said once, and the credentials stay as they are.
    """

    def __init__(
        self,
        running: Settings,
        read: Callable[[], Settings],
        keyrings: Mapping[str, Keyring],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._running = running
        self._read = read
        self._keyrings = keyrings
        self._now = now
        self._sleep = sleep
        self._files = running.files
        self._seen: Contents = ()
        self._taken: Contents = ()
        self._restart: Sequence[str] = ()

    async def run(self, changed: Callable[[str], None]) -> None:
        """Until it is cancelled; `changed` is called with the account whose credentials were replaced."""
        while self._files:
            for account in await self.check_files():
                changed(account)
            await self._sleep(_LOOK_S)

    async def check_files(self) -> list[str]:
        """Look at the files once; the accounts whose credentials were replaced."""
        seen = await asyncio.to_thread(_contents, self._files)
        settled = seen == self._seen
        self._seen = seen
        if not settled or seen == self._taken:
            return []
        self._taken = seen
        try:
            settings = await asyncio.to_thread(self._read)
        except SettingsError as error:
            log.error(_UNUSABLE, reason=str(error))
            return []
        except Exception as error:
            # No file may end a worker, whatever a parser makes of it. What is raised may quote a secret.
            log.error(_UNUSABLE, reason=f"reading them failed with {type(error).__name__}")
            return []
        self._files = settings.files
        self._tell_restart(restart_needed(self._running, settings))
        return [name for name in self._keyrings if self._replace(name, settings)]

    def _replace(self, name: str, settings: Settings) -> bool:
        account = settings.accounts.get(name)
        # What another vendor gave us is not to be shown to this one.
        if account is None or account.provider != self._running.accounts[name].provider:
            return False
        if not self._keyrings[name].replace(account.credentials, self._now()):
            return False
        log.info("credentials were read again, and are used from the next call on", account=name)
        return True

    def _tell_restart(self, keys: Sequence[str]) -> None:
        if keys and keys != self._restart:
            log.warning("changed settings that a running worker does not take over: restart it", keys=keys)
        self._restart = keys


def _contents(files: Sequence[Path]) -> Contents:
    """What is in each of them, told by its digest; None where it cannot be read."""
    return [_digest(file) for file in files]


def _digest(file: Path) -> bytes | None:
    try:
        return blake2b(content_of(file), digest_size=16).digest()
    except (OSError, ValueError):
        return None
