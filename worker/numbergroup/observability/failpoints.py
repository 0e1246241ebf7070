"""Named points in the code at which tests crash or freeze a worker."""


def hit(name: str) -> None:
    """Do nothing: the worker has reached the point `name`.

    Tests replace this function in worker processes that they start; no setting or environment variable can.
    Call it as `failpoints.hit`, at most once per batch.
    """
