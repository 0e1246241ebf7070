"""Keys of ours that hold a value of another type: whatever uses such a key stops, or has to do without it.

Looking changes nothing. The types are those that `numbergroup.ledger.keys` documents.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from numbergroup.brokers.redis.kombu_lists import LISTS
from numbergroup.ledger import keys
from numbergroup_contracts import names

_OF_PARTITION: Mapping[str, Collection[str]] = {
    "string": (keys.LEASE, keys.EPOCH, keys.UNIT, keys.RECORDED),
    "hash": (keys.PARTIAL, keys.CALLS, keys.CRASHES, keys.LETTER_INDEX),
    "set": (keys.ATTEMPTED,),
    "stream": (keys.SIDE, keys.DEAD_LETTERS),
}
_SHARED: Mapping[str, Collection[str]] = {
    "string": (keys.LETTER_COUNT, keys.LETTER_LEDGER, keys.SETTLEMENTS, keys.PARTITIONS),
    "hash": (
        *(keys.FINGERPRINTS, keys.SHAPES, keys.LETTERED, keys.QUARANTINED),
        *(keys.GROUP_KEYS, keys.CREATES, keys.WORKERS, keys.PAUSES, keys.RESUMES, keys.BREAKERS),
    ),
    "set": (keys.LETTER_PARTITIONS,),
    "stream": (keys.REPLIES, keys.AUDIT),
    "list": (*LISTS, names.REPLIES),
}


class MistypedKey(NamedTuple):
    """A key of ours, the type that it has and the one that it must have."""

    key: str
    found: str
    wanted: str

    def __str__(self) -> str:
        types = f"is a {self.found} and must be a {self.wanted}"
        return f"the key {self.key!a} {types}{self._meant()}: rename or delete it"

    def _meant(self) -> str:
        """Where it should have been published, if it was published to."""
        if (self.found, self.wanted) == ("list", "stream"):
            return f" (publish with XADD; the list of kombu is {names.COMMANDS})"
        if (self.found, self.wanted) == ("stream", "list"):
            return f" (kombu publishes to it; with XADD publish to {names.command_stream(0)})"
        return ""


def types_of_keys(partitions: int, accounts: Collection[str] = ()) -> dict[str, str]:
    """The type of each key with a fixed name, and of those of the accounts."""
    found = {keys.commands(number): "stream" for number in range(partitions)}
    for kind, suffixes in _OF_PARTITION.items():
        found |= dict.fromkeys(
            (keys.of_partition(number, suffix) for number in range(partitions) for suffix in suffixes), kind
        )
    for kind, fixed in _SHARED.items():
        found |= dict.fromkeys(fixed, kind)
    for account in accounts:
        found |= {keys.rate(account): "hash", keys.token(account): "string", keys.probe(account): "string"}
    return found


async def mistyped_keys(client: Redis, partitions: int, accounts: Collection[str] = ()) -> list[MistypedKey]:
    """The keys that hold a value of another type than the worker's. Raises `RedisError` and `OSError`."""
    wanted = types_of_keys(partitions, accounts)
    pipe = client.pipeline(transaction=False)
    for key in wanted:
        pipe.type(key)
    answers: list[bytes] = await pipe.execute()
    found = (
        MistypedKey(key, answer.decode(), wanted[key]) for key, answer in zip(wanted, answers, strict=True)
    )
    return [one for one in found if one.found not in (one.wanted, "none")]
