"""Settings: read once at start, checked as a whole, then passed as values.

Every key is `NUMBERGROUP_<KEY>` in the environment, and the same in lower case in the TOML file that
`NUMBERGROUP_CONFIG` names; those of an account are `NUMBERGROUP_ACCOUNTS__<NAME>__<KEY>`, and the table
`[accounts.<name>]`. `NUMBERGROUP_ENV_FILE` names a file of more variables. The environment beats that file,
and both beat the TOML file, key by key. Names in the environment have no case, lists in it are
comma-separated. Nothing is read at import.
"""

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.changes import restart_needed
from numbergroup.settings.errors import SettingsError
from numbergroup.settings.files import content_of
from numbergroup.settings.loading import load_settings, require_accounts
from numbergroup.settings.model import MOST_PARTITIONS, Settings
from numbergroup.settings.nxcloud import NXCloudAccount
from numbergroup.settings.ozonetel import OzonetelAccount
from numbergroup.settings.urls import SecretUrl, redact_url
from numbergroup.settings.vendors import VENDORS

__all__ = [
    "MOST_PARTITIONS",
    "VENDORS",
    "AccountSettings",
    "NXCloudAccount",
    "OzonetelAccount",
    "SecretUrl",
    "Settings",
    "SettingsError",
    "content_of",
    "load_settings",
    "redact_url",
    "require_accounts",
    "restart_needed",
]
