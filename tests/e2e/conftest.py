"""The stage for every test: real processes on loopback, all of them ended when the test is over."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_checks import private_parts
from e2e_cli import Shell
from e2e_queues import QueueServer
from e2e_rabbit import Rabbit, RabbitStage
from e2e_stage import SECRET, Open, RedisServer, Stage, Vendor


@pytest.fixture
def rabbit(shared_rabbit: Rabbit) -> Rabbit:
    """What a stage on RabbitMQ uses: modules of tests that kill it have their own."""
    return shared_rabbit


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    """`redis`, unless `e2e_brokers.on_both_brokers` says otherwise."""
    return str(getattr(request, "param", "redis"))


@pytest.fixture
def open_stage(
    request: pytest.FixtureRequest, broker: str, tmp_path: Path, shared_vendor: Vendor
) -> Iterator[Open]:
    """Opens the test's stage; the arguments are those of its Redis."""
    stages: list[Stage] = []

    def open_one(*, durable: bool, password: str | None = None) -> Stage:
        shared_vendor.reset()
        redis = RedisServer(tmp_path, durable=durable, password=password)
        stages.append(stage_on(redis))
        redis.start()
        return stages[-1]

    def stage_on(redis: RedisServer) -> Stage:
        if broker == "redis":
            return Stage(tmp_path, shared_vendor, redis)
        stage = RabbitStage(tmp_path, shared_vendor, redis, request.getfixturevalue("rabbit"))
        stage.declare()
        return stage

    try:
        yield open_one
    finally:
        for stage in stages:
            stage.end()
    for stage in stages:
        # Whatever the test was about: no worker may have written such a thing.
        assert private_parts(stage.output(), stage.numbers, [SECRET]) == []


@pytest.fixture
def stage(open_stage: Open) -> Stage:
    return open_stage(durable=False)


@pytest.fixture
def shell(stage: Stage) -> Shell:
    """The command line with the settings of the stage's workers."""
    return Shell(stage.folder, {name: stage.settings[name] for name in stage.settings if "LOG" not in name})


@pytest.fixture
def bare_shell(tmp_path: Path) -> Shell:
    """The command line with no settings at all."""
    return Shell(tmp_path, {})


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the certificate of `localhost`, signed by itself; its key lies beside it."""
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    what = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    whose = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    where = ["-out", str(file), "-keyout", str(file.with_name("key.pem"))]
    subprocess.run(["openssl", *what, *whose, *where], check=True, capture_output=True, timeout=30)
    return str(file)


@pytest.fixture(scope="session")
def rabbitmq_node(tmp_path_factory: pytest.TempPathFactory, certificate: str) -> Iterator[QueueServer]:
    key = Path(certificate).with_name("key.pem")
    server = QueueServer(tmp_path_factory.mktemp("rabbitmq"), (Path(certificate), key))
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def rabbitmq(rabbitmq_node: QueueServer) -> QueueServer:
    """All tests share the server, and each finds it empty."""
    rabbitmq_node.empty()
    return rabbitmq_node
