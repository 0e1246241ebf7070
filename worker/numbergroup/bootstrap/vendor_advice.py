"""Which settings to look at when an account's vendor refuses a call, or does not answer."""

from numbergroup.engine.commands import AccountFault, Outcome, Unavailable
from numbergroup.settings import Settings
from numbergroup.settings.errors import variable


def suggest_settings(settings: Settings, name: str, outcome: Outcome) -> str:
    """The end of a sentence about how a call of the account ended; empty where no setting is to blame."""
    match outcome:
        case AccountFault():
            *most, last = _settings_of_access(settings, name)
            return f": are {', '.join(most)} and {last} right?"
        case Unavailable(ours=False):
            return f": is the vendor up, and is {variable('accounts', name, 'base_url')} right?"
        case _:
            return ""


def _settings_of_access(settings: Settings, name: str) -> list[str]:
    """What decides whether the vendor lets the account in. A credential in a file goes by its file."""
    account = settings.accounts[name]
    credentials = [
        f"{key}_file" if getattr(account, f"{key}_file") else key
        for key in (account.name_key, account.secret_key)
    ]
    how = [key for key in ("algorithm", "auth") if key in type(account).model_fields]
    return [variable("accounts", name, key) for key in (*credentials, *how, "base_url")]
