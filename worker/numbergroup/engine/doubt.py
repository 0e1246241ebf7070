"""Calls in doubt: sent, not answered, and perhaps applied late.

The vendor accepts a signature for 60 s, so a request whose answer was lost may still take effect
until then. The same call may be sent again at once; one that a late arrival would undo must wait.
"""

from dataclasses import dataclass

from numbergroup.engine.commands import Call, CallKind


@dataclass(slots=True, frozen=True)
class Doubt:
    """`call` may take effect at any moment before `until` (Unix seconds)."""

    call: Call
    until: float


def undoes(late: Call, call: Call) -> bool:
    """Whether `late`, arriving after `call`, would leave another group than if it had come before it.

    Reading counts as undone by every change: what was read would no longer be so.
    """
    if late.group_id != call.group_id:
        # A key's next group is another one at the vendor.
        return False
    if CallKind.DELETE_GROUP in (late.kind, call.kind):
        # What comes late for a group that is gone may bring it back: the vendor does not say.
        return late.kind is not call.kind
    if CallKind.RENAME in (late.kind, call.kind):
        # It touches no numbers. What one of two leaves as it is, the other may set.
        texts = (late.group_name, call.group_name), (late.remark, call.remark)
        both = late.kind is call.kind
        return both and any(None not in (old, new) and old != new for old, new in texts)
    if call.kind is CallKind.READ_MEMBERS:
        return True
    if {late.kind, call.kind} == {CallKind.ADD, CallKind.REPLACE}:
        added, replaced = (late, call) if late.kind is CallKind.ADD else (call, late)
        return late.expires_at != call.expires_at or not set(added.numbers) <= set(replaced.numbers)
    if late.kind is call.kind:
        # Of two that give a number different expiries, the last one counts.
        otherwise = late.expires_at != call.expires_at
        if late.kind is CallKind.REPLACE:
            return otherwise or set(late.numbers) != set(call.numbers)
        return otherwise and not set(late.numbers).isdisjoint(call.numbers)
    if CallKind.DELETE in (late.kind, call.kind):
        # What one of them deletes, the other puts in.
        return not set(late.numbers).isdisjoint(call.numbers)
    return False
