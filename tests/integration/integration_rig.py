"""The log and the ledger on a Redis, a look into its keys, and what the tests write with them."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

import orjson

from numbergroup.brokers.port import Log
from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.brokers.redis.connect import connect
from numbergroup.engine.calls import Call, CallKind
from numbergroup.engine.commands import (
    Command,
    CommandKey,
    CommandKind,
    Entry,
    GroupRef,
    HandleKind,
    Origin,
    SequenceKey,
)
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.partition.poison_detection import History, InHand
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.settling.settlement import DeadLetterRecord, Reply, Settlement
from numbergroup.engine.verdicts import Fault, Record
from numbergroup.ledger import keys
from numbergroup.ledger.control_store import RedisControlStore
from numbergroup.ledger.port import UpcomingCall
from numbergroup.ledger.redis import RedisLedger
from numbergroup.ledger.token_state import TokenState
from numbergroup.ledger.tokens import RedisTokens
from numbergroup_contracts.results import Status

DEDUP_MS = 24 * 3_600_000
TTL_S = 10.0

KEY_REF = GroupRef("default", HandleKind.KEY, "k-1")
OTHER_REF = GroupRef("default", HandleKind.KEY, "k-2")
ID_REF = GroupRef("default", HandleKind.ID, "g-1")

PARTIAL, LETTERS, LEASE, EPOCH, UNIT, RECORDED, CRASHES = (
    keys.of_partition(0, name)
    for name in ("partial", "dead-letters", "lease", "epoch", "unit", "recorded", "crashes")
)
GROUP_KEYS, CREATES = keys.GROUP_KEYS, keys.CREATES


class Rig:
    """Owns partition 0 from the start, under epoch `epoch`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.epoch = 0

    async def __aenter__(self) -> Self:
        self.client = connect(self.url)
        self.broker = RedisBroker(self.client, DEDUP_MS)
        self.ledger = RedisLedger(self.client)
        self.control_store = RedisControlStore(self.client)
        self.tokens = RedisTokens(self.client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def own(self, owner: str = "me") -> Log:
        """Become the owner, whoever was it, and open the log."""
        await self.client.delete(LEASE)
        epoch = await self.ledger.acquire_lease(0, owner, TTL_S)
        assert epoch is not None
        self.epoch = epoch
        return self.broker.open_log(0, epoch)

    def sender(
        self, ref: GroupRef, call_id: int = 1, *perishable: str, epoch: int | None = None
    ) -> UpcomingCall:
        names = [key(name) for name in perishable]
        return UpcomingCall(0, self.epoch if epoch is None else epoch, ref, call_id, names)

    async def intend(self, ref: GroupRef, one: CreateIntent) -> bool:
        """Record an intent as the partition's owner, who is made if there is none."""
        if not self.epoch:
            await self.own()
        return await self.ledger.record_intent(self.sender(ref), one)

    async def record_call(self, ref: GroupRef, call_id: int, *doubts: Doubt) -> bool:
        return await self.ledger.record_call(self.sender(ref, call_id), doubts, 1_000.0)

    def broker_for(self, partitions: int) -> RedisBroker:
        """The broker as workers with so many partitions have it."""
        return RedisBroker(self.client, DEDUP_MS, partitions)

    async def publish(self, *bodies: bytes) -> list[str]:
        """Add these messages; their tags."""
        pipe = self.client.pipeline(transaction=False)
        for body in bodies:
            pipe.xadd(keys.commands(0), {"event": body})
        return [tag.decode() for tag in await pipe.execute()]

    async def replies(self, queue: str = keys.REPLIES) -> list[bytes]:
        return [fields[b"event"] for _, fields in await self.client.xrange(queue)]

    async def left(self) -> list[str]:
        """The tags of the messages that are still in the stream."""
        return [tag.decode() for tag, _ in await self.client.xrange(keys.commands(0))]

    async def everything(self) -> dict[bytes, Any]:
        """All keys with all they hold, but for how long they live: two such pictures show every change."""
        picture: dict[bytes, Any] = {}
        for key in sorted(await self.client.keys()):
            kind = await self.client.type(key)
            if kind == b"stream":
                picture[key] = await self.client.xrange(key)
            elif kind == b"hash":
                picture[key] = await self.client.hgetall(key)
            elif kind == b"set":
                picture[key] = await self.client.smembers(key)
            elif kind == b"list":
                picture[key] = await self.client.lrange(key, 0, -1)
            elif kind == b"set":
                picture[key] = await self.client.smembers(key)
            else:
                picture[key] = await self.client.get(key)
        return picture


async def read(log: Log, count: int, credit: int = 1000) -> list[Entry]:
    """The next `count` messages, in as many readings as it takes."""
    entries: list[Entry] = []
    while len(entries) < count:
        found = await log.read(credit)
        assert found, f"{len(entries)} messages, and not {count}"
        entries += found
    assert len(entries) == count
    return entries


def tags(entries: Iterable[Entry]) -> list[str]:
    return [entry.tag for entry in entries]


def record(name: str = "g-1") -> Record:
    return Record("f1", Status.APPLIED, name, ("1602248485121429504",), 3, None, None, 1_700_000_000.5)


FAILED = Record(
    "f2",
    Status.REJECTED,
    None,
    (),
    1,
    Fault("refused", "1002", "parameter error"),
    "0-1-1-0",
    1_700_000_000.25,
)


def intent(until: float = 1_700_000_061.5) -> CreateIntent:
    return CreateIntent("ng:1", "groupA", "d1", until)


def doubt(*numbers: str, until: float = 1_061.0, kind: CallKind = CallKind.ADD) -> Doubt:
    return Doubt(Call(kind, numbers or ("85211111114",), "g-1"), until)


def key(name: str) -> CommandKey:
    return CommandKey("test", name)


def full_unit(done: Iterable[str], partial: str) -> Settlement:
    """A unit with something in every section."""
    return Settlement(
        0,
        replies=[
            Reply(None, b'{"r":1}'),
            Reply("numbergroup:replies:crm", b'{"r":2}'),
            Reply(None, b'{"r":3}'),
        ],
        records=[(command("a"), record()), (command("b"), FAILED)],
        dead_letters=[DeadLetterRecord("0-1-1-0", b'{"id":"0-1-1-0"}', b"raw\xff")],
        done=list(done),
        partial=[(partial, [0, 2])],
        bindings={KEY_REF: "g-1", OTHER_REF: None},
        intents_done=[KEY_REF],
        calls_done=[(ID_REF, 7)],
        sequences={SequenceKey("test", ID_REF): 12},
        attempts_done=[key("a")],
    )


def command(name: str, ref: GroupRef = ID_REF, kind: CommandKind = CommandKind.ADD) -> Command:
    origin = Origin(Entry(0, "1-1", b"{}"), 0)
    return Command(key(name), "numbergroup.update.v1", kind, ref, ("85211111114",), "f1", [origin])


def event(name: str, group: str = "g-1", operation: str = "add", phones: str = "85211111114") -> bytes:
    """An update as producers write it."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": "test",
            "type": "numbergroup.update.v1",
            "data": {"groupId": group, "operateType": operation, "phones": phones},
        }
    )


ACTIONS: dict[str, Callable[[Rig, Log], Awaitable[object]]] = {
    "read": lambda rig, log: log.read(10),
    "import_messages": lambda rig, log: log.import_messages(),
    "settle": lambda rig, log: log.settle(Settlement(0, replies=[Reply(None, b"x")]), 1),
    "lookup": lambda rig, log: rig.ledger.lookup([command("a", KEY_REF)]),
    "record_intent": lambda rig, log: rig.ledger.record_intent(rig.sender(KEY_REF), intent()),
    "record_call": lambda rig, log: rig.record_call(ID_REF, 7, doubt()),
    "read_previous_owner_state": lambda rig, log: rig.ledger.read_previous_owner_state(0),
    "delete_intent": lambda rig, log: rig.ledger.delete_intent(KEY_REF, intent()),
    "acquire_lease": lambda rig, log: rig.ledger.acquire_lease(0, "me", TTL_S),
    "renew_lease": lambda rig, log: rig.ledger.renew_lease(0, "me", rig.epoch, TTL_S),
    "release_lease": lambda rig, log: rig.ledger.release_lease(0, "another", rig.epoch),
    "read_crash_record": lambda rig, log: rig.ledger.read_crash_record(0),
    "write_crash_history": lambda rig, log: rig.ledger.write_crash_history(0, rig.epoch, History(1)),
    "write_in_hand": lambda rig, log: rig.ledger.write_in_hand(0, rig.epoch, InHand(("a",))),
    "register": lambda rig, log: rig.ledger.register("me", 1, TTL_S),
    "unregister": lambda rig, log: rig.ledger.unregister("another"),
    "read_owners": lambda rig, log: rig.ledger.read_owners(2),
    "read_partition_count": lambda rig, log: rig.ledger.read_partition_count(),
    "repartition": lambda rig, log: rig.ledger.repartition(2, 1),
    "acquire": lambda rig, log: rig.ledger.limiter("default", 1000).acquire(),
    "read_controls": lambda rig, log: rig.control_store.read(),
    "read_pauses": lambda rig, log: rig.control_store.read_pauses(),
    "pause": lambda rig, log: rig.control_store.pause("default", "", "me"),
    "resume": lambda rig, log: rig.control_store.resume(ID_REF, "me"),
    "claim_probe": lambda rig, log: rig.control_store.claim_probe("default", "me", TTL_S),
    "release_probe": lambda rig, log: rig.control_store.release_probe("default", "me"),
    "publish_open_breaker": lambda rig, log: rig.control_store.publish_breaker(
        "default", BreakerNotice(1.0, 1)
    ),
    "publish_closed_breaker": lambda rig, log: rig.control_store.publish_breaker("default", None),
    "read_token": lambda rig, log: rig.tokens.read("default"),
    "change_token": lambda rig, log: rig.tokens.change("default", lambda state: TokenState()),
}
"""Everything that the worker asks of a log, of a ledger or of a control store; `me` owns the partition."""
