"""Creating a group at most once: how the group of an unanswered create is recognised.

A create is never resent blindly. Its intent is recorded before it is sent, with what it takes to
recognise the group later: a marker in the remark, or, where the account's owner wants no marker
there, the name and the numbers.

The marker is the first thing in the remark, for vendors cut long texts off at the end. (Earlier versions put
it there.) A vendor may damage it all the same, or the name. So a group with the same numbers, and with what
may be left of the name, leaves it open whether the create made it. It did not if the group bears the marker
of another create, or if the list shows that the vendor keeps such remarks whole.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from numbergroup.engine.commands import Call, Command, CommandKey, CommandKind, CreateIntent, Group

# At the beginning it takes the space behind it along; elsewhere, where earlier versions put it, that before
# it. What was cut off within it is taken for ours as long as it cannot be anything else.
_MARKER = re.compile(r"^\[ng:[0-9a-f]{18}\] ?| ?\[ng:(?:[0-9a-f]{18}\]|[0-9a-f]{0,18}$)", re.IGNORECASE)
_WHOLE_MARKER = re.compile(r"\[ng:[0-9a-f]{18}\]", re.IGNORECASE)
_PART_OF_MARKER = re.compile(r"\[(ng:[0-9a-f]+)", re.IGNORECASE)
_LEFT_AT_A_CUT = "\ufffd…."


def marker_of(key: CommandKey) -> str:
    """The marker of the group that this command creates: the same at every try."""
    return "ng:" + hashlib.blake2b(f"{key.source}\0{key.id}".encode(), digest_size=9).hexdigest()


def add_marker(call: Call, create: Command) -> Call:
    """The create with its marker at the beginning of the remark."""
    marker = marker_of(create.key)
    return replace(call, remark=_with_marker(marker, call.remark), marker=marker)


def _with_marker(marker: str, remark: str | None) -> str:
    return f"[{marker}] {remark}" if remark else f"[{marker}]"


def strip_marker(group: Group) -> Group:
    """The group as people gave it: its remark without the marker, also where the vendor has cut that off."""
    remark = _MARKER.sub("", group.remark)
    return group if remark == group.remark else replace(group, remark=remark)


def intent_of_call(call: Call, settled_after: float) -> CreateIntent:
    """The intent to record before `call` is sent."""
    return CreateIntent(call.marker, call.group_name, digest_numbers(call.numbers), settled_after)


def intent_of_command(create: Command, settled_after: float) -> CreateIntent:
    """The intent of a create that may have been sent: with what is certain to be in its group."""
    return CreateIntent(
        marker_of(create.key), create.group_name, digest_numbers(create.numbers), settled_after
    )


def intent_after_create(create: Command, group_id: str | None) -> CreateIntent:
    """The intent of a create that was answered: without a marker, the group that it made cannot be told by
    its numbers any more when the next call has changed them."""
    return CreateIntent(None, create.group_name, "", 0.0, group_id)


def is_recorded_for(intent: CreateIntent, command: Command) -> bool:
    """Whether `intent` was recorded before a call that carried `command`, as far as can be told."""
    if command.kind is not CommandKind.CREATE:
        return False
    if intent.marker is not None:
        return intent.marker == marker_of(command.key)
    return intent.name == command.group_name


def digest_numbers(numbers: Iterable[str]) -> str:
    """The same for the same numbers in any order."""
    return hashlib.blake2b(",".join(sorted(numbers)).encode(), digest_size=8).hexdigest()


def has_marker(group: Group, marker: str) -> bool:
    """Whether the group's remark has this marker in it, wherever it stands, in capitals or not."""
    return marker in group.remark.lower()


def is_created_by(intent: CreateIntent, group: Group) -> bool:
    """Whether `group` is the one that the create of `intent` made."""
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
    """A group that the create of `intent` may have made, where none of `groups` is known to be it.

    `remarks`: those that the create may have sent, without the marker.
    """
    if intent.marker is not None:
        length = max(len(_with_marker(intent.marker, remark)) for remark in remarks)
        if any(len(group.remark) >= length and _WHOLE_MARKER.search(group.remark) for group in groups):
            return None
    return next((group for group in groups if _may_be_made_by(intent, group)), None)


def _may_be_made_by(intent: CreateIntent, group: Group) -> bool:
    if intent.group_id is not None or digest_numbers(group.numbers) != intent.numbers_digest:
        return False
    part = _PART_OF_MARKER.search(group.remark)
    if part is not None and not (intent.marker or "").startswith(part[1].lower()):
        return False
    return _plain(intent.name or group.group_id).startswith(_plain(group.name).rstrip(_LEFT_AT_A_CUT))


def _plain(text: str) -> str:
    """The text without what vendors change of it: blanks, and capitals."""
    return "".join(text.split()).casefold()
