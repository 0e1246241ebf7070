"""Who runs which test when they run side by side, and the servers of end-to-end tests and those of faults."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from e2e_rabbit import Rabbit
from e2e_stage import Vendor
from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "a sweep": r"tests/faults/test_crash_points\.py",
    "the fixed seeds": r"tests/simulation/.*::test_(all_promises_are_kept|the_faults_happened)$",
    "a RabbitMQ to be killed": r"tests/e2e/test_rabbitmq_outages\.py",
    "a RabbitMQ with TLS": r"tests/e2e/test_(cli_rabbitmq|publishing_amqp)\.py",
    "a RabbitMQ under the adapters": r"tests/adapters/(test_rabbitmq|.*\[rabbitmq)",
}
"""What shares something that is dear, and belongs into one process. All other tests go to whoever is idle."""


class Shared(LoadScopeScheduling):
    """By the names of the tests: pytest-xdist 3.8 does not see its own marks for this under pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return next((name for name, found in TOGETHER.items() if re.match(found, nodeid)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shared:
    return Shared(config, log)


@pytest.fixture(scope="session")
def shared_vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with Vendor(tmp_path_factory.mktemp("sandbox")) as vendor:
        yield vendor


@pytest.fixture(scope="session")
def shared_rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """For all who leave it alive."""
    rabbit = Rabbit(tmp_path_factory.mktemp("rabbit"))
    yield rabbit
    rabbit.kill()
