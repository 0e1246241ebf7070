"""Who gives the orders: what the audit stream and `numbergroup status` say of it."""

import getpass
import os
import socket


def operator_name() -> str:
    """`user@host`; the number of a user that has no name here."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
