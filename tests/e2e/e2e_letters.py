"""A Redis with dead letters in it, for the commands that work with them."""

from typing import Any

import orjson
from dead_letters_written import group_field, letter, write
from e2e_stage import RedisServer
from redis import Redis

AUDIT, COUNT, DEAD_LETTER_GROUPS = (
    "numbergroup:audit",
    "numbergroup:dead-letters:count",
    "numbergroup:lettered",
)
LETTERS, REPLAYS = "numbergroup:{0}:dead-letters", "numbergroup:{0}:side"
FIRST_MS = 1_763_717_401_483


def post(redis: RedisServer, *letters: dict[str, Any], start: int = 0) -> None:
    """Write them, one after the other."""
    client: Redis[bytes] = redis.client
    for first in range(0, len(letters), 1_000):
        pipe = client.pipeline(transaction=False)
        for at, one in enumerate(letters[first : first + 1_000], start + first):
            write(pipe, one, f"{FIRST_MS + at}-0")
        pipe.set("numbergroup:settlements", 1 << 20)
        pipe.execute()


def some(count: int, groups: int = 3, **how: Any) -> list[dict[str, Any]]:
    """`c-0`, `c-1`, … of groups `g-0`, `g-1`, … in turn, each with an order of its own."""
    return [letter(f"c-{n}", order=(n + 1) << 20, group=f"id:g-{n % groups}", **how) for n in range(count)]


def replayed(redis: RedisServer) -> list[bytes]:
    """The events in the side log of partition 0, in order."""
    return [fields[b"event"] for _, fields in redis.client.xrange(REPLAYS)]


def left(redis: RedisServer) -> int:
    return int(redis.client.xlen(LETTERS))


_MANY = """
local first, last, groups = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function named(text, n) return (string.gsub(string.gsub(text, '#N', n), '#G', n % groups)) end
for n = first, last do
  local entry, id = string.format('%.0f-0', tonumber(ARGV[4]) + n), '0-c-' .. n .. '-0'
  redis.call('XADD', KEYS[1], entry, 'id', id, 'letter', named(ARGV[5], n), 'body', named(ARGV[6], n),
    'order', string.format('%.0f', (n + 1) * 1048576))
  redis.call('HSET', KEYS[2], id, entry)
  redis.call('HINCRBY', KEYS[3], string.gsub(ARGV[7], '#G', n % groups), 1)
end
redis.call('INCRBY', KEYS[4], last - first + 1)
redis.call('HINCRBY', KEYS[5], ARGV[8], last - first + 1)
redis.call('SET', KEYS[6], '1048576')
"""


def post_many(redis: RedisServer, count: int, groups: int) -> None:
    """As `post(redis, *some(count, groups))`, written by the server itself: that many take a second."""
    one = letter("c-#N", group="id:g-#G")
    fingerprint = one["described"]["fingerprint"]
    used = [LETTERS, f"{LETTERS}:index", DEAD_LETTER_GROUPS, COUNT, "numbergroup:dead-letters:fingerprints"]
    texts = [orjson.dumps(one["described"]), one["body"], group_field("id:g-#G"), fingerprint]
    script = redis.client.register_script(_MANY)
    for first in range(0, count, 10_000):
        last = min(count, first + 10_000) - 1
        script([*used, "numbergroup:settlements"], [first, last, groups, FIRST_MS, *texts])
    redis.client.sadd("numbergroup:dead-letters:partitions", 0)
