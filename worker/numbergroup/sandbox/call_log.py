"""A bounded log of calls, and counters of all calls. Pure."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from numbergroup.sandbox.sliding import SlidingSecond

MAX_CALLS = 100_000
# 100,000 calls of 1,000 numbers each would need gigabytes, so a second limit bounds the memory.
MAX_PHONE_CHARACTERS = 200_000_000


@dataclass(slots=True)
class LoggedCall:
    """One call: logged on arrival, and completed when it is answered.

    - `at_ms`: time of arrival, Unix milliseconds.
    - `code`: the code of the answer, or its message for a vendor without codes. None if there was no answer
      in the vendor's format.
    - `http`: the HTTP status of the answer, None without an answer.
    - `applied`: the vendor made the change.
    - `fault`: the kind of the fault that applied to the call.
    """

    at_ms: int
    access_key: str
    action: str
    group_id: str | None = None
    operate_type: int | None = None
    phones: str = ""
    request_id: str | None = None
    code: int | str | None = None
    http: int | None = None
    applied: bool = False
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "at_ms": self.at_ms,
            "accessKey": self.access_key,
            "action": self.action,
            "groupId": self.group_id,
            "operateType": self.operate_type,
            "phones": self.phones.split(",") if self.phones else [],
            "requestId": self.request_id,
            "code": self.code,
            "http": self.http,
            "applied": self.applied,
            "fault": self.fault,
        }


@dataclass(slots=True)
class LoggedOzonetelCall(LoggedCall):
    """One call to Ozonetel. `access_key` is the user name; `rejected` are the numbers in `output.error`."""

    mode: str = ""
    expiry_date: str | None = None
    rejected: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "at_ms": self.at_ms,
            "vendor": "ozonetel",
            "mode": self.mode,
            "userName": self.access_key,
            "action": self.action,
            "groupId": self.group_id,
            "phones": self.phones.split(",") if self.phones else [],
            "expiryDate": self.expiry_date,
            "rejected": list(self.rejected),
            "message": self.code,
            "http": self.http,
            "applied": self.applied,
            "fault": self.fault,
        }


class CallLog:
    """The latest calls in order of arrival, and exact totals since the start or the last `clear`."""

    def __init__(self, max_calls: int = MAX_CALLS, max_phone_characters: int = MAX_PHONE_CHARACTERS) -> None:
        self._max_calls = max_calls
        self._max_phone_characters = max_phone_characters
        self.clear()

    def clear(self) -> None:
        self._calls: deque[LoggedCall] = deque()
        self._phone_characters = 0
        self._second = SlidingSecond()
        self.total = 0
        self.by_action: Counter[str] = Counter()
        self.per_second_max = 0

    def record(self, call: LoggedCall, counted_as: str) -> None:
        """Adds a call on its arrival. `counted_as` is its key in `by_action`."""
        self.total += 1
        self.by_action[counted_as] += 1
        self.per_second_max = max(self.per_second_max, self._second.add(call.at_ms))
        self._calls.append(call)
        self._phone_characters += len(call.phones)
        while len(self._calls) > self._max_calls or self._phone_characters > self._max_phone_characters:
            self._phone_characters -= len(self._calls.popleft().phones)

    def recent(self, limit: int | None = None, since_ms: int | None = None) -> list[LoggedCall]:
        """Returns the newest `limit` calls that arrived at `since_ms` (Unix ms) or later, oldest first."""
        newest_first = (call for call in reversed(self._calls) if since_ms is None or call.at_ms >= since_ms)
        return list(islice(newest_first, limit))[::-1]
