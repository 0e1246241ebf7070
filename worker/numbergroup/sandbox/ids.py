"""Generates group ids and request ids in the vendor's format (examples: page "Create Number Group")."""

from random import Random
from string import ascii_lowercase, digits

_ALPHABET = digits + ascii_lowercase
_GROUP_ID_LENGTH = 19

# The vendor's published `1602248485121429504` decodes, with this epoch, to the week of its own example `ts`.
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_SMALLEST_19_DIGITS = 10**18


def new_group_id(random: Random) -> str:
    """Returns 19 lowercase letters and digits, such as `6a7sd3402px21429s04`. Equal seeds give equal ids."""
    return "".join(random.choices(_ALPHABET, k=_GROUP_ID_LENGTH))


class RequestIds:
    """Generates decimal strings of 19 digits that always increase, even if the clock is set back."""

    def __init__(self) -> None:
        self._last = _SMALLEST_19_DIGITS

    def next(self, now_ms: int) -> str:
        self._last = max(self._last + 1, (now_ms - _SNOWFLAKE_EPOCH_MS) << 22)
        return str(self._last)
