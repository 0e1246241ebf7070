"""Names of the keys in Redis. Keys of one partition share a hash tag.

What is known of commands and groups belongs to no partition: it outlives a change of their number.

Source for the commands and replies: the product's public wire; the others are our own.
"""

import hashlib

from numbergroup.engine.model import CommandKey, GroupRef, HandleKind, SequenceKey
from numbergroup_contracts import names

_LONGEST_NAME = 128

REPLIES = names.REPLY_STREAM
DEAD_LETTERS = "dead-letters"
LETTER_INDEX = "dead-letters:index"
"""Of a partition, as `DEAD_LETTERS`: the newest entry of each letter."""
SIDE = "side"
"""Of a partition: the log of what operators replay."""
LETTER_PARTITIONS = "numbergroup:dead-letters:partitions"
"""Those that ever had letters: letters outlive a change of their number."""
LETTER_COUNT = "numbergroup:dead-letters:count"
LETTER_LEDGER = "numbergroup:dead-letters:ledger"
"""What an export says of its origin: in another ledger, a letter's order means nothing."""
FINGERPRINTS = "numbergroup:dead-letters:fingerprints"
"""By fingerprint, how many letters there are."""
SHAPES = "numbergroup:dead-letters:shapes"
"""By fingerprint, what they have in common: `kind`, `code`, `message`."""
LETTERED = "numbergroup:lettered"
"""By group: how many letters of it there are, and replays under way."""
QUARANTINED = "numbergroup:quarantined"
"""Groups whose commands are put away, and why; until an operator resumes them."""
SETTLEMENTS = "numbergroup:settlements"
"""How many units settled that had letters or decisions: what orders them."""
EVERYTHING = "*"
"""In the place of a number: all numbers."""
GROUP_KEYS = "numbergroup:group-keys"
CREATES = "numbergroup:creates"
PARTITIONS = names.PARTITIONS_KEY
"""How many there are, for all workers."""
WORKERS = "numbergroup:workers"
"""The live ones: since when, and until when, in the server's milliseconds."""

PAUSES = "numbergroup:pauses"
"""What operators have paused: accounts by name, groups by field."""
RESUMES = "numbergroup:resumes"
"""When they last resumed it (the server's milliseconds), paused or not; kept for an hour."""
BREAKERS = "numbergroup:breakers"
"""By account: no call before, for all workers."""
AUDIT = "numbergroup:audit"
"""One entry for each operator's action: `who`, `action`, `detail`."""

commands = names.command_stream


def of_partition(partition: int, name: str) -> str:
    """`lease`, `epoch`, `unit`, `partial`, `calls`, `attempted`, `recorded`, `crashes`, `side`,
    `dead-letters`, and its `index`."""
    return f"numbergroup:{{{partition}}}:{name}"


def settled(digest: str) -> str:
    """The record of one settled command, by its digest."""
    return f"numbergroup:done:{digest}"


def sequence(key: SequenceKey) -> str:
    """The greatest `sequence` of one source's settled commands for one group."""
    digest = hashlib.blake2b(f"{key.source}\0{field(key.group)}".encode(), digest_size=12).hexdigest()
    return f"numbergroup:sequence:{digest}"


def since(field: str) -> str:
    """What was decided of a group while there are letters of it; `field` is the group's."""
    return f"numbergroup:since:{hashlib.blake2b(field.encode(), digest_size=12).hexdigest()}"


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


def target_field(target: str | GroupRef) -> str:
    """The account's or the group's field in `PAUSES` and `RESUMES`."""
    return target if isinstance(target, str) else field(target)


def target(field: bytes) -> str | GroupRef | None:
    """The account or group of a field; `None` for what is neither."""
    if b"\0" in field:
        return group(field)
    try:
        account = field.decode()
    except UnicodeDecodeError:
        return None
    return account if account.isprintable() and 0 < len(account) <= _LONGEST_NAME else None


def probe(account: str) -> str:
    """Whose turn it is to try the account."""
    return f"numbergroup:probe:{account}"


def token(account: str) -> str:
    """The token that all workers share, and how many were made."""
    return f"numbergroup:token:{account}"


def report(owner: str) -> str:
    """What a worker says of itself; it ends soon after the worker."""
    return f"numbergroup:report:{owner}"


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
