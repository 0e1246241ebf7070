"""Finds keys of this product that hold a value of a wrong type: workers cannot use them.

Finding them changes nothing. The types are those that `numbergroup.ledger.keys` documents.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from numbergroup.brokers.redis.kombu_lists import LISTS
from numbergroup.ledger import keys
from numbergroup_contracts import names

_OF_PARTITION: Mapping[str, Collection[str]] = {
    "string": (keys.LEASE, keys.EPOCH, keys.UNIT, keys.RECORDED),
    "hash": (keys.PARTIAL, keys.CALLS, keys.CRASHES, keys.DEAD_LETTER_INDEX),
    "set": (keys.ATTEMPTED,),
    "stream": (keys.REPLAYS, keys.DEAD_LETTERS),
}
_SHARED: Mapping[str, Collection[str]] = {
    "string": (keys.DEAD_LETTER_COUNT, keys.LEDGER_ID, keys.SETTLEMENTS, keys.PARTITIONS),
    "hash": (
        *(keys.FINGERPRINTS, keys.SHAPES, keys.DEAD_LETTER_GROUPS, keys.QUARANTINED),
        *(keys.GROUP_KEYS, keys.CREATES, keys.WORKERS, keys.PAUSES, keys.RESUMES, keys.BREAKERS),
    ),
    "set": (keys.DEAD_LETTER_PARTITIONS,),
    "stream": (keys.REPLIES, keys.AUDIT),
    "list": (*LISTS, names.REPLIES),
}


class MistypedKey(NamedTuple):
    """A key of this product, its type `found`, and the type `wanted`."""

    key: str
    found: str
    wanted: str

    def __str__(self) -> str:
        types = f"is a {self.found} and must be a {self.wanted}"
        return f"the key {self.key!a} {types}{self._advice()}: rename or delete it"

    def _advice(self) -> str:
        """Return where to publish instead, if the key was probably created by publishing."""
        if (self.found, self.wanted) == ("list", "stream"):
            return f" (publish with XADD; the list of kombu is {names.COMMANDS})"
        if (self.found, self.wanted) == ("stream", "list"):
            return f" (kombu publishes to it; with XADD publish to {names.command_stream(0)})"
        return ""


def types_of_keys(partitions: int, accounts: Collection[str] = ()) -> dict[str, str]:
    """Return the required type of each key with a fixed name, and of the keys of these accounts."""
    types = {keys.commands(number): "stream" for number in range(partitions)}
    for kind, suffixes in _OF_PARTITION.items():
        types |= dict.fromkeys(
            (keys.of_partition(number, suffix) for number in range(partitions) for suffix in suffixes), kind
        )
    for kind, fixed in _SHARED.items():
        types |= dict.fromkeys(fixed, kind)
    for account in accounts:
        types |= {keys.rate(account): "hash", keys.token(account): "string", keys.probe(account): "string"}
    return types


async def mistyped_keys(client: Redis, partitions: int, accounts: Collection[str] = ()) -> list[MistypedKey]:
    """Return the keys that hold a value of a wrong type. Raises `RedisError` and `OSError`."""
    wanted = types_of_keys(partitions, accounts)
    pipe = client.pipeline(transaction=False)
    for key in wanted:
        pipe.type(key)
    answers: list[bytes] = await pipe.execute()
    types = (
        MistypedKey(key, answer.decode(), wanted[key]) for key, answer in zip(wanted, answers, strict=True)
    )
    return [typed for typed in types if typed.found not in (typed.wanted, "none")]
