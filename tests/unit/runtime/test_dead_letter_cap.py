"""The cap on dead letters."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from numbergroup.runtime.dead_letter_cap import DeadLetterCap


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def levels(logs: list[Any]) -> list[str]:
    return [line["log_level"] for line in logs]


@pytest.mark.parametrize(
    ("letters", "reached", "said"),
    [
        (0, False, []),
        (79, False, []),
        (80, False, ["warning"]),
        (99, False, ["warning"]),
        (100, True, ["error"]),
        (10**9, True, ["error"]),
    ],
)
def test_how_many_are_too_many(logs: list[Any], letters: int, reached: bool, said: list[str]) -> None:
    """From four fifths of the cap on it is said that there are many; at the cap nothing is taken in."""
    cap = DeadLetterCap(100, lambda: 0.0)
    cap.update(letters)
    assert (cap.is_reached(), levels(logs)) == (reached, said)
    assert [(line["letters"], line["cap"]) for line in logs] == [(letters, 100)] * len(said)


async def test_until_there_are_fewer() -> None:
    """Whoever waits goes on as soon as there is room, and not before."""
    cap = DeadLetterCap(100)
    await cap.wait_for_room()
    cap.update(100)
    waiting = asyncio.create_task(cap.wait_for_room())
    for _ in range(5):
        cap.update(101)
        await asyncio.wait([waiting], timeout=0)
        assert not waiting.done()
    cap.update(99)
    await waiting


@pytest.mark.parametrize("letters", [80, 100])
def test_once_a_minute(logs: list[Any], letters: int) -> None:
    """However often it is asked, and however often it is reached anew, each thing is said once a minute."""
    now = 0.0
    cap = DeadLetterCap(100, lambda: now)
    for second in range(180):
        now = float(second)
        cap.update(letters if second % 2 else letters + 1)
    assert len(logs) == 3
    for second in range(180, 240):
        now = float(second)
        cap.update(100 if second % 2 else 99)
    assert all(sum(line["event"] == said for line in logs) <= 5 for said in {line["event"] for line in logs})
