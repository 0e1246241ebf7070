"""Names of the keys in Redis.

Keys of one partition share a hash tag. Keys of commands and groups belong to no partition, so that they
survive a change of the number of partitions.

Each name's docstring begins with the key's type; the page "Ledger keys" of the documentation is made from
them. The names for commands and replies are in the wire contract; the others are internal."""

import hashlib

from numbergroup.engine.commands import CommandKey, GroupRef, HandleKind, SequenceKey
from numbergroup_contracts import names

_MAX_NAME = 128

REPLIES = names.REPLY_STREAM
"""Stream: results, one message an entry, in the field `event`."""

LEASE = "lease"
"""String: the owner of the partition. It expires after `LEASE_TTL_S`, unless the owner renews it."""
EPOCH = "epoch"
"""String: the epoch, which grows with every change of owner. Every write of an owner names its epoch."""
UNIT = "unit"
"""String: `epoch:serial` of the last settlement, so that a late or repeated request writes nothing."""
RECORDED = "recorded"
"""String: `epoch:serial` of the last record of calls, for the same reason."""
PARTIAL = "partial"
"""Hash: a message's id → the indexes of its settled events; on RabbitMQ also the number of events of a
message that is answered and not acknowledged yet. An entry is deleted with its message."""
CALLS = "calls"
"""Hash: a group → its calls that may take effect, recorded before they are sent, with the milliseconds left
to each. It expires when the last one can no longer take effect."""
ATTEMPTED = "attempted"
"""Set: unsettled commands with an `expirytime` that were in a call, as `source NUL id`."""
CRASHES = "crashes"
"""Hash: `owner`, and what is known of crashes: `history`, `unclean`, `in_hand`, `lost`, `server`. It is
cleared when no message is suspected any more."""
REPLAYS = "side"
"""Stream: the dead letters that operators replay, until a worker has settled them."""
DEAD_LETTERS = "dead-letters"
"""Stream: `id`, `letter` (why, JSON), `body` (the bytes as they arrived; of a message on a kombu list its
body, or the envelope where that cannot be read), `order`, `original` (the bytes before an operator
edited them)."""
DEAD_LETTER_INDEX = "dead-letters:index"
"""Hash: a dead letter's id → its newest entry in the stream."""

DEAD_LETTER_PARTITIONS = "numbergroup:dead-letters:partitions"
"""Set: the partitions that ever had dead letters; they survive a change of the number of partitions."""
DEAD_LETTER_COUNT = "numbergroup:dead-letters:count"
"""String: how many dead letters there are."""
LEDGER_ID = "numbergroup:dead-letters:ledger"
"""String: the name of this ledger in exports: in another ledger, a dead letter's order means nothing."""
FINGERPRINTS = "numbergroup:dead-letters:fingerprints"
"""Hash: a fingerprint → how many dead letters there are."""
SHAPES = "numbergroup:dead-letters:shapes"
"""Hash: a fingerprint → what its dead letters have in common: `kind`, `code`, `message`."""
DEAD_LETTER_GROUPS = "numbergroup:lettered"
"""Hash: a group → how many dead letters it has, and replays under way."""
QUARANTINED = "numbergroup:quarantined"
"""Hash: a group whose commands go to the dead letters → `{"code","message"}`; until an operator resumes
it."""
SETTLEMENTS = "numbergroup:settlements"
"""String: the number of settled units with dead letters or decisions; it gives their order."""
ALL_NUMBERS = "*"
"""Stands for all numbers of a group, instead of a number."""
GROUP_KEYS = "numbergroup:group-keys"
"""Hash: a group with a `groupKey` → its id at the vendor. Entries are kept."""
CREATES = "numbergroup:creates"
"""Hash: a group → its create that may have been sent and is not settled: marker, name, digest of the
numbers."""
PARTITIONS = names.PARTITIONS_KEY
"""String: how many partitions there are, for all workers."""
WORKERS = "numbergroup:workers"
"""Hash: a live worker → since when and until when it counts as alive, in the server's milliseconds."""

