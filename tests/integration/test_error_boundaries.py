"""No exception of a library leaves the package that uses it: servers that fail in every way raise our own."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from integration_rig import ID_REF, KEY_REF
from integration_servers import answering, free_port

from numbergroup.brokers import lookalikes
from numbergroup.brokers.amqp import connection_thread, queue_depth
from numbergroup.brokers.amqp.broker import AmqpBroker
from numbergroup.brokers.amqp.lossy_queues import check_queues
from numbergroup.brokers.amqp.topology import Topology
from numbergroup.brokers.redis.broker import RedisBroker, StreamLog
from numbergroup.brokers.redis.connect import check, connect
from numbergroup.brokers.replay_stream import ReplayStream
from numbergroup.engine.commands import Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.partition.poison_detection import History, InHand
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.snapshot import Snapshot
from numbergroup.errors import NumbergroupError, TransportError
from numbergroup.ledger.control_store import RedisControlStore
from numbergroup.ledger.dead_letters.changing import Action, ImportedLetter, LetterChanger, ReplayMove
from numbergroup.ledger.dead_letters.letter import Letter, Position
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.limiter import RedisLimiter
from numbergroup.ledger.overview import read_overview
from numbergroup.ledger.port import UpcomingCall
from numbergroup.ledger.redis import RedisLedger
from numbergroup.ledger.reports import RedisReports, Report
from numbergroup.ledger.token_state import TokenState
from numbergroup.ledger.tokens import RedisTokens
from numbergroup.settings import SettingsError, load_settings
from numbergroup.vendors.http import HttpTransport
from numbergroup.vendors.port import Request
from numbergroup_contracts import PublishError, publish
from numbergroup_contracts.names import PARTITIONS_KEY

EVENT = (
    b'{"specversion":"1.0","id":"c-1","source":"crm","type":"numbergroup.update.v1",'
    b'"data":{"groupId":"g-1","operateType":"add","phones":["85211111114"]}}'
)
ANSWERS: dict[str, Callable[[bytes], bytes | None]] = {
    "hangs up": lambda _: None,
    "garbage": lambda _: b"\x00\xff\xfegarbage\r\n",
    "http": lambda _: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "redis error": lambda _: b"-ERR out of order\r\n" * 40,
    "redis loading": lambda _: b"-LOADING Redis is loading the dataset in memory\r\n" * 40,
    "half an answer": lambda _: b"$100\r\nhalf",
}
SERVERS = ["closed port", *ANSWERS]


@asynccontextmanager
async def failing(server: str) -> AsyncIterator[str]:
    """The address of a server that fails: `127.0.0.1:<port>`."""
    if server == "closed port":
        yield f"127.0.0.1:{free_port()}"
        return
    async with answering(ANSWERS[server], once=server == "half an answer") as url:
        yield url.removeprefix("redis://").removesuffix("/0")


async def raised_by(call: Callable[[], Any]) -> BaseException | None:
    """What the call raises; an asynchronous iterator is read to its end. It takes a few seconds at most."""
    try:
        async with asyncio.timeout(5.0):
            found = call()
            if hasattr(found, "__aiter__"):
                async for _ in found:
                    pass
            elif isinstance(found, Awaitable):
                await found
    except Exception as error:
        return error
    return None


async def check_methods(kind: type, calls: dict[str, Callable[[], Any]]) -> None:
    """The calls are all public methods of `kind` that talk to a server, and each raises one of our errors."""
    talking = {
        name
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
        and (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method))
    }
    assert calls.keys() == talking
    for name, call in calls.items():
        error = await raised_by(call)
        assert isinstance(error, NumbergroupError), f"{kind.__name__}.{name}: {error!r}"


@pytest.fixture(params=SERVERS)
async def client(request: Any) -> AsyncIterator[Any]:
    async with failing(request.param) as address:
        client = connect(f"redis://{address}/0")
        yield client
        await client.aclose()


async def test_ledger(client: Any) -> None:
    ledger = RedisLedger(client)
    (command,) = Intake().read(Entry(0, "1-0", EVENT))
    intent = CreateIntent("m", "n", "d", 1.0)
    call = UpcomingCall(0, 1, KEY_REF, 1)
    await check_methods(
        RedisLedger,
        {
            "lookup": lambda: ledger.lookup([command]),
            "record_intent": lambda: ledger.record_intent(call, intent),
            "record_call": lambda: ledger.record_call(call, [], 1.0),
            "read_previous_owner_state": lambda: ledger.read_previous_owner_state(0),
            "delete_intent": lambda: ledger.delete_intent(KEY_REF, intent),
            "acquire_lease": lambda: ledger.acquire_lease(0, "w", 1.0),
            "renew_lease": lambda: ledger.renew_lease(0, "w", 1, 1.0),
            "release_lease": lambda: ledger.release_lease(0, "w", 1),
            "read_last_unit": lambda: ledger.read_last_unit(0),
            "clear_loss": lambda: ledger.clear_loss(0, 1),
            "read_crash_record": lambda: ledger.read_crash_record(0),
            "write_crash_history": lambda: ledger.write_crash_history(0, 1, History()),
            "write_in_hand": lambda: ledger.write_in_hand(0, 1, InHand()),
            "register": lambda: ledger.register("w", 1, 1.0),
            "unregister": lambda: ledger.unregister("w"),
            "read_owners": lambda: ledger.read_owners(1),
            "read_partition_count": ledger.read_partition_count,
            "repartition": lambda: ledger.repartition(1, 2),
            "time_s": ledger.time_s,
        },
    )


async def test_control_store(client: Any) -> None:
    store = RedisControlStore(client)
    await check_methods(
        RedisControlStore,
        {
            "read": store.read,
            "read_pauses": store.read_pauses,
            "pause": lambda: store.pause(ID_REF, "why", "me"),
            "resume": lambda: store.resume("default", "me"),
            "claim_probe": lambda: store.claim_probe("default", "w", 1.0),
            "release_probe": lambda: store.release_probe("default", "w"),
            "publish_breaker": lambda: store.publish_breaker("default", BreakerNotice(1.0, 1)),
        },
    )


async def test_tokens_limiter_and_reports(client: Any) -> None:
    tokens, limiter, reports = RedisTokens(client), RedisLimiter(client, "default", 10), RedisReports(client)
    report = Report("w", "1", began_at=1.0, at=1.0, letters_written=0, snapshot=Snapshot([], []))
    await check_methods(
        RedisTokens,
        {
            "read": lambda: tokens.read("default"),
            "change": lambda: tokens.change("default", lambda _: TokenState()),
        },
    )
    await check_methods(RedisLimiter, {"acquire": limiter.acquire})
    await check_methods(
        RedisReports,
        {
            "write": lambda: reports.write(report),
            "drop": lambda: reports.drop("w"),
            "read": lambda: reports.read(["w"]),
        },
    )


async def test_dead_letters(client: Any) -> None:
    reader, changer = LetterReader(client), LetterChanger(client)
    letter, action = Letter(0, "1-0", {b"id": b"0-1-1-0"}), Action("me", "replay")
    await check_methods(
        LetterReader,
        {
            "server_time": reader.server_time,
            "read_partition_count": reader.read_partition_count,
            "find_partitions": reader.find_partitions,
            "count": reader.count,
            "scan": reader.scan,
            "find": lambda: reader.find(["0-1-1-0"]),
            "has_unindexed": reader.has_unindexed,
            "fetch": lambda: reader.fetch([Position.from_letter(letter)]),
            "scan_fingerprints": reader.scan_fingerprints,
            "read_shapes": lambda: reader.read_shapes(["f00dfeed0001"]),
            "read_ledger_id": reader.read_ledger_id,
            "read_raw_shape": lambda: reader.read_raw_shape("f00dfeed0001"),
            "read_decisions": lambda: reader.read_decisions([("f", ["85211111114"])]),
            "scan_decisions": lambda: reader.scan_decisions("f"),
            "scan_audit": reader.scan_audit,
        },
    )
    await check_methods(
        LetterChanger,
        {
            "replay": lambda: changer.replay(action, [ReplayMove(letter, 0, EVENT, b"{}", None)]),
            "discard": lambda: changer.discard(action, [letter]),
            "edit": lambda: changer.edit(action, letter, letter, 1),
            "add": lambda: changer.add(action, [ImportedLetter(letter, None, True)], 1),
        },
    )


async def test_redis_broker(client: Any) -> None:
    broker, unit = RedisBroker(client, 1_000), Settlement(0, done=["1-0"])
    log, moving = broker.open_log(0, 1), broker.open_log(0, 1)
    assert isinstance(log, StreamLog)
    log._position.advance(["1-0"])
    calls = {
        "count_waiting": lambda: broker.count_waiting(2),
        "read": lambda: log.read(1),
        "import_messages": moving.import_messages,
        "check_position": log.check_position,
        "settle": lambda: log.settle(unit, 1),
        "restore": lambda: log.restore(unit, 1),
        "replays": lambda: ReplayStream(client, 0).read(1, 1),
        "check": lambda: check(client),
    }
    for name, call in calls.items():
        error = await raised_by(call)
        assert isinstance(error, NumbergroupError), f"{name}: {error!r}"


async def test_overview_and_lookalikes(client: Any) -> None:
    """Without lookalikes `status` shows everything else: they raise nothing."""
    error = await raised_by(lambda: read_overview(client, 2))
    assert isinstance(error, NumbergroupError), repr(error)
    assert await raised_by(lambda: lookalikes.find_on_redis(client, 2)) is None


@pytest.mark.parametrize("server", SERVERS)
async def test_amqp_broker(server: str, embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening and counting; what happens to a connection later, the outages' tests show."""
    monkeypatch.setattr(connection_thread, "_CONNECT_TIMEOUT_S", 0.3)
    ledger, topology = connect(embedded_url), Topology(2)
    async with failing(server) as address:
        url = f"amqp://{address}/"
        broker = AmqpBroker(url, ledger, record_ms=1_000, max_in_work=10, heartbeat_s=10, topology=topology)
        calls: dict[str, Callable[[], Any]] = {
            "open": broker.open,
            "count_waiting": lambda: broker.count_waiting(2),
            "count_ready": lambda: asyncio.to_thread(queue_depth.count_ready, url, 2),
            "count_strays": lambda: asyncio.to_thread(queue_depth.count_strays, url, 2),
            "find_lookalikes": lambda: asyncio.to_thread(queue_depth.find_lookalikes, url, 2),
            "check_queues": lambda: asyncio.to_thread(check_queues, url, topology, accept_losses=True),
        }
        for name, call in calls.items():
            error = await raised_by(call)
            assert isinstance(error, NumbergroupError), f"{name}: {error!r}"
        await broker.close()
    await ledger.aclose()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps"])
