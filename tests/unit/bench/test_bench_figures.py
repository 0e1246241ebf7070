"""From samples to figures."""

import pytest
from bench.figures import median, percentile, spread


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 100), (0.9, 180), (0.99, 198), (0.999, 200), (1.0, 200), (0.0, 1)]
)
def test_percentiles_are_values_that_were_measured(share: float, expected: float) -> None:
    """The nearest rank: so large a share of the values is no higher."""
    assert percentile([float(value) for value in range(200, 0, -1)], share) == expected


def test_one_value_is_every_percentile() -> None:
    """A single sample is its own median and its own worst."""
    assert [percentile([7.0], share) for share in (0.01, 0.5, 0.999)] == [7.0] * 3


@pytest.mark.parametrize(
    ("values", "expected"), [([3.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 2.0, 3.0], 2.5), ([5.0], 5.0)]
)
def test_medians(values: list[float], expected: float) -> None:
    """The middle value, or between the two in the middle, in whatever order they came."""
    assert median(values) == expected


def test_what_is_said_of_nothing() -> None:
    """No samples have no figures, rather than wrong ones."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_spreads() -> None:
    """The distance between the extremes, next to the median."""
    assert spread([90.0, 100.0, 120.0]) == pytest.approx(0.3)
