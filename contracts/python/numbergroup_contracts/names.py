"""Names on the wire: where commands are published, and where results are found."""

import zlib

EXCHANGE = "numbergroup"
"""AMQP: direct, or a consistent-hash exchange for several partitions where the broker has that plugin."""
COMMANDS = "numbergroup.commands"
"""The AMQP queue for commands, and the Redis list that kombu producers publish to."""
REPLIES = "numbergroup.replies"
"""The AMQP queue for results, and the Redis list that kombu consumers read."""
PARTITIONS_KEY = "numbergroup:partitions"
"""Redis: the number of partitions that the workers have, as text; missing before the first has started."""
REPLY_STREAM = "numbergroup:replies"


def command_stream(partition: int) -> str:
    """The Redis stream of one partition, counted from 0; its entries have one field, `event`."""
    return f"numbergroup:{{{partition}}}:commands"


def command_queue(partition: int, partitions: int) -> str:
    """The AMQP queue of one of several partitions, or of the only one."""
    return COMMANDS if partitions == 1 else f"{COMMANDS}.{partition}"


def partition_of(handle: str, partitions: int) -> int:
    """Where the commands of a group belong, by its `groupKey` or `groupId`: CRC-32 as in zlib."""
    return zlib.crc32(handle.encode()) % partitions


def hash_key(handle: str) -> str:
    """The routing key of a group on a consistent-hash exchange: its handle, up to what AMQP allows.

    AMQP 0-9-1, 4.2.5.3: a short string has 255 bytes at most.
    """
    return handle.encode()[:255].decode(errors="ignore")
