"""Merge, plan and call, batch by batch: what the engine does with one group, without its patience."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from model_vendor import ModelVendor

from numbergroup.engine.calls import Applied, Call, CallKind
from numbergroup.engine.commands import Command, GroupRef, HandleKind
from numbergroup.engine.merging.merge import batch_length, merge
from numbergroup.engine.merging.plan import plan
from numbergroup.engine.merging.vendor_view import UNKNOWN_EXPIRY, VendorView


@dataclass
class PureWorker:
    """`refused` has the ids of the commands that merging refused; `group_id` what the vendor calls it."""

    vendor: ModelVendor
    ref: GroupRef
    group_id: str | None
    pending: list[Command] = field(default_factory=list)
    known: VendorView = field(default_factory=VendorView)
    created_by: Command | None = None
    refused: set[str] = field(default_factory=set)
    marks: bool = True

    def work(self, trouble: Iterator[str]) -> bool:
        """Carry out one batch of what is pending, until `trouble` strikes: whether it was settled.

        Trouble is one word a call: `fine`, `not sent`, `lost` (not applied, nobody knows) or
        `unanswered` (applied, nobody knows).
        """
        batch = self.pending[: batch_length(self.pending)]
        exists = self.ref.kind is HandleKind.ID or (self.group_id is not None and self.created_by is None)
        change = merge(batch, exists=exists, created_by=self.created_by)
        calls = self._plan(batch)
        while calls:
            if not self._make(calls.pop(0), batch, next(trouble, "fine")):
                return False
            if self.vendor.calls[-1].kind is CallKind.READ_MEMBERS:
                calls = self._plan(batch)
        self.refused |= {batch[place].key.id for place in change.refused}
        if change.delete is not None:
            self.group_id = None
        self.created_by = None
        self.known = VendorView()
        del self.pending[: len(batch)]
        return True

    def work_all(self, trouble: Iterable[str] = ()) -> None:
        fates = iter(trouble)
        while self.pending:
            self.work(fates)

    def _plan(self, batch: list[Command]) -> list[Call]:
        exists = self.ref.kind is HandleKind.ID or (self.group_id is not None and self.created_by is None)
        change = merge(batch, exists=exists, created_by=self.created_by)
        return plan(
            change,
            batch,
            self.known,
            group_id=self.group_id,
            numbers_per_call=self.vendor.cap,
            has_replace=self.vendor.replaces,
            writes_marker=self.marks,
        )

    def _make(self, call: Call, batch: list[Command], fate: str) -> bool:
        if call.group_id is None and call.kind is not CallKind.CREATE:
            call = replace(call, group_id=self.group_id)
        if call.kind in (CallKind.CREATE, CallKind.READ_MEMBERS, CallKind.DELETE_GROUP) and fate != "fine":
            return False
        outcome = None if fate in ("not sent", "lost") else self.vendor.carry_out(call)
        if fate in ("lost", "unanswered"):
            self.known.mark_uncertain(call)
        if fate != "fine":
            return False
        assert isinstance(outcome, Applied)
        if call.kind is CallKind.READ_MEMBERS:
            (group,) = [one for one in outcome.groups or () if one.group_id == self.group_id]
            self.known.set_members(group.numbers, outcome.request_id, UNKNOWN_EXPIRY)
        elif call.kind is not CallKind.DELETE_GROUP:
            self.known.apply(call, outcome.request_id, outcome.rejected)
        if call.kind is CallKind.CREATE:
            self.group_id = outcome.group_id
            self.created_by = next(c for c in batch if c.kind.name == "CREATE")
        return True
