"""A worker dies, or freezes past its lease, at each named point of its work, and another one finishes."""

import signal
from collections.abc import Iterator

import pytest
from chaos_case import Case
from chaos_scenario import POINTS
from chaos_sweep import Sweep

pytestmark = [pytest.mark.redis_server, pytest.mark.timeout(600)]

BROKERS = [pytest.param("redis"), pytest.param("amqp", marks=pytest.mark.rabbitmq_server)]
UNDISTURBED = [pytest.param(Case("redis"), id="redis"), pytest.param(Case("amqp"), id="amqp")]


def every_point() -> Iterator[object]:
    for broker, points in POINTS.items():
        marks = [pytest.mark.rabbitmq_server] if broker == "amqp" else []
        for point, steps in points.items():
            for step in dict.fromkeys(steps):
                for number in (signal.SIGKILL, signal.SIGSTOP):
                    case = Case(broker, point, step, number)
                    yield pytest.param(case, marks=marks, id=str(case))


@pytest.fixture(scope="module")
def sweep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    """Carries out the cases of all tests that were asked for, side by side."""
    here = [item for item in request.session.items if item.path == request.path]
    cases = [item.callspec.params["case"] for item in here if hasattr(item, "callspec")]
    with Sweep(tmp_path_factory.mktemp("sweep"), cases) as sweep:
        yield sweep


@pytest.mark.parametrize("case", UNDISTURBED)
def test_undisturbed(sweep: Sweep, case: Case) -> None:
    """Every point is reached where it is said to be: one that is not would prove nothing."""
    hits = sweep.outcome(case)
    assert {point for of_step in hits.values() for point in of_step} == set(POINTS[case.broker])


@pytest.mark.parametrize("case", list(every_point()))
def test_dies_or_freezes(sweep: Sweep, case: Case) -> None:
    """One outcome for every command, the vendor's groups as if all were applied one by one, no group twice,
    nothing left; and who thaws behind its successor does no harm."""
    sweep.outcome(case)
