"""Who runs which test when they run side by side, and the servers of end-to-end tests and those of faults."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import profiles
import pytest
from e2e_rabbit import Rabbit
from e2e_stage import Vendor
from xdist.scheduler import LoadScopeScheduling

profiles.load()

TOGETHER = {
    "a sweep": r"tests/chaos/test_crash_points\.py",
    "the fixed seeds": r"tests/simulation/.*::test_(all_promises_are_kept|the_faults_happened)$",
    "a RabbitMQ to be killed": r"tests/e2e/test_rabbitmq_outages\.py",
    "a RabbitMQ with TLS": r"tests/e2e/test_(cli_rabbitmq|publishing_amqp)\.py",
    "a RabbitMQ under the adapters": r"tests/integration/(test_rabbitmq|.*\[rabbitmq)",
}
"""What shares something that is dear, and belongs into one process. All other tests go to whoever is idle."""

QUICK = "test_(commands|cli_plan|cli_settings|redis_entries)"
SLOW = (
    r"tests/chaos/",
    rf"tests/e2e/(?!{QUICK}\.py)",
    r"tests/e2e/.*\[amqp",
    r"tests/integration/.*rabbit",
)
"""What is marked `slow` by its place: tests that start processes, and the adapters' tests on real servers. A
quick run tests the adapters on the embedded broker, and a few whole workers on real servers."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        on_a_server = any(item.get_closest_marker(name) for name in ("redis_server", "rabbitmq_server"))
        is_an_adapters = item.nodeid.startswith("tests/integration/")
        if any(re.match(place, item.nodeid) for place in SLOW) or (is_an_adapters and on_a_server):
            item.add_marker("slow")


class Shared(LoadScopeScheduling):
    """By the names of the tests: pytest-xdist 3.8 does not see its own marks for this under pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return next((name for name, found in TOGETHER.items() if re.match(found, nodeid)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shared:
    return Shared(config, log)


LEFT_OUT = pytest.StashKey[Counter[str]]()
"""How many tests of each folder `-m` or `-k` left out."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = Counter()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        item.config.stash[LEFT_OUT]["/".join(item.location[0].split("/")[:2])] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Each process of pytest-xdist collects all tests; the one that reports collects none."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash[LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was left out, so that nobody takes a part for the whole."""
    if left_out := config.stash[LEFT_OUT]:
        places = ", ".join(f"{count:,} of {place}" for place, count in sorted(left_out.items()))
        terminalreporter.write_line(f"left out: {places}. make test-all runs all tests")


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
