"""Named points of the work, at which tests let a worker die or freeze."""


def hit(name: str) -> None:
    """Nothing: the work has come to the point `name`.

    Tests put a function of their own in its place, in worker processes that they start themselves. Neither a
    setting nor a variable of the environment can. Call it as `points.reach`, once for a batch.
    """
