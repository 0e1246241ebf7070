"""The state of a sandbox."""

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
    """Ozonetel's users, groups and tokens, and the limit on its calls per second."""

    def __init__(self, options: Options) -> None:
        self.credentials = Credentials(options.ozonetel_credentials)
        self.groups = BlockGroups(options.ozonetel_credentials)
        self.tokens = TokenIssuer(options.token_lasts_s, options.tokens_an_hour)
        self.cap = _cap(options)

    def rotate(self, user: str, api_key: str, new_user: str | None = None, *, overlap: bool = False) -> None:
        """Gives the user another API key. Without `overlap` it also revokes the user's token [I].

        Raises the errors of `Credentials.rotate`.
        """
        self.credentials.rotate(user, api_key, new_user, overlap=overlap)
        if not overlap:
            self.tokens.revoke(user)


class State:
    """Groups, active faults, the log of calls, and the limit on calls per second.

    Both vendors share the faults and the log. The rest belongs to NXCloud; `ozonetel` is Ozonetel's part.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.reset()

    def reset(self) -> None:
        """Restores the initial state, including the random sequence.

        A call in progress still changes the groups that existed when it started.
        """
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
        """Gives an NXCloud customer another secret. Raises the errors of `Credentials.rotate`."""
        self.credentials.rotate(access_key, secret, new_key, overlap=overlap)


def _cap(options: Options) -> Cap | None:
    return None if options.calls_per_second is None else Cap(options.calls_per_second)
