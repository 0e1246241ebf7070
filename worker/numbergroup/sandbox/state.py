"""All that a sandbox remembers."""

from random import Random

from numbergroup.sandbox.armed import ArmedFaults
from numbergroup.sandbox.call_log import CallLog
from numbergroup.sandbox.credentials import Credentials
from numbergroup.sandbox.groups import Groups
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.ozonetel_groups import BlockGroups
from numbergroup.sandbox.ozonetel_tokens import TokenIssuer
from numbergroup.sandbox.sliding import Cap


class OzonetelState:
    """Ozonetel's users, groups, tokens, and the cap on its calls a second."""

    def __init__(self, options: Options) -> None:
        self.credentials = Credentials(options.ozonetel_credentials)
        self.groups = BlockGroups(options.ozonetel_credentials)
        self.tokens = TokenIssuer(options.token_lasts_s, options.tokens_an_hour)
        self.cap = _cap(options)

    def rotate(self, user: str, api_key: str, new_user: str | None = None, *, overlap: bool = False) -> None:
        """From now on the user has this API key; without `overlap` its token is dead, too [I]. Raises what
        `Credentials.rotate` does."""
        self.credentials.rotate(user, api_key, new_user, overlap=overlap)
        if not overlap:
            self.tokens.revoke(user)


class State:
    """Groups, faults in place, the log of calls, and the cap on calls a second.

    The faults and the log are of both vendors, the rest is NXCloud's; `ozonetel` has the other's.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.reset()

    def reset(self) -> None:
        """As new, the chance included. A call under way ends on the groups that it began with."""
        options = self._options
        self.credentials = Credentials(options.credentials)
        self.groups = Groups(options.credentials, Random(options.seed))  # noqa: S311
        self.faults = ArmedFaults(Random(options.seed))  # noqa: S311
        self.calls = CallLog()
        self.cap = _cap(options)
        self.ozonetel = OzonetelState(options)

    def rotate(
        self, access_key: str, secret: str, new_key: str | None = None, *, overlap: bool = False
    ) -> None:
        """From now on the customer signs with this. Raises what `Credentials.rotate` does."""
        self.credentials.rotate(access_key, secret, new_key, overlap=overlap)


def _cap(options: Options) -> Cap | None:
    return None if options.calls_per_second is None else Cap(options.calls_per_second)
