"""What `mergedCommands` counts: the commands that were settled together, whatever became of each."""

from engine_bench import Bench
from engine_commands import BY_KEY, add, create

from numbergroup.engine.calls import Applied


def test_all_that_were_settled_together_count() -> None:
    """What expired, and what was refused where it stood, has the same number as what was carried out."""
    bench = Bench()
    bench.deliver(
        create("made", "a"),
        add("late", "b", BY_KEY, expires_at=bench.now),
        create("second", "c"),
        add("applied", "d", BY_KEY),
        add("unsupported", "e", BY_KEY, number_expiry=bench.now + 9),
    )
    bench.call()
    bench.answer(Applied("r1", "g1"))
    assert {name: (verdict.status.value, verdict.merged) for name, verdict in bench.verdicts.items()} == {
        "unsupported": ("rejected", 0),
        "made": ("applied", 4),
        "late": ("expired", 4),
        "second": ("rejected", 4),
        "applied": ("applied", 4),
    }


def test_a_repeat_has_the_number_of_the_first_answer() -> None:
    bench = Bench()
    bench.deliver(add("one", "a"), add("two", "b"))
    bench.call()
    bench.answer(Applied("r1"))
    bench.deliver(add("one", "a"))
    (again,) = bench.settles[-1].verdicts
    assert again.repeat_of is not None  # type: ignore[union-attr]
    assert again.repeat_of.merged == 2  # type: ignore[union-attr]
