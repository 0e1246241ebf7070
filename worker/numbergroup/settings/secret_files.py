"""Checks whether other users may read or change the files of settings and secrets."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def check_permissions(files: Iterable[Path]) -> Iterator[str]:
    """Yields warnings about the permissions of the files. Files that are not accessible are left out.

    A user who may write such a file can change the credentials, and the source of commands.
    """
    for file in dict.fromkeys(files):
        try:
            status, folder = file.stat(), file.resolve().parent.stat()
        except (OSError, ValueError, RuntimeError):
            continue
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield f"{file} holds settings or secrets, and others may write it: chmod go-w it"
        elif folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
            yield f"{file} holds settings or secrets, and others may replace it: chmod o-w its folder"
        elif status.st_uid not in (0, os.geteuid()):
            yield f"{file} holds settings or secrets, and another user owns it: chown it"
        if status.st_mode & stat.S_IROTH:
            yield f"{file} holds settings or secrets, and everybody on this machine may read it: chmod o-r it"
