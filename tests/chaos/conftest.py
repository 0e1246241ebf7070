"""The stage of the end-to-end tests, and ways to its servers on which things go wrong."""

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit, urlunsplit

import pytest
from chaos_work import Between
from e2e.conftest import broker, open_stage, rabbit, stage
from e2e_stage import Stage
from fault_proxy import FaultProxy

# Failures in the helpers of the sweep say as much as those in its tests.
pytest.register_assert_rewrite("chaos_case")

__all__ = ["broker", "open_stage", "rabbit", "stage"]


@pytest.fixture
def between() -> Iterator[Between]:
    """Puts a proxy between the stage's workers and the server of that setting, such as `BROKER_URL`."""
    with ExitStack() as opened:

        def put(on: Stage, setting: str) -> FaultProxy:
            url = urlsplit(on.settings[setting])
            assert url.port
            proxy = opened.enter_context(FaultProxy(url.port))
            netloc = url.netloc.replace(f":{url.port}", f":{proxy.port}")
            on.settings[setting] = urlunsplit(url._replace(netloc=netloc))
            return proxy

        yield put
