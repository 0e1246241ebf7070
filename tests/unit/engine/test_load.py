"""How much of the memory a partition's commands take: by that it is told whether more may be read."""

from engine_bench import UNREACHABLE, Bench
from engine_commands import add
from test_quarantine import OTHER, STUCK, kinds, serve_another

from numbergroup.engine.calls import Applied


def numbers(count: int) -> list[str]:
    return [f"8521{number:07}" for number in range(count)]


def test_a_command_of_many_numbers_counts_as_several() -> None:
    """As long as it waits; a small one counts once, also beside it."""
    bench = Bench()
    bench.deliver(add("large", numbers(1_000)))
    assert bench.waiting == 21
    bench.deliver(add("small", numbers(49), OTHER), add("middle", numbers(50), OTHER))
    assert bench.waiting == 21 + 1 + 2
    for left in (3, 0):
        bench.call()
        bench.answer(Applied("r"))
        assert bench.waiting == left


def test_few_large_commands_of_a_group_that_is_stuck_fill_the_memory() -> None:
    """As many small ones do: they are put away, so that others can be read."""
    bench = Bench(room=20)
    bench.deliver(add("first", "a", STUCK))
    bench.call()
    bench.answer(UNREACHABLE)
    serve_another(bench)
    bench.deliver(add("large", numbers(1_000), STUCK))
    assert kinds(bench) == {"first": "quarantined", "large": "quarantined"}
    assert bench.waiting == 0
