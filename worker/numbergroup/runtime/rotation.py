"""Reads credentials again when their files change, so that a rotation needs no restart."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from numbergroup.observability.logging import get_logger
from numbergroup.settings import Settings, SettingsError, read_regular_file, restart_needed
from numbergroup.vendors.keyring import Keyring

_CHECK_INTERVAL_S = 1.0

_UNUSABLE = "changed settings cannot be used: the credentials stay as they are"

log = get_logger("credentials")

Contents = Sequence[bytes | None]


class CredentialRotation:
    """Replaces the credentials of all accounts when their files change.

    `running` are the settings that the worker runs with; `read` reads them again. Files are compared by
    content once a second: Kubernetes swaps links, and a file's time may not change. A change is used when two
    checks in a row see the same content, so that no half-written file is used. Unusable settings are logged
    once, and the credentials stay as they are.
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
        self._last_contents: Contents = ()
        self._used_contents: Contents = ()
        self._restart_keys: Sequence[str] = ()

    async def run(self, on_replaced: Callable[[str], None]) -> None:
        """Check the files until cancelled. `on_replaced` is called with each account that was changed."""
        while self._files:
            for account in await self.check_files():
                on_replaced(account)
            await self._sleep(_CHECK_INTERVAL_S)

    async def check_files(self) -> list[str]:
        """Check the files once. Returns the accounts whose credentials were replaced."""
        contents = await asyncio.to_thread(_read_digests, self._files)
        is_stable = contents == self._last_contents
        self._last_contents = contents
        if not is_stable or contents == self._used_contents:
            return []
        self._used_contents = contents
        try:
            settings = await asyncio.to_thread(self._read)
        except SettingsError as error:
            log.error(_UNUSABLE, reason=str(error))
            return []
        except Exception as error:
            # A broken file must not end the worker. The error's text is not logged: it may quote a secret.
            log.error(_UNUSABLE, reason=f"reading them failed with {type(error).__name__}")
            return []
        self._files = settings.files
        self._log_restart_needed(restart_needed(self._running, settings))
        return [name for name in self._keyrings if self._replace(name, settings)]

    def _replace(self, name: str, settings: Settings) -> bool:
        account = settings.accounts.get(name)
        # Credentials of another vendor must not be sent to this one.
        if account is None or account.provider != self._running.accounts[name].provider:
            return False
        if not self._keyrings[name].replace(account.credentials, self._now()):
            return False
        log.info("credentials were read again, and are used from the next call on", account=name)
        return True

    def _log_restart_needed(self, keys: Sequence[str]) -> None:
        if keys and keys != self._restart_keys:
            log.warning("changed settings take effect only after a restart: restart the worker", keys=keys)
        self._restart_keys = keys


def _read_digests(files: Sequence[Path]) -> Contents:
    """Return the digest of each file's content, `None` for a file that cannot be read."""
    return [_digest(file) for file in files]


def _digest(file: Path) -> bytes | None:
    try:
        return blake2b(read_regular_file(file), digest_size=16).digest()
    except (OSError, ValueError):
        return None
