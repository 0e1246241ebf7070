"""Tracks the state of a group at the vendor, from the calls of commands that are not settled yet."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from numbergroup.engine.calls import Call, CallKind, Details, Group
from numbergroup.engine.commands import NAME, REMARK

UNKNOWN_EXPIRY: Final = math.nan
"""The expiry of a member that was read from a list without expiries. It equals no other expiry."""


class LastWrite(NamedTuple):
    """The last call that wrote a number: the number's state since then, and the call's requestId and details.

    `expiry`: when the vendor removes the number by itself, in Unix seconds.
    """

    present: bool
    request_id: str | None
    expiry: float | None = None
    details: Details | None = None

    def matches(self, present: bool, expiry: float | None) -> bool:
        """Return whether the call wrote this state. The expiry counts only for a present number."""
        return self.present is present and (not present or self.expiry == expiry)


class TextWrite(NamedTuple):
    """The last call that set a group's name or remark: the text, and the call's requestId and details."""

    value: str | None
    request_id: str | None
    details: Details | None = None


@dataclass(slots=True)
class VendorView:
    """The known state of one group at the vendor.

    - `last_writes`: by number, the last successful write.
    - `complete`: all other numbers, except `uncertain` ones, are known to be absent.
    - `base_request`, `base_details`: of the call that made the view complete.
    - `rejected`: by number, the last write if the vendor rejected it. It did not change the number.
    - `uncertain`: numbers whose state is unknown. `True`: if the number is present, then only because of
      calls in doubt.
    - `texts`: by `NAME` or `REMARK`, the last write.
    - `has_details`: whether any call had details.
    """

    last_writes: dict[str, LastWrite] = field(default_factory=dict)
    complete: bool = False
    base_request: str | None = None
    rejected: dict[str, LastWrite] = field(default_factory=dict)
    uncertain: dict[str, bool] = field(default_factory=dict)
    texts: dict[str, TextWrite] = field(default_factory=dict)
    base_details: Details | None = None
    has_details: bool = False

    def apply(
        self,
        call: Call,
        request_id: str | None,
        rejected: Collection[str] = (),
        details: Details | None = None,
    ) -> None:
        """Record that the vendor carried out `call`, except for the `rejected` numbers."""
        self.has_details |= details is not None
        if call.kind in (CallKind.CREATE, CallKind.RENAME):
            self._apply_texts(call, request_id, details)
        left_out = frozenset(rejected).intersection(call.numbers)
        accepted = [number for number in call.numbers if number not in left_out] if left_out else call.numbers
        if call.kind in (CallKind.REPLACE, CallKind.CREATE):
            self.set_members(accepted, request_id, call.expires_at, details)
            # Earlier rejections say nothing about the new members.
            self.rejected = {}
        elif call.kind in (CallKind.ADD, CallKind.DELETE):
            write = LastWrite(call.kind is CallKind.ADD, request_id, call.expires_at, details)
            self.last_writes.update(dict.fromkeys(accepted, write))
            if self.uncertain:
                self._drop(self.uncertain, accepted)
        if self.rejected:
            self._drop(self.rejected, accepted)
        for number in call.numbers if left_out else ():
            if number in left_out:
                present = call.kind is not CallKind.DELETE
                self.rejected[number] = LastWrite(present, request_id, call.expires_at, details)
                if call.kind is CallKind.REPLACE:
                    # The vendor may have removed it, or left it as it was.
                    self.uncertain[number] = False

    def _apply_texts(self, call: Call, request_id: str | None, details: Details | None) -> None:
        texts = {NAME: call.group_name, REMARK: call.remark_without_marker}
        sets_all = call.kind is CallKind.CREATE
        written = {name: text for name, text in texts.items() if sets_all or text is not None}
        self.texts |= {name: TextWrite(text, request_id, details) for name, text in written.items()}

    def set_members(
        self,
        members: Sequence[str],
        request_id: str | None,
        expiry: float | None = None,
        details: Details | None = None,
    ) -> None:
        """Record that the group has exactly these members."""
        self.last_writes = dict.fromkeys(members, LastWrite(True, request_id, expiry, details))
        self.base_details = details
        self.uncertain = {}
        self.complete = True
        self.base_request = request_id

    def set_texts(self, group: Group, request_id: str | None) -> None:
        """Record the name and remark of the group as the vendor lists it."""
        self.texts = {NAME: TextWrite(group.name, request_id), REMARK: TextWrite(group.remark, request_id)}

    def mark_uncertain(self, call: Call) -> None:
        """Record that the vendor may or may not have carried out `call`."""
        if call.kind is CallKind.RENAME:
            for name, text in ((NAME, call.group_name), (REMARK, call.remark)):
                if text is not None:
                    self.texts.pop(name, None)
            return
        if call.kind in (CallKind.REPLACE, CallKind.CREATE):
            self.last_writes, self.uncertain = {}, {}
            self.complete = False
            return
        # A deletion of the group removed all of its numbers, or none.
        touched = [*self.last_writes] if call.kind is CallKind.DELETE_GROUP else call.numbers
        if self.complete:
            self.uncertain.update({number: self._was_absent(number) for number in touched})
        self._drop(self.last_writes, touched)
        self._drop(self.rejected, touched)

    def is_present_by_doubt(self, number: str) -> bool:
        """Return whether only calls in doubt can have added the number: before them it was absent."""
        return self.uncertain.get(number, False)

    @property
    def is_blank(self) -> bool:
        """Whether no number's state is known. `needs_write` is true for every number then."""
        return not (self.last_writes or self.rejected or self.complete)

    @property
    def possible_members(self) -> list[str]:
        """All numbers that are, or may be, in the group. Valid only if the view is `complete`."""
        present = (number for number, write in self.last_writes.items() if write.present)
        return [*present, *self.uncertain]

    def is_certain(self, number: str, present: bool, expiry: float | None = None) -> bool:
        """Return whether the number certainly has this state: present with this expiry, or absent."""
        write = self.last_writes.get(number)
        if write is None:
            return self.complete and not present and number not in self.uncertain
        return write.matches(present, expiry)

    def was_rejected(self, number: str, present: bool, expiry: float | None = None) -> bool:
        """Return whether the vendor rejected the last write of this state."""
        write = self.rejected.get(number)
        return write is not None and write.matches(present, expiry)

    def needs_write(self, number: str, present: bool, expiry: float | None = None) -> bool:
        """Return whether a call still has to write this state."""
        return not (self.is_certain(number, present, expiry) or self.was_rejected(number, present, expiry))

    def details_of(self, numbers: Iterable[str], *, base: bool) -> list[Details]:
        """Return the details of the last calls that wrote these numbers or texts, each call once.

        With `base`, include the call that made the view complete.
        """
        found = [self.base_details] if base else []
        for number in numbers:
            writes = (self.last_writes, self.rejected)
            found += [by_number[number].details for by_number in writes if number in by_number]
            if number in self.texts:
                found.append(self.texts[number].details)
        return list({id(details): details for details in found if details is not None}.values())

    def request_ids(self, number: str) -> list[str | None]:
        """Return the requestIds of the last calls that wrote the number (or the text)."""
        write = self.last_writes.get(number)
        ids = [] if write is None else [write.request_id]
        if self.rejected and number in self.rejected:
            ids.append(self.rejected[number].request_id)
        if self.texts and number in self.texts:
            ids.append(self.texts[number].request_id)
        return ids

    def _was_absent(self, number: str) -> bool:
        write = self.last_writes.get(number)
        return self.uncertain.get(number, write is None or not write.present)

    @staticmethod
    def _drop(by_number: dict[str, LastWrite] | dict[str, bool], numbers: Sequence[str]) -> None:
        for number in numbers:
            by_number.pop(number, None)
