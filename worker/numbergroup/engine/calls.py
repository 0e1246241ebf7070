"""The words of calling the vendor: calls, and how they may end."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


class CallKind(enum.StrEnum):
    CREATE = "create"
    ADD = "add"
    DELETE = "delete"
    REPLACE = "replace"
    DELETE_GROUP = "delete-group"
    RENAME = "rename"
    """Set the group's name, its remark, or both: what is `None` stays as it is."""
    LIST = "list"
    FIND_CREATED = "find-created"
    """Look through all groups for the one that an earlier, unanswered create may have made."""
    READ_MEMBERS = "read-members"
    """Look through all groups for this one's members."""


CHANGING = frozenset(
    {CallKind.ADD, CallKind.DELETE, CallKind.REPLACE, CallKind.DELETE_GROUP, CallKind.RENAME}
)
"""What changes a group that is there."""

UPDATES = CHANGING - {CallKind.DELETE_GROUP, CallKind.RENAME}
"""What changes the numbers of a group that is there."""


@dataclass(slots=True, frozen=True)
class Call:
    """One request to the vendor (the last two kinds: as many as there are pages).

    `marker`: of a create, in its remark; of a look for what a create made, what its group bears.
    `expires_at` (Unix seconds): when the numbers that it adds leave the group by themselves.
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
        """The remark as its producer gave it."""
        if self.remark is None or self.marker is None:
            return self.remark
        return self.remark.removeprefix(f"[{self.marker}]").removeprefix(" ")


@dataclass(slots=True, frozen=True)
class Group:
    """A group as the vendor lists it; `customer_id`: whose it is, where the vendor says that."""

    group_id: str
    name: str
    remark: str
    numbers: tuple[str, ...]
    customer_id: str | None = None


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(slots=True, frozen=True)
class Details:
    """What the vendor says of a call beyond its outcome, under its own names: `counts`, `ids`, and by number
    the `reasons` for not taking it, without phone numbers in their texts."""

    counts: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    ids: Mapping[str, int | str] = field(default_factory=lambda: _NOTHING)
    reasons: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(slots=True, frozen=True)
class Applied:
    """The vendor carried the call out, but for the numbers that it `rejected`. For the looking kinds `groups`
    is what was found; `complete`: all that there is, so that what is not among them does not exist. One that
    found what it looks for ends there, and is not.

    `names_none`: the vendor names no number at all, and says that it took none. Of a call that may have been
    carried out before, by a request without an answer, this says nothing.
    """

    request_id: str | None
    group_id: str | None = None
    groups: tuple[Group, ...] | None = None
    total: int | None = None
    rejected: tuple[str, ...] = ()
    complete: bool = True
    names_none: bool = False
    details: Details | None = field(default=None, compare=False)

    @property
    def shortfall(self) -> str:
        """Why a listing is not `complete`, as a clause."""
        found = len(self.groups or ())
        if self.total is not None and found < self.total:
            return f"the vendor counts {self.total:,} groups, and lists {found:,}"
        return "the pages of the vendor's list do not join"


@dataclass(slots=True, frozen=True)
class Refused:
    """The vendor will not do this call, however often it is asked (as far as `certain` says).

    `in_doubt`, here and below: it, or what stands before it, may have applied the call all the same.
    `exists`: the group that the call is to create exists already.
    """

    code: str | None
    message: str
    request_id: str | None = None
    certain: bool = True
    in_doubt: bool = False
    exists: bool = False


@dataclass(slots=True, frozen=True)
class Throttled:
    """The vendor asks for fewer calls: none before `retry_after_s`, when it said so."""

    retry_after_s: float | None
    code: str | None
    message: str
    in_doubt: bool = False


@dataclass(slots=True, frozen=True)
class Unavailable:
    """No usable answer. `in_doubt`: the vendor may have applied the call, or may yet.

    `ours`: it never came to the vendor, for a reason that says nothing about the vendor. `retry_after_s`,
    here and below: the vendor asks to wait so long before the next try; `whole_service`: before any other
    call, too.
    """

    message: str
    in_doubt: bool
    code: str | None = None
    ours: bool = False
    retry_after_s: float | None = None
    whole_service: bool = False


@dataclass(slots=True, frozen=True)
class AccountFault:
    """The account's credentials or permissions are wrong: no call of it can work."""

    code: str | None
    message: str
    in_doubt: bool = False
    retry_after_s: float | None = None


@dataclass(slots=True, frozen=True)
class Withheld:
    """The call was not sent: the worker is stopping, or its lease would not outlive the call."""


Outcome = Applied | Refused | Throttled | Unavailable | AccountFault | Withheld
