"""Names of the keys in Redis. Keys of one partition share a hash tag.

Source for the commands and replies: the product's public wire; the others are our own.
"""

import hashlib

from worker.engine.model import CommandKey, GroupRef

REPLIES = "numbergroup:replies"
DEAD_LETTERS = "dead-letters"


def commands(partition: int) -> str:
    return f"numbergroup:{{{partition}}}:commands"


def of_partition(partition: int, name: str) -> str:
    """`lease`, `epoch`, `unit`, `partial`, `group-keys`, `creates`, `dead-letters`."""
    return f"numbergroup:{{{partition}}}:{name}"


def settled(partition: int, key: CommandKey) -> str:
    """The record of one settled command. 96 bits: no two of 10^9 commands share it by chance."""
    digest = hashlib.blake2b(f"{key.source}\0{key.id}".encode(), digest_size=12).hexdigest()
    return f"numbergroup:{{{partition}}}:done:{digest}"


def field(ref: GroupRef) -> str:
    """The group's field in `group-keys` and `creates`."""
    return f"{ref.account}\0{ref.kind}\0{ref.name}"


def rate(account: str) -> str:
    return f"numbergroup:rate:{account}"
