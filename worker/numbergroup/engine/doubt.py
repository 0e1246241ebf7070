"""Calls in doubt: calls without an answer, which the vendor may still apply.

The vendor accepts a request for 60 s after it was signed. Until then, a call whose answer was lost may take
effect. The same call may be sent again at once. A call whose effect the late one would undo must wait.
"""

from dataclasses import dataclass

from numbergroup.engine.calls import Call, CallKind


@dataclass(slots=True, frozen=True)
class Doubt:
    """A call that may still take effect at any moment before `until` (Unix seconds)."""

    call: Call
    until: float


def undoes(late: Call, call: Call) -> bool:
    """Return whether the group's final state depends on whether `late` takes effect before or after `call`.

    True for each change if `call` reads members, because the result would be outdated.
    """
    if late.group_id != call.group_id:
        # They change different groups. A groupKey can get a new group after a deletion.
        return False
    if CallKind.DELETE_GROUP in (late.kind, call.kind):
        # It is undocumented whether a late change can restore a deleted group.
        return late.kind is not call.kind
    if CallKind.RENAME in (late.kind, call.kind):
        # A rename affects only another rename that sets the same text to another value.
        texts = (late.group_name, call.group_name), (late.remark, call.remark)
        are_renames = late.kind is call.kind
        return are_renames and any(None not in (old, new) and old != new for old, new in texts)
    if call.kind is CallKind.READ_MEMBERS:
        return True
    if {late.kind, call.kind} == {CallKind.ADD, CallKind.REPLACE}:
        added, replaced = (late, call) if late.kind is CallKind.ADD else (call, late)
        return late.expires_at != call.expires_at or not set(added.numbers) <= set(replaced.numbers)
    if late.kind is call.kind:
        # Of two different expiries of a number, the later call's wins.
        expiry_differs = late.expires_at != call.expires_at
        if late.kind is CallKind.REPLACE:
            return expiry_differs or set(late.numbers) != set(call.numbers)
        return expiry_differs and not set(late.numbers).isdisjoint(call.numbers)
    if CallKind.DELETE in (late.kind, call.kind):
        # One of them deletes what the other adds.
        return not set(late.numbers).isdisjoint(call.numbers)
    return False


@dataclass(slots=True, frozen=True)
class CreateIntent:
    """Describes a create that is about to be sent. The ledger stores it before the request.

    After a lost answer it identifies the created group: by the `marker` in its remark, if the account
    allows one, else by `name` and `numbers_digest`. `group_id` is set once it is known.
    After `request_expires_at` (Unix seconds) the vendor no longer accepts the request. A group that does not
    exist then was not created.
    """

    marker: str | None
    name: str | None
    numbers_digest: str
    request_expires_at: float
    group_id: str | None = None
