"""All that a sandbox remembers."""

from random import Random

from worker.sandbox.armed import ArmedFaults
from worker.sandbox.call_log import CallLog
from worker.sandbox.groups import Groups
from worker.sandbox.options import Options
from worker.sandbox.sliding import Cap


class State:
    """Groups, faults in place, the log of calls, and the cap on calls a second."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.reset()

    def reset(self) -> None:
        """As new, the chance included. A call under way ends on the groups that it began with."""
        options = self._options
        self.credentials = dict(options.credentials)
        self.groups = Groups(options.credentials, Random(options.seed))  # noqa: S311
        self.faults = ArmedFaults(Random(options.seed))  # noqa: S311
        self.calls = CallLog()
        self.cap = None if options.calls_per_second is None else Cap(options.calls_per_second)

    def rotate(self, access_key: str, secret: str) -> None:
        """From now on the customer signs with `secret`. Raises `KeyError` for an unknown access key."""
        if access_key not in self.credentials:
            raise KeyError(access_key)
        self.credentials[access_key] = secret
