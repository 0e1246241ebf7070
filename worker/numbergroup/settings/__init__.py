"""Settings: read once at start, validated as a whole, then passed as values.

A key is `NUMBERGROUP_<KEY>` in the environment, and `<key>` in the TOML file that `NUMBERGROUP_CONFIG` names.
A key of an account is `NUMBERGROUP_ACCOUNTS__<NAME>__<KEY>`, and `<key>` in the table `[accounts.<name>]`.
`NUMBERGROUP_ENV_FILE` names a file with more variables.

For each key, the environment overrides the environment file, and both override the TOML file. Names of
variables are case-insensitive, and lists in variables are comma-separated. Nothing is read at import.
"""

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.changes import restart_needed
from numbergroup.settings.errors import SettingsError
from numbergroup.settings.files import read_regular_file
from numbergroup.settings.loading import load_settings, require_accounts
from numbergroup.settings.model import MAX_PARTITIONS, Settings
from numbergroup.settings.nxcloud import NXCloudAccount
from numbergroup.settings.ozonetel import OzonetelAccount
from numbergroup.settings.urls import SecretUrl, redact_url
from numbergroup.settings.vendors import VENDORS

__all__ = [
    "MAX_PARTITIONS",
    "VENDORS",
    "AccountSettings",
    "NXCloudAccount",
    "OzonetelAccount",
    "SecretUrl",
    "Settings",
    "SettingsError",
    "load_settings",
    "read_regular_file",
    "redact_url",
    "require_accounts",
    "restart_needed",
]