async def test_publishing(server: str, scheme: str) -> None:
    async with failing(server) as address:
        url = f"{scheme}://{address}/"
        error = await raised_by(lambda: asyncio.to_thread(publish, [EVENT], url, timeout_s=0.5))
    assert isinstance(error, PublishError), repr(error)


async def test_publishing_with_an_unreadable_number_of_partitions(url: str) -> None:
    client = connect(url)
    await client.set(PARTITIONS_KEY, "two")
    error = await raised_by(lambda: asyncio.to_thread(publish, [EVENT], url))
    await client.delete(PARTITIONS_KEY)
    await client.aclose()
    assert isinstance(error, PublishError), repr(error)


VENDORS: dict[str, Callable[[bytes], bytes | None]] = {
    **ANSWERS,
    "bad status": lambda _: b"HTTP/1.1 abc\r\n\r\n",
    "bad chunks": lambda _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad header": lambda _: b"HTTP/1.1 200 OK\r\n: \r\n\xff\r\n\r\n",
    "too much": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5_000,
    "bad gzip": lambda _: (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00"
    ),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("server", ["closed port", *VENDORS])
async def test_vendor(server: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer, whatever is in it, or one of the errors that tell whether the request was sent."""
    monkeypatch.setitem(ANSWERS, server, VENDORS.get(server, ANSWERS["garbage"]))
    transport = HttpTransport(1, 2.0, 2.0)
    async with failing(server) as address:
        request = Request("POST", f"{scheme}://{address}/", {}, b"{}")
        error = await raised_by(lambda: transport.exchange(request, 1_000, time.monotonic() + 60))
    await transport.close()
    assert error is None or isinstance(error, TransportError), repr(error)


@pytest.mark.parametrize(
    "url", ["http://[::1/", "http://", "ftp://h/", "http://h:99999999/", "http://\udcff/"]
)
async def test_vendor_urls(url: str) -> None:
    transport = HttpTransport(1, 2.0, 2.0)
    error = await raised_by(
        lambda: transport.exchange(Request("GET", url, {}, b""), 10, time.monotonic() + 60)
    )
    await transport.close()
    assert isinstance(error, TransportError), repr(error)


BAD_FILES: dict[str, bytes | None] = {
    "missing": None,
    "not UTF-8": b"\xff\xfe\x00",
    "no TOML": b"[[[",
    "nested": b"a = " + b"[" * 100_000,
    "NUL": b"\x00",
    "wrong types": b"linger_ms = []\naccounts = 1",
    "wrong accounts": b"[accounts]\ndefault = 1",
    "large number": b"linger_ms = 1" + b"0" * 5_000,
}


@pytest.mark.parametrize("variable", ["CONFIG", "ENV_FILE", "ACCOUNTS__DEFAULT__ACCESS_SECRET_FILE"])
@pytest.mark.parametrize("content", BAD_FILES)
def test_settings(content: str, variable: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    if (data := BAD_FILES[content]) is not None:
        file.write_bytes(data)
    assert_settings_error({f"NUMBERGROUP_{variable}": str(file), "NUMBERGROUP_LINGER_MS": "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONFIG", "/"),
        ("CONFIG", "a\0b"),
        ("LINGER_MS", "nan"),
        ("PARTITIONS", "1e400"),
        ("BROKER_URL", "redis://[::1"),
        ("BROKER_URL", "redis://h?ssl_ca_certs=/nothing"),
        ("BROKER_URL", "rediss://h?ssl_ca_certs=/nothing"),
        ("ACCOUNTS__DEFAULT__BASE_URL", "http://[::1"),
        ("ACCOUNTS", "{"),
        ("REPLY_QUEUES", "\udcff"),
    ],
)
def test_settings_values(name: str, value: str) -> None:
    assert_settings_error({f"NUMBERGROUP_{name}": value})


def assert_settings_error(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        load_settings(environ)
