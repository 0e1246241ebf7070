"""Files of secrets: who else may write or read them."""

import os
from pathlib import Path

import pytest

from numbergroup.settings.secret_files import check_permissions


def secret(folder: Path, mode: int) -> Path:
    file = folder / "secret"
    file.write_text("a-secret")
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o600, []),
        (0o640, []),
        (0o400, []),
        (0o660, ["others may write it"]),
        (0o602, ["others may write it"]),
        (0o644, ["everybody on this machine may read it"]),
        (0o666, ["others may write it", "everybody on this machine may read it"]),
    ],
)
def test_permissions_of_a_file(tmp_path: Path, mode: int, said: list[str]) -> None:
    """A file that others may write or read is named, with what helps; its content is not."""
    file = secret(tmp_path, mode)
    found = list(check_permissions([file]))
    assert [one.startswith(f"{file} holds ") for one in found] == [True] * len(said)
    assert all(part in one for part, one in zip(said, found, strict=True))
    assert "a-secret" not in str(found)


def test_a_folder_in_which_others_may_replace_it(tmp_path: Path) -> None:
    """Where everybody may rename files, the file's own permissions are worth nothing; a sticky folder, like
    /tmp, protects it."""
    file = secret(tmp_path, 0o600)
    tmp_path.chmod(0o777)
    (found,) = check_permissions([file])
    assert "others may replace it" in found
    tmp_path.chmod(0o1777)
    assert list(check_permissions([file])) == []


def test_behind_a_link(tmp_path: Path) -> None:
    """What counts is the file that is read, and its folder: secrets are often mounted as links."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    link = tmp_path / "link"
    link.symlink_to(secret(folder, 0o666))
    assert len(list(check_permissions([link]))) == 2
    (folder / "secret").chmod(0o600)
    folder.chmod(0o777)
    assert len(list(check_permissions([link]))) == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Whoever reads it complains; here nothing is said, and one file is named once."""
    assert list(check_permissions([tmp_path / "missing", Path("a" * 5000)])) == []
    file = secret(tmp_path, 0o644)
    assert len(list(check_permissions([file, file]))) == 1
    assert os.access(file, os.R_OK)
