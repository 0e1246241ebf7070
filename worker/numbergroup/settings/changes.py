"""Compares the settings of a running worker with settings that were read again."""

from numbergroup.settings.errors import variable
from numbergroup.settings.model import Settings


def restart_needed(running: Settings, read: Settings) -> tuple[str, ...]:
    """Returns the changed settings that need a restart, by their names in the environment.

    These are all but the accounts' credentials.
    """
    tops = [key for key in Settings.model_fields if key != "accounts"]
    changed = [variable(key) for key in tops if getattr(running, key) != getattr(read, key)]
    for name in sorted(running.accounts.keys() ^ read.accounts.keys()):
        account = running.accounts.get(name) or read.accounts[name]
        changed.append(variable("accounts", name, account.name_key))
    for name in sorted(running.accounts.keys() & read.accounts.keys()):
        before, now = running.accounts[name], read.accounts[name]
        if type(before) is not type(now):
            changed.append(variable("accounts", name, "provider"))
            continue
        for key in type(before).model_fields:
            if key not in before.credential_keys() and getattr(before, key) != getattr(now, key):
                changed.append(variable("accounts", name, key))
    return tuple(changed)
