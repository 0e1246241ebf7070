"""Types for vendor calls and their outcomes."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


class CallKind(enum.StrEnum):
    """The operations that the worker asks of a vendor."""

    CREATE = "create"
    ADD = "add"
    DELETE = "delete"
    REPLACE = "replace"
    DELETE_GROUP = "delete-group"
    RENAME = "rename"
    """Sets the group's name, its remark, or both. A value of `None` stays unchanged."""
    LIST = "list"
    FIND_CREATED = "find-created"
    """Searches all groups for the group of an earlier create whose answer was lost."""
    READ_MEMBERS = "read-members"
    """Searches all groups for this group, to read its members."""


CHANGING = frozenset(
    {CallKind.ADD, CallKind.DELETE, CallKind.REPLACE, CallKind.DELETE_GROUP, CallKind.RENAME}
)
"""Calls that change an existing group."""

UPDATES = CHANGING - {CallKind.DELETE_GROUP, CallKind.RENAME}
"""Calls that change the numbers of an existing group."""


@dataclass(slots=True, frozen=True)
class Call:
    """One operation at the vendor. It is one request; `FIND_CREATED` and `READ_MEMBERS` are one per page.

    `marker`: the text that a `CREATE` writes into the group's remark, and that `FIND_CREATED` searches for.
    `expires_at` (Unix seconds): when the vendor removes the added numbers from the group by itself.
    """

    kind: CallKind
    numbers: tuple[str, ...] = ()
    group_id: str | None = None
    group_name: str | None = None
    remark: str | None = None
    marker: str | None = None
    limit: int = 0
    offset: int = 0
    expires_at: float | None = None

    @property
    def remark_without_marker(self) -> str | None:
        """The remark as the producer wrote it."""
        if self.remark is None or self.marker is None:
            return self.remark
        return self.remark.removeprefix(f"[{self.marker}]").removeprefix(" ")


@dataclass(slots=True, frozen=True)
class Group:
    """A group as the vendor lists it. `customer_id` names its owner, if the vendor states one."""

    group_id: str
    name: str
    remark: str
    numbers: tuple[str, ...]
    customer_id: str | None = None


_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(slots=True, frozen=True)
class Details:
    """Additional data from the vendor's answer, under the vendor's own field names.

    `reasons` maps each rejected number to the vendor's reason; phone numbers are removed from these texts.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: _EMPTY)
    ids: Mapping[str, int | str] = field(default_factory=lambda: _EMPTY)
    reasons: Mapping[str, str] = field(default_factory=lambda: _EMPTY)


@dataclass(slots=True, frozen=True)
class Applied:
    """The vendor carried out the call, except for the `rejected` numbers.

    `groups`: the groups that a listing or a search found. `complete`: `groups` has every group, so a missing
    group does not exist. A search stops at the first match; its result is not complete.

    `nothing_applied`: the vendor names no numbers and reports that it accepted none. This proves nothing if
    an earlier, unanswered request may already have applied the call.
    """

    request_id: str | None
    group_id: str | None = None
    groups: tuple[Group, ...] | None = None
    total: int | None = None
    rejected: tuple[str, ...] = ()
    complete: bool = True
    nothing_applied: bool = False
    details: Details | None = field(default=None, compare=False)

    @property
    def incomplete_reason(self) -> str:
        """Why a listing is not `complete`, as a clause for messages."""
        listed_count = len(self.groups or ())
        if self.total is not None and listed_count < self.total:
            return f"the vendor counts {self.total:,} groups, and lists {listed_count:,}"
        return "the pages of the vendor's list do not join"


@dataclass(slots=True, frozen=True)
class Refused:
    """The vendor refuses the call; a retry does not help. Without `certain` this is only likely.

    `in_doubt`: the vendor, or a proxy in front of it, may still have applied the call. `already_exists`: the
    group to be created exists already.
    """

    code: str | None
    message: str
    request_id: str | None = None
    certain: bool = True
    in_doubt: bool = False
    already_exists: bool = False


@dataclass(slots=True, frozen=True)
class Throttled:
    """The vendor asks for fewer calls. `retry_after_s`: the wait that it asks for, if it states one."""

    retry_after_s: float | None
    code: str | None
    message: str
    in_doubt: bool = False


@dataclass(slots=True, frozen=True)
class Unavailable:
    """The call got no usable answer. `in_doubt`: the vendor may have applied it, or may apply it later.

    `is_local`: the worker failed before it sent a request, so the vendor may be healthy. `retry_after_s`:
    the wait that the vendor asks for before a retry; with `whole_service`, before any call of the account.
    """

    message: str
    in_doubt: bool
    code: str | None = None
    is_local: bool = False
    retry_after_s: float | None = None
    whole_service: bool = False


@dataclass(slots=True, frozen=True)
class AccountFault:
    """The account's credentials or permissions are wrong: none of its calls can succeed."""

    code: str | None
    message: str
    in_doubt: bool = False
    retry_after_s: float | None = None


@dataclass(slots=True, frozen=True)
class Withheld:
    """The call was not sent: the worker is stopping, or its lease would end before the call."""


Outcome = Applied | Refused | Throttled | Unavailable | AccountFault | Withheld
