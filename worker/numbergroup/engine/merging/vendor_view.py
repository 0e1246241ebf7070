"""What is known of a group at the vendor, from the answers of calls whose commands are not settled yet."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from numbergroup.engine.commands import NAME, REMARK, Call, CallKind, Details, Group

UNLISTED: Final = math.nan
"""The expiry of a member that was found in a list which says none: it is equal to no other."""


class LastWrite(NamedTuple):
    """What the vendor was last told of a number, the requestId of the call that told it, and what the vendor
    said of that call beyond its outcome."""

    present: bool
    request_id: str | None
    expiry: float | None = None
    details: Details | None = None

    def says(self, present: bool, expiry: float | None) -> bool:
        return self.present is present and (not present or self.expiry == expiry)


class Text(NamedTuple):
    """A group's name or remark as the vendor has it; whose call set it, and what the vendor said of that."""

    value: str | None
    request_id: str | None
    details: Details | None = None


@dataclass(slots=True)
class VendorView:
    """`complete` means that numbers which are neither in `told` nor `unsure` are known to be absent;
    `base_request` is the call that made it so. `rejected`: what the vendor was told of a number last and did
    not take; whether the number is in the group is as it was before. `unsure`: of what nobody knows it, and
    whether it is there, if it is, by calls in doubt alone.
    """

    last_writes: dict[str, LastWrite] = field(default_factory=dict)
    complete: bool = False
    base_request: str | None = None
    rejected: dict[str, LastWrite] = field(default_factory=dict)
    uncertain: dict[str, bool] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)
    """What the vendor was told of the group's name and remark."""
    base_details: Details | None = None
    has_details: bool = False
    """Whether the vendor said anything of a call beyond its outcome."""

    def apply(
        self,
        call: Call,
        request_id: str | None,
        rejected: Collection[str] = (),
        details: Details | None = None,
    ) -> None:
        """Take in that the vendor carried `call` out, but for the numbers that it `rejected`."""
        self.has_details |= details is not None
        if call.kind in (CallKind.CREATE, CallKind.RENAME):
            self._apply_texts(call, request_id, details)
        left_out = frozenset(rejected).intersection(call.numbers)
        taken = [number for number in call.numbers if number not in left_out] if left_out else call.numbers
        if call.kind in (CallKind.REPLACE, CallKind.CREATE):
            self.learn_all(taken, request_id, call.expires_at, details)
            # What the group did not take before says nothing of what it has now.
            self.rejected = {}
        elif call.kind in (CallKind.ADD, CallKind.DELETE):
            told = LastWrite(call.kind is CallKind.ADD, request_id, call.expires_at, details)
            self.last_writes.update(dict.fromkeys(taken, told))
            if self.uncertain:
                self._drop(self.uncertain, taken)
        if self.rejected:
            self._drop(self.rejected, taken)
        for number in call.numbers if left_out else ():
            if number in left_out:
                present = call.kind is not CallKind.DELETE
                self.rejected[number] = LastWrite(present, request_id, call.expires_at, details)
                if call.kind is CallKind.REPLACE:
                    # It may have left with the others, or stayed as it was.
                    self.uncertain[number] = False

    def _apply_texts(self, call: Call, request_id: str | None, details: Details | None) -> None:
        texts = {NAME: call.group_name, REMARK: call.remark_without_marker}
        is_whole = call.kind is CallKind.CREATE
        said = {name: text for name, text in texts.items() if is_whole or text is not None}
        self.texts |= {name: Text(text, request_id, details) for name, text in said.items()}

    def learn_all(
        self,
        members: Sequence[str],
        request_id: str | None,
        expiry: float | None = None,
        details: Details | None = None,
    ) -> None:
        """Take in that the group has exactly `members`."""
        self.last_writes = dict.fromkeys(members, LastWrite(True, request_id, expiry, details))
        self.base_details = details
        self.uncertain = {}
        self.complete = True
        self.base_request = request_id

    def learn_texts(self, group: Group, request_id: str | None) -> None:
        """Take in that the group is named as it is listed."""
        self.texts = {NAME: Text(group.name, request_id), REMARK: Text(group.remark, request_id)}

    def doubt(self, call: Call) -> None:
        """Take in that nobody knows whether the vendor carried `call` out."""
        if call.kind is CallKind.RENAME:
            for name, text in ((NAME, call.group_name), (REMARK, call.remark)):
                if text is not None:
                    self.texts.pop(name, None)
            return
        if call.kind in (CallKind.REPLACE, CallKind.CREATE):
            self.last_writes, self.uncertain = {}, {}
            self.complete = False
            return
        # A deletion of the group has taken everything with it, or nothing.
        touched = [*self.last_writes] if call.kind is CallKind.DELETE_GROUP else call.numbers
        if self.complete:
            self.uncertain.update({number: self._was_absent(number) for number in touched})
        self._drop(self.last_writes, touched)
        self._drop(self.rejected, touched)

    def is_there_by_doubt(self, number: str) -> bool:
        """Whether it was not in the group before calls that are in doubt, and may be since."""
        return self.uncertain.get(number, False)

    @property
    def is_blank(self) -> bool:
        """Whether nothing is known of any number: everything `needs` to be said."""
        return not (self.last_writes or self.rejected or self.complete)

    @property
    def possible(self) -> list[str]:
        """The numbers that are, or may be, in the group, where it is `complete`."""
        return [*(number for number, told in self.last_writes.items() if told.present), *self.uncertain]

    def says(self, number: str, present: bool, expiry: float | None = None) -> bool:
        """Whether it is certain that the number is in the group until `expiry`, or that it is not in it."""
        told = self.last_writes.get(number)
        if told is None:
            return self.complete and not present and number not in self.uncertain
        return told.says(present, expiry)

    def rejects(self, number: str, present: bool, expiry: float | None = None) -> bool:
        """Whether the vendor was told so already, and did not take it."""
        refused = self.rejected.get(number)
        return refused is not None and refused.says(present, expiry)

    def needs(self, number: str, present: bool, expiry: float | None = None) -> bool:
        """Whether the vendor has to be told so still."""
        return not (self.says(number, present, expiry) or self.rejects(number, present, expiry))

    def details_of(self, numbers: Iterable[str], *, base: bool) -> list[Details]:
        """What the vendor said of the calls that told it of these numbers last, each call once; with `base`,
        of the one that decided all others as well."""
        found = [self.base_details] if base else []
        for number in numbers:
            found += [told[number].details for told in (self.last_writes, self.rejected) if number in told]
            if number in self.texts:
                found.append(self.texts[number].details)
        return list({id(one): one for one in found if one is not None}.values())

    def requests(self, number: str) -> list[str | None]:
        """The requestIds of the calls that told the vendor of the number (or of the group's text) last."""
        told = self.last_writes.get(number)
        ids = [] if told is None else [told.request_id]
        if self.rejected and number in self.rejected:
            ids.append(self.rejected[number].request_id)
        if self.texts and number in self.texts:
            ids.append(self.texts[number].request_id)
        return ids

    def _was_absent(self, number: str) -> bool:
        told = self.last_writes.get(number)
        return self.uncertain.get(number, told is None or not told.present)

    @staticmethod
    def _drop(some: dict[str, LastWrite] | dict[str, bool], numbers: Sequence[str]) -> None:
        for number in numbers:
            some.pop(number, None)
