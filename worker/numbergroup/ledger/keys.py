"""Names of the keys in Redis. Keys of one partition share a hash tag.

What is known of commands and groups belongs to no partition: it outlives a change of their number.

Each name's docstring begins with the key's type; the page "Ledger keys" of the documentation is made from
them. Source for the commands and replies: the product's public wire; the others are our own."""

import hashlib

from numbergroup.engine.commands import CommandKey, GroupRef, HandleKind, SequenceKey
from numbergroup_contracts import names

_LONGEST_NAME = 128

REPLIES = names.REPLY_STREAM
"""Stream: results, one message an entry, in the field `event`."""

LEASE = "lease"
"""String: the owner of the partition. It ends after `LEASE_TTL_S`, unless the owner renews it."""
EPOCH = "epoch"
"""String: how often the partition has changed its owner. Every write of an owner names its epoch."""
UNIT = "unit"
"""String: `epoch:serial` of the last settlement, so that a late or repeated request writes nothing."""
RECORDED = "recorded"
"""String: `epoch:serial` of the last record of calls, for the same reason."""
PARTIAL = "partial"
"""Hash: a message's id → the indexes of the events of an array that are settled; on RabbitMQ the number of
events of a message that is answered and not acknowledged. Both end with the message."""
CALLS = "calls"
"""Hash: a group → its calls that may take effect, recorded before they are sent, with the milliseconds
left to each. It ends when the last one can no longer take effect."""
ATTEMPTED = "attempted"
"""Set: commands with an `expirytime` that were in a call already, as `source NUL id`."""
CRASHES = "crashes"
"""Hash: `owner`, and what is known of crashes: `history`, `unclean`, `in_hand`, `lost`, `server`. Cleared
when nothing is suspected any more."""
SIDE = "side"
"""Stream: what operators replay, until a worker has settled it."""
DEAD_LETTERS = "dead-letters"
"""Stream: `id`, `letter` (why, JSON), `body` (the bytes as they arrived; of a message on a kombu list its
body, or the envelope where that cannot be read), `order`, `original` (the bytes before an operator
edited them)."""
LETTER_INDEX = "dead-letters:index"
"""Hash: a dead letter's id → its newest entry in the stream."""

LETTER_PARTITIONS = "numbergroup:dead-letters:partitions"
"""Set: the partitions that ever had dead letters: these outlive a change of the number of partitions."""
LETTER_COUNT = "numbergroup:dead-letters:count"
"""String: how many dead letters there are."""
LETTER_LEDGER = "numbergroup:dead-letters:ledger"
"""String: the name of this ledger in exports: in another ledger, a dead letter's order means nothing."""
FINGERPRINTS = "numbergroup:dead-letters:fingerprints"
"""Hash: a fingerprint → how many dead letters there are."""
SHAPES = "numbergroup:dead-letters:shapes"
"""Hash: a fingerprint → what its dead letters have in common: `kind`, `code`, `message`."""
LETTERED = "numbergroup:lettered"
"""Hash: a group → how many dead letters it has, and replays under way."""
QUARANTINED = "numbergroup:quarantined"
"""Hash: a group whose commands go to the dead letters → `{"code","message"}`; until an operator resumes
it."""
SETTLEMENTS = "numbergroup:settlements"
"""String: how many units settled that had dead letters or decisions: what orders them."""
EVERYTHING = "*"
"""In the place of a number: all numbers."""
GROUP_KEYS = "numbergroup:group-keys"
"""Hash: a group with a `groupKey` → the vendor's id of it. Entries stay."""
CREATES = "numbergroup:creates"
"""Hash: a group → its create that was sent and is not settled: marker, name and digest of the numbers."""
PARTITIONS = names.PARTITIONS_KEY
"""String: how many partitions there are, for all workers."""
WORKERS = "numbergroup:workers"
"""Hash: a live worker → since when, and until when, in the server's milliseconds."""

PAUSES = "numbergroup:pauses"
"""Hash: what operators have paused, an account's name or a group → `{"since","who","reason"}`. What is
named is paused, whatever the value is."""
RESUMES = "numbergroup:resumes"
"""Hash: an account's name or a group → when it was resumed last (the server's milliseconds), paused or
not. It ends an hour after the last one."""
BREAKERS = "numbergroup:breakers"
"""Hash: an account → `{"until","failures"}`: no call of any worker before, in Unix seconds."""
AUDIT = "numbergroup:audit"
"""Stream: one entry for each operator's action, written with it: `who`, `action`, `detail`. An entry has
the first hundred ids, and how many there were."""


def commands(partition: int) -> str:
    """Stream: the partition's commands, one message an entry, in the field `event`."""
    return names.command_stream(partition)


def of_partition(partition: int, name: str) -> str:
    """The key of that name, from `LEASE` to `LETTER_INDEX`, of one partition."""
    return f"numbergroup:{{{partition}}}:{name}"


def settled(digest: str) -> str:
    """String: the record of one settled command, by the digest of its `source` and `id`; for
    `DEDUP_HOURS`."""
    return f"numbergroup:done:{digest}"


def sequence(key: SequenceKey) -> str:
    """String: the greatest `sequence` of one source's settled commands for one group; for `DEDUP_HOURS`."""
    digest = hashlib.blake2b(f"{key.source}\0{field(key.group)}".encode(), digest_size=12).hexdigest()
    return f"numbergroup:sequence:{digest}"


def since(field: str) -> str:
    """Hash: a number → what was decided of it since its group has dead letters; `*`: all numbers. The
    digest is the group's."""
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
    """String: the worker that may probe the account. It ends by itself."""
    return f"numbergroup:probe:{account}"


def token(account: str) -> str:
    """String, JSON: `token` (`value`, `of`: digest of the credentials, `since`), `claim` (who makes one,
    until when), `made` (when one was, or may have been). Unix seconds. It ends a day after the last
    change; delete it, and a new token is made."""
    return f"numbergroup:token:{account}"


def report(owner: str) -> str:
    """String, JSON: what a worker reports of itself every 2 s. It ends after 10 s."""
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
    """Hash: the account's rate limit, shared by all workers (GCRA: the time up to which calls are
    permitted)."""
    return f"numbergroup:rate:{account}"
