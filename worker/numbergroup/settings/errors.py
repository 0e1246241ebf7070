"""The error for invalid settings, and the names of settings in the environment."""

from collections.abc import Sequence

from numbergroup.errors import NumbergroupError

PREFIX = "NUMBERGROUP_"

Key = tuple[str, ...]
"""`("linger_ms",)` or `("accounts", "default", "timeout_s")`."""


class SettingsError(NumbergroupError, ValueError):
    """The settings are invalid.

    `str()` has one line for each problem: the key, what is wrong, and how to correct it. It has no secrets.
    """

    def __init__(self, *problems: str, others: Sequence[str] = ()) -> None:
        """`others`: further problems, which `str()` leaves out because most commands show one at a time."""
        self.others = [" ".join(problem.split()) for problem in others]
        super().__init__("\n".join(" ".join(problem.split()) for problem in problems))


def variable(*key: str) -> str:
    """Returns the setting's name in the environment."""
    return PREFIX + "__".join(key).upper()
