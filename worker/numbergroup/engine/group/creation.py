"""Creates groups at most once: recognises the group of a create whose answer was lost.

A create is never resent blindly. Before it is sent, its intent is recorded with what identifies the group
later: a marker in the remark or, for accounts without markers, the name and the numbers.

The marker stands first in the remark, because vendors cut long texts off at the end. (Earlier versions put it
at the end.) A vendor may still damage the marker or the name. So a group with the same numbers and a matching
rest of the name may be the create's group. It is not if it has the marker of another create, or if the list
shows that the vendor keeps remarks of that length whole.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from numbergroup.engine.calls import Call, Group
from numbergroup.engine.commands import Command, CommandKey, CommandKind
from numbergroup.engine.doubt import CreateIntent

# At the beginning of the remark, the match includes the space after the marker; elsewhere, the space before
# it. A marker that was cut off at the end of the text matches too.
_MARKER = re.compile(r"^\[ng:[0-9a-f]{18}\] ?| ?\[ng:(?:[0-9a-f]{18}\]|[0-9a-f]{0,18}$)", re.IGNORECASE)
_WHOLE_MARKER = re.compile(r"\[ng:[0-9a-f]{18}\]", re.IGNORECASE)
_PART_OF_MARKER = re.compile(r"\[(ng:[0-9a-f]+)", re.IGNORECASE)
_CUT_OFF_SIGNS = "\ufffd…."


def marker_of(key: CommandKey) -> str:
    """Return the marker of the group that this command creates: the same for every attempt."""
    return "ng:" + hashlib.blake2b(f"{key.source}\0{key.id}".encode(), digest_size=9).hexdigest()


def add_marker(call: Call, create: Command) -> Call:
    """Return the create call with its marker at the beginning of the remark."""
    marker = marker_of(create.key)
    return replace(call, remark=_with_marker(marker, call.remark), marker=marker)


def _with_marker(marker: str, remark: str | None) -> str:
    return f"[{marker}] {remark}" if remark else f"[{marker}]"


def strip_marker(group: Group) -> Group:
    """Return the group with the marker (also a cut-off one) removed from its remark."""
    remark = _MARKER.sub("", group.remark)
    return group if remark == group.remark else replace(group, remark=remark)


def intent_of_call(call: Call, settled_after: float) -> CreateIntent:
    """Return the intent to record before `call` is sent. `settled_after`: Unix seconds."""
    return CreateIntent(call.marker, call.group_name, digest_numbers(call.numbers), settled_after)


def intent_of_command(create: Command, settled_after: float) -> CreateIntent:
    """Return the intent of a create that may have been sent without a record."""
    return CreateIntent(
        marker_of(create.key), create.group_name, digest_numbers(create.numbers), settled_after
    )


def intent_after_create(create: Command, group_id: str | None) -> CreateIntent:
    """Return the intent of a create that was answered: it identifies the group by its id.

    Later calls change the numbers, which identified it before.
    """
    return CreateIntent(None, create.group_name, "", 0.0, group_id)


def is_recorded_for(intent: CreateIntent, command: Command) -> bool:
    """Whether `intent` is, as far as it shows, the one of `command`."""
    if command.kind is not CommandKind.CREATE:
        return False
    if intent.marker is not None:
        return intent.marker == marker_of(command.key)
    return intent.name == command.group_name


def digest_numbers(numbers: Iterable[str]) -> str:
    """Return a digest of the numbers that does not depend on their order."""
    return hashlib.blake2b(",".join(sorted(numbers)).encode(), digest_size=8).hexdigest()


def has_marker(group: Group, marker: str) -> bool:
    """Whether the group's remark contains the marker, in upper or lower case."""
    return marker in group.remark.lower()


def is_created_by(intent: CreateIntent, group: Group) -> bool:
    """Whether the create of `intent` certainly created `group`."""
    if intent.group_id is not None:
        return group.group_id == intent.group_id
    if intent.marker is not None:
        return has_marker(group, intent.marker)
    # Source: an empty groupName makes the name the groupId (vendor page "Create Number Group").
    name_fits = group.name == (intent.name or group.group_id)
    return name_fits and digest_numbers(group.numbers) == intent.numbers_digest


def find_possible_match(
    intent: CreateIntent, groups: Collection[Group], remarks: Iterable[str | None]
) -> Group | None:
    """Return a group that the create of `intent` may have created; `None` if there is none.

    It is for groups of which `is_created_by` is false. `remarks`: the remarks that the create may have sent,
    without the marker.
    """
    if intent.marker is not None:
        length = max(len(_with_marker(intent.marker, remark)) for remark in remarks)
        if any(len(group.remark) >= length and _WHOLE_MARKER.search(group.remark) for group in groups):
            return None
    return next((group for group in groups if _may_be_created_by(intent, group)), None)


def _may_be_created_by(intent: CreateIntent, group: Group) -> bool:
    if intent.group_id is not None or digest_numbers(group.numbers) != intent.numbers_digest:
        return False
    part = _PART_OF_MARKER.search(group.remark)
    if part is not None and not (intent.marker or "").startswith(part[1].lower()):
        return False
    return _normalize(intent.name or group.group_id).startswith(_normalize(group.name).rstrip(_CUT_OFF_SIGNS))


def _normalize(text: str) -> str:
    """Remove what vendors change: white space and letter case."""
    return "".join(text.split()).casefold()
