"""Settings: read once at start, checked as a whole, then passed as values.

Every key is `NUMBERGROUP_<KEY>` in the environment, and the same in lower case in the TOML file that
`NUMBERGROUP_CONFIG` names; those of an account are `NUMBERGROUP_ACCOUNTS__<NAME>__<KEY>`, and the table
`[accounts.<name>]`. `NUMBERGROUP_ENV_FILE` names a file of more variables. The environment beats that file,
and both beat the TOML file, key by key. Names in the environment have no case, lists in it are
comma-separated. Nothing is read at import.
"""

from worker.settings.account import AccountSettings
from worker.settings.changes import restart_needed
from worker.settings.errors import SettingsError
from worker.settings.files import content_of
from worker.settings.loading import load_settings, require_accounts
from worker.settings.model import MOST_PARTITIONS, Settings
from worker.settings.nxcloud import NXCloudAccount
from worker.settings.ozonetel import OzonetelAccount
from worker.settings.urls import SecretUrl, redact_url
from worker.settings.vendors import VENDORS

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
