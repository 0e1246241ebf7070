"""Names of the keys in Redis. Keys of one partition share a hash tag.

What is known of commands and groups belongs to no partition: it outlives a change of their number.

Source for the commands and replies: the product's public wire; the others are our own.
"""

import hashlib

from contracts import names
from worker.engine.model import CommandKey, GroupRef, HandleKind, SequenceKey

REPLIES = names.REPLY_STREAM
DEAD_LETTERS = "dead-letters"
GROUP_KEYS = "numbergroup:group-keys"
CREATES = "numbergroup:creates"
PARTITIONS = names.PARTITIONS_KEY
"""How many there are, for all workers."""
WORKERS = "numbergroup:workers"
"""The live ones: since when, and until when, in the server's milliseconds."""

commands = names.command_stream


def of_partition(partition: int, name: str) -> str:
    """`lease`, `epoch`, `unit`, `partial`, `calls`, `attempted`, `dead-letters`."""
    return f"numbergroup:{{{partition}}}:{name}"


def settled(key: CommandKey) -> str:
    """The record of one settled command. 96 bits: no two of 10^9 commands share it by chance."""
    digest = hashlib.blake2b(f"{key.source}\0{key.id}".encode(), digest_size=12).hexdigest()
    return f"numbergroup:done:{digest}"


def sequence(key: SequenceKey) -> str:
    """The greatest `sequence` of one source's settled commands for one group."""
    digest = hashlib.blake2b(f"{key.source}\0{field(key.group)}".encode(), digest_size=12).hexdigest()
    return f"numbergroup:sequence:{digest}"


def field(ref: GroupRef) -> str:
    """The group's field in `GROUP_KEYS`, `CREATES` and a partition's `calls`."""
    return f"{ref.account}\0{ref.kind}\0{ref.name}"


def group(field: bytes) -> GroupRef | None:
    """The group of a field; `None` for what is none."""
    try:
        account, kind, name = field.decode().split("\0", 2)
        return GroupRef(account, HandleKind(kind), name)
    except ValueError:
        return None


def member(key: CommandKey) -> str:
    """The command in a partition's `attempted`."""
    return f"{key.source}\0{key.id}"


def command(member: bytes) -> CommandKey | None:
    """The command of a member; `None` for what is none."""
    try:
        source, name = member.decode().split("\0")
        return CommandKey(source, name)
    except ValueError:
        return None


def rate(account: str) -> str:
    return f"numbergroup:rate:{account}"
