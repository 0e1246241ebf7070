"""What is said when settings cannot be used, and how a setting is called."""

from collections.abc import Sequence

from numbergroup.errors import NumbergroupError

PREFIX = "NUMBERGROUP_"

Key = tuple[str, ...]
"""`("linger_ms",)` or `("accounts", "default", "timeout_s")`."""


class SettingsError(NumbergroupError, ValueError):
    """The settings cannot be used. `str()` is a line for each problem: which key, what is wrong, what to do.
    No secrets."""

    def __init__(self, *problems: str, others: Sequence[str] = ()) -> None:
        """`others`: what is wrong, too, and not in the text: most commands name one problem at a time."""
        self.others = [" ".join(problem.split()) for problem in others]
        super().__init__("\n".join(" ".join(problem.split()) for problem in problems))


def variable(*key: str) -> str:
    """The setting's name in the environment."""
    return PREFIX + "__".join(key).upper()
