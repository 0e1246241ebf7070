"""The operator's name, for the audit stream and `numbergroup status`."""

import getpass
import os
import socket


def operator_name() -> str:
    """Return `user@host`, with the user's number if the user has no name here."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
