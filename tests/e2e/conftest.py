"""The stage for every test: real processes on loopback, all of them ended when the test is over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_checks import private_parts
from e2e_stage import SECRET, RedisServer, Stage, Vendor

Open = Callable[..., Stage]


@pytest.fixture(scope="session")
def shared_vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with Vendor(tmp_path_factory.mktemp("sandbox")) as vendor:
        yield vendor


@pytest.fixture
def open_stage(tmp_path: Path, shared_vendor: Vendor) -> Iterator[Open]:
    """Opens the test's stage; the arguments are those of its Redis."""
    stages: list[Stage] = []

    def open_one(**redis: object) -> Stage:
        shared_vendor.reset()
        stages.append(Stage(tmp_path, shared_vendor, RedisServer(tmp_path, **redis)))
        return stages[-1]

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
