"""Broker and ledger behind a network that fails: cut, deaf, dumb, stalled, slow, closed."""

import signal

import pytest
from chaos_work import Between, Work
from e2e_processes import eventually
from e2e_rabbit import RabbitStage
from e2e_stage import Stage
from fault_proxy import BOTH, End, FaultProxy, Way

pytestmark = pytest.mark.redis_server

_RABBITMQ = pytest.mark.rabbitmq_server
ON_REDIS = ("redis", "BROKER_URL")
ON_RABBITMQ = pytest.param("amqp", "BROKER_URL", marks=_RABBITMQ)
on_both_brokers_way = pytest.mark.parametrize(
    ("broker", "setting"), [ON_REDIS, ON_RABBITMQ], indirect=["broker"]
)
SETTLING = b"numbergroup:{0}:dead-letters"
"""In the settling script's request, and in no other's."""
ACKNOWLEDGING = b"\0\x3c\0\x50"
PUBLISHING = b"\0\x3c\0\x28"
"""AMQP 0-9-1: class basic, methods ack and publish."""


def is_rabbitmq(stage: Stage, setting: str) -> bool:
    return isinstance(stage, RabbitStage) and setting == "BROKER_URL"


def proxied(stage: Stage, setting: str, between: Between) -> FaultProxy:
    if isinstance(stage, RabbitStage):
        # What was on its way when a connection was lost may come twice.
        stage.disturbed = True
    return between(stage, setting)


@pytest.mark.parametrize(
    ("broker", "setting", "way"),
    [
        ("redis", "BROKER_URL", Way.THERE),
        ("redis", "BROKER_URL", Way.BACK),
        pytest.param("amqp", "BROKER_URL", Way.THERE, marks=_RABBITMQ),
        pytest.param("amqp", "BROKER_URL", Way.BACK, marks=_RABBITMQ),
    ],
    indirect=["broker"],
)
def test_unreachable_in_one_direction(stage: Stage, setting: str, between: Between, way: Way) -> None:
    """Requests, or answers, vanish on connections that stay: the worker notices by itself, and goes on when
    all comes through again."""
    proxy = proxied(stage, setting, between)
    work = Work(stage)
    worker = work.begin(CALLS_PER_SECOND="40")
    proxy.drop(way)
    worker.says("connection lost" if is_rabbitmq(stage, setting) else "lease not renewed")
    assert proxy.fired["dropped"]
    proxy.heal()
    work.heals(worker)


@pytest.mark.parametrize(
    ("broker", "setting"),
    [ON_RABBITMQ, pytest.param("amqp", "LEDGER_URL", marks=_RABBITMQ)],
    indirect=["broker"],
)
def test_stalled(stage: Stage, setting: str, between: Between) -> None:
    """Nothing comes through either way (from Redis for longer than the lease lasts), and later everything,
    late answers too."""
    proxy = proxied(stage, setting, between)
    work = Work(stage)
    worker = work.begin(CALLS_PER_SECOND="40")
    proxy.stall(*BOTH)
    work.publish()
    if is_rabbitmq(stage, setting):
        eventually(lambda: proxy.fired["stalled"], "something that is held")
    else:
        eventually(lambda: worker.err.count("lease not renewed") >= 3, "a lease that is over")
    proxy.heal()
    work.heals(worker)
    assert proxy.fired["stalled"]


@on_both_brokers_way
def test_a_poor_network(stage: Stage, setting: str, between: Between) -> None:
    """Slow, with connections that end in mid-work and are refused for a while: only time is lost."""
    proxy = proxied(stage, setting, between)
    work = Work(stage)
    worker = work.begin(CALLS_PER_SECOND="40")
    for end in End:
        proxy.hang_up(end)
        work.publish(10)
    proxy.slow(20_000)
    work.publish(10)
    eventually(lambda: proxy.fired["slowed"] > 4_000, "some of it at a crawl")
    proxy.refuse()
    proxy.hang_up()
    eventually(lambda: proxy.fired["refused"] >= 3, "connections that are refused")
    proxy.heal()
    work.heals(worker)
    assert proxy.fired["cut"] >= 3


REDIS_CUTS = [
    *((Way.THERE, after, SETTLING) for after in (0, 1, 17, 100, 700)),
    *((Way.BACK, after, SETTLING) for after in (0, 1, 3)),
]
RABBIT_CUTS = [
    (Way.THERE, 0, ACKNOWLEDGING),
    (Way.THERE, 4, ACKNOWLEDGING),
    (Way.THERE, 300, PUBLISHING),
    (Way.BACK, 0, PUBLISHING),
    (Way.BACK, 8, PUBLISHING),
]


@pytest.mark.parametrize(
    ("broker", "setting", "cuts"),
    [
        ("redis", "BROKER_URL", REDIS_CUTS),
        pytest.param("amqp", "LEDGER_URL", REDIS_CUTS, marks=_RABBITMQ),
        pytest.param("amqp", "BROKER_URL", RABBIT_CUTS, marks=_RABBITMQ),
    ],
    indirect=["broker"],
)
def test_cut_in_the_middle_of_settling(
    stage: Stage, setting: str, between: Between, cuts: list[tuple[Way, int, bytes]]
) -> None:
    """Wherever the connection ends in a settling transaction, in the publishing of results or in an
    acknowledgement: on Redis each result is there once, on RabbitMQ it may repeat, the very same."""
    proxy = proxied(stage, setting, between)
    work = Work(stage)
    worker = stage.worker()
    work.create()
    for number, (way, after, marker) in enumerate(cuts):
        proxy.cut(way, after, marker, End.FIN if number % 2 else End.RST)
        work.publish(20)
        eventually(lambda number=number: proxy.fired["cut"] == number + 1, f"cut {number}")
    work.heals(worker)
    assert proxy.fired["cut"] == len(cuts)


@pytest.mark.alone
def test_redis_frozen_for_longer_than_the_lease(stage: Stage) -> None:
    """SIGSTOP, until no lease is good any more, and SIGCONT, with a second worker that would take over: the
    work is done once, within the rate limit, and both end in order."""
    work = Work(stage)
    worker = work.begin(CALLS_PER_SECOND="40")
    other = stage.worker(CALLS_PER_SECOND="40")
    other.says("standing by")
    stage.redis.freeze()
    try:
        eventually(lambda: worker.err.count("lease not renewed") >= 3, "a lease that is over")
    finally:
        stage.redis.thaw()
    work.heals(worker)
    assert other.alive
    assert stage.vendor.most_in_a_second() <= 40
    for one in (worker, other):
        one.signal(signal.SIGTERM)
    assert [one.ended() for one in (worker, other)] == [0, 0]
