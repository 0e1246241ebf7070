"""Names the settings to check when an account's vendor refuses a call or does not answer."""

from numbergroup.engine.calls import AccountFault, Outcome, Unavailable
from numbergroup.settings import Settings
from numbergroup.settings.errors import variable


def suggest_settings(settings: Settings, name: str, outcome: Outcome) -> str:
    """Return the end of a sentence about a call's outcome; empty when no setting can be wrong."""
    match outcome:
        case AccountFault():
            *others, last = _access_settings(settings, name)
            return f": are {', '.join(others)} and {last} right?"
        case Unavailable(is_local=False):
            return f": is the vendor up, and is {variable('accounts', name, 'base_url')} right?"
        case _:
            return ""


def _access_settings(settings: Settings, name: str) -> list[str]:
    """Return the settings that give access to the vendor; for a credential in a file, the file's setting."""
    account = settings.accounts[name]
    credentials = [
        f"{key}_file" if getattr(account, f"{key}_file") else key
        for key in (account.name_key, account.secret_key)
    ]
    details = [key for key in ("algorithm", "auth") if key in type(account).model_fields]
    return [variable("accounts", name, key) for key in (*credentials, *details, "base_url")]
