"""Names on the wire: where commands are published, and where results are read."""

import zlib

EXCHANGE = "numbergroup"
"""AMQP: direct, or a consistent-hash exchange for several partitions where the broker has that plugin."""
COMMANDS = "numbergroup.commands"
"""The AMQP queue for commands, and the Redis list that kombu producers publish to."""
REPLIES = "numbergroup.replies"
"""The AMQP queue for results, and the Redis list that kombu consumers read."""
PARTITIONS_KEY = "numbergroup:partitions"
"""Redis: the number of partitions as text; missing before the first worker has started."""
REPLY_STREAM = "numbergroup:replies"


def command_stream(partition: int) -> str:
    """Return the Redis stream of a partition, counted from 0; its entries have one field, `event`."""
    return f"numbergroup:{{{partition}}}:commands"


def command_queue(partition: int, partitions: int) -> str:
    """Return the AMQP queue of a partition, of so many `partitions`."""
    return COMMANDS if partitions == 1 else f"{COMMANDS}.{partition}"


def partition_of(handle: str, partitions: int) -> int:
    """Return the partition of a group, by its `groupKey` or `groupId`: CRC-32 as in zlib."""
    return zlib.crc32(handle.encode()) % partitions


def hash_key(handle: str) -> str:
    """Return the routing key of a group on a consistent-hash exchange: its handle, cut to 255 bytes.

    That is the limit of a short string (AMQP 0-9-1, 4.2.5.3).
    """
    return handle.encode()[:255].decode(errors="ignore")
