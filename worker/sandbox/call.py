"""One call under way: what arrived, what it asks for, and carrying it out. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from worker.sandbox import actions, nxcloud
from worker.sandbox.call_log import LoggedCall
from worker.sandbox.nxcloud import Refusal, refusal
from worker.sandbox.options import Options
from worker.sandbox.state import State

_MAX_LOGGED_CHARACTERS = 64


class Call:
    """A call that arrived at `now_ms`; it is in the log from then on.

    `headers` is to look names up without regard to case. When the state is reset meanwhile, the call does not
    touch the new one.
    """

    __slots__ = (
        "_access_key",
        "_groups",
        "_lasts_s",
        "_request",
        "_strict_groups",
        "_ts",
        "log",
        "request_id",
    )

    def __init__(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now_ms: int,
        request_id: str,
        state: State,
        options: Options,
    ) -> None:
        self.request_id = request_id
        self._access_key = headers.get("accessKey", "")
        self._groups = state.groups
        self._strict_groups = options.strict_groups
        self._lasts_s = options.signature_lasts_s
        self._ts = headers.get("ts", "")
        action = headers.get("action", "")
        content = _parsed(body)
        refused = nxcloud.authenticate(headers, body, state.credentials, now_ms, options.signature_lasts_s)
        self._request = refused or actions.read(action, content, options.numbers_per_call)
        self.log = LoggedCall(now_ms, _readable(self._access_key), _readable(action), request_id=request_id)
        _note(self.log, content)
        state.calls.record(self.log, counted_as=action if action in nxcloud.ACTIONS else "unknown")

    @property
    def incoming(self) -> Sequence[str]:
        """The numbers that it would bring into a group; none if it is refused as it is."""
        return () if isinstance(self._request, Refusal) else actions.incoming(self._request)

    def check_again(self, now_ms: int) -> None:
        """Looks at the time stamp again, after the call was long on its way."""
        if not isinstance(self._request, Refusal) and not nxcloud.in_time(self._ts, now_ms, self._lasts_s):
            self._request = refusal(1004)

    def apply(self) -> dict[str, Any] | Refusal:
        """Makes the change, and returns what the answer has beyond the common fields, or the refusal."""
        if isinstance(self._request, Refusal):
            return self._request
        done = actions.carry_out(
            self._request, self._access_key, self._groups, strict_groups=self._strict_groups
        )
        if not isinstance(done, Refusal):
            self.log.applied = True
            self.log.group_id = done.get("groupId", self.log.group_id)
        return done


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None


def _readable(text: str) -> str:
    """A header as the log can say it: it may hold bytes that are no text, and be long."""
    return text if text.isalnum() and text.isascii() else ascii(text)[1:-1][:_MAX_LOGGED_CHARACTERS]


def _note(log: LoggedCall, content: object) -> None:
    """Logs what a body says, be it right or wrong."""
    if not isinstance(content, dict):
        return
    group_id, operate_type, phones = (content.get(key) for key in ("groupId", "operateType", "phones"))
    log.group_id = group_id if isinstance(group_id, str) else None
    if isinstance(operate_type, int) and not isinstance(operate_type, bool):
        log.operate_type = operate_type
    log.phones = phones if isinstance(phones, str) else ""