PAUSES = "numbergroup:pauses"
"""Hash: a paused account's name or group → `{"since","who","reason"}`. It is paused even if the value cannot
be read."""
RESUMES = "numbergroup:resumes"
"""Hash: an account's name or a group → the time of its last resume, in the server's milliseconds. It expires
an hour after the last resume."""
BREAKERS = "numbergroup:breakers"
"""Hash: an account → `{"until","failures"}`: no worker calls before `until`, in Unix seconds."""
AUDIT = "numbergroup:audit"
"""Stream: one entry for each operator's action, written together with it: `who`, `action`, `detail`. The
detail has the first hundred ids, and the number of all."""


def commands(partition: int) -> str:
    """Stream: the partition's commands, one message an entry, in the field `event`."""
    return names.command_stream(partition)


def of_partition(partition: int, name: str) -> str:
    """Return the key of a partition; `name` is one of `LEASE` to `DEAD_LETTER_INDEX`."""
    return f"numbergroup:{{{partition}}}:{name}"


def settled(digest: str) -> str:
    """String: the record of one settled command, by the digest of its `source` and `id`; for
    `DEDUP_HOURS`."""
    return f"numbergroup:done:{digest}"


def sequence(key: SequenceKey) -> str:
    """String: the greatest `sequence` of one source's settled commands for one group; for `DEDUP_HOURS`."""
    digest = hashlib.blake2b(f"{key.source}\0{group_field(key.group)}".encode(), digest_size=12).hexdigest()
    return f"numbergroup:sequence:{digest}"


def since(field: str) -> str:
    """Hash: a number → the last decision on it since its group has dead letters; `*`: on all numbers. The
    digest is the group's."""
    return f"numbergroup:since:{hashlib.blake2b(field.encode(), digest_size=12).hexdigest()}"


def group_field(ref: GroupRef) -> str:
    """Return the group's field in `GROUP_KEYS`, `CREATES` and a partition's `calls`."""
    return f"{ref.account}\0{ref.kind}\0{ref.name}"


def parse_group(field: bytes) -> GroupRef | None:
    """Return the group of a field; `None` if the field names no group."""
    try:
        account, kind, name = field.decode().split("\0", 2)
        return GroupRef(account, HandleKind(kind), name)
    except ValueError:
        return None


def target_field(target: str | GroupRef) -> str:
    """Return the field of an account or a group in `PAUSES` and `RESUMES`."""
    return target if isinstance(target, str) else group_field(target)


def parse_target(field: bytes) -> str | GroupRef | None:
    """Return the account or group of a field; `None` if the field names neither."""
    if b"\0" in field:
        return parse_group(field)
    try:
        account = field.decode()
    except UnicodeDecodeError:
        return None
    return account if account.isprintable() and 0 < len(account) <= _MAX_NAME else None


def probe(account: str) -> str:
    """String: the only worker that may probe the account. It expires."""
    return f"numbergroup:probe:{account}"


def token(account: str) -> str:
    """String, JSON: `token` (`value`, `of`: digest of the credentials, `since`), `claim` (the worker that
    requests a token, and until when), `made` (times at which tokens were issued, or may have been). Times are
    in Unix seconds. It expires a day after the last change. If it is deleted, a new token is requested."""
    return f"numbergroup:token:{account}"


def report(owner: str) -> str:
    """String, JSON: a worker's report, renewed every 2 s. It expires after 10 s."""
    return f"numbergroup:report:{owner}"


def command_member(key: CommandKey) -> str:
    """Return the command's member in a partition's `attempted`."""
    return f"{key.source}\0{key.id}"


def parse_command(member: bytes) -> CommandKey | None:
    """Return the command of a member; `None` if the member names no command."""
    try:
        source, name = member.decode().split("\0")
        return CommandKey(source, name)
    except ValueError:
        return None


def rate(account: str) -> str:
    """Hash: the account's rate limit, which all workers share (GCRA: the time up to which calls are
    reserved)."""
    return f"numbergroup:rate:{account}"
