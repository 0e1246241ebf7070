"""Creates whose answer was lost."""

import pytest
from e2e_unanswered import UnansweredCreates

pytestmark = pytest.mark.redis_server


def test_unanswered_creates(unanswered_creates: UnansweredCreates) -> None:
    """Killed while nobody knows what became of two creates: the one that was applied is found and adopted,
    the other is made when its first request cannot take effect any more by its signature's time."""
    unanswered_creates.check()
