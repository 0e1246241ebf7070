"""Active faults: selects those that apply to a call, and counts how often each fired.

Randomness is an argument.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from numbergroup.sandbox.faults import (
    AnsweringFault,
    CodeAsString,
    Compressed,
    Drop,
    Fault,
    HideGroups,
    KillToken,
    Latency,
    ModifyingFault,
    PageCap,
    Redirect,
    RefuseNumbers,
    RefusingFault,
    RejectNumbers,
    Throttle,
    Vendor,
    VendorCode,
)


@dataclass(slots=True)
class ArmedFault:
    """An active fault. It stays listed after it fired `times` times, so that tests can read its count."""

    id: int
    fault: Fault
    fired: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            **self.fault.model_dump(mode="json", by_alias=True, exclude_none=True),
            "fired": self.fired,
        }


@dataclass(frozen=True, slots=True)
class Target:
    """The properties of a call that faults match.

    - `added_numbers`: the numbers that a valid call would add to a group, in all their forms.
    - `changed_numbers`: the numbers that a valid call would add or delete, in all their forms.
    - `bears_token`: the call has a valid bearer token.
    """

    vendor: Vendor
    action: str
    group_id: str | None
    added_numbers: Collection[str] = ()
    changed_numbers: Collection[str] = ()
    bears_token: bool = False


@dataclass(frozen=True, slots=True)
class FaultEffects:
    """What the active faults do to one call.

    - `latency_ms`: milliseconds that the call waits before it is processed.
    - `answering`: the fault that replaces the vendor's answer, if any.
    - `code_as_string`: the answer has its code as a string.
    - `rejected`: numbers that the vendor does not accept.
    - `kills_token`: the token of the call is revoked.
    - `coding`: the content coding of the answer, if it is compressed.
    - `page_cap`: the largest number of groups in one page of a listing.
    - `hidden`: ids of groups that a listing leaves out.
    """

    latency_ms: float = 0.0
    answering: AnsweringFault | None = None
    code_as_string: bool = False
    rejected: frozenset[str] = frozenset()
    kills_token: bool = False
    coding: str | None = None
    page_cap: int | None = None
    hidden: frozenset[str] = frozenset()

    @property
    def kind(self) -> str | None:
        """The kind of the fault that the log names; None if no fault applies."""
        if self.answering is not None:
            return self.answering.kind
        if self.kills_token:
            return "kill_token"
        if self.rejected:
            return "reject_numbers"
        if self.code_as_string:
            return "code_as_string"
        if self.hidden:
            return "hide_groups"
        if self.page_cap is not None:
            return "page_cap"
        if self.coding is not None:
            return "compressed"
        return "latency" if self.latency_ms else None


_NOTHING = FaultEffects()
_NOT_APPLIED = RefusingFault | Throttle | Redirect | Drop


class ArmedFaults:
    """All active faults, oldest first.

    Latencies add up. Of several faults that replace the answer, the first applies.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._armed: dict[int, ArmedFault] = {}
        self._last_id = 0

    def add(self, faults: Iterable[Fault]) -> list[ArmedFault]:
        """Activates the faults, and returns them with their ids."""
        added = []
        for fault in faults:
            self._last_id += 1
            added.append(ArmedFault(self._last_id, fault))
        self._armed.update((armed.id, armed) for armed in added)
        return added

    def each(self) -> list[ArmedFault]:
        return list(self._armed.values())

    def remove(self, fault_id: int) -> bool:
        """Removes a fault. Returns whether it existed."""
        return self._armed.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._armed.clear()

    def select_effects(self, target: Target) -> FaultEffects:
        """Returns what the faults do to this call, and counts each fault that applies."""
        if not self._armed:
            return _NOTHING
        answering = self._select_answering_fault(target)
        has_code = answering is None or isinstance(answering, (RefuseNumbers, VendorCode))
        latency_ms, code_as_string, kills_token = 0.0, False, False
        rejected: frozenset[str] = frozenset()
        hidden: frozenset[str] = frozenset()
        coding: str | None = None
        page_cap: int | None = None
        lists = target.action == "listGroup" and answering is None
        for armed in self._armed.values():
            match armed.fault:
                case Latency(ms=ms, jitter_ms=jitter_ms) if self._try_fire(armed, target):
                    latency_ms += ms + (self._random.uniform(0, jitter_ms) if jitter_ms else 0)
                case CodeAsString() if has_code and self._try_fire(armed, target):
                    code_as_string = True
                case Compressed() if coding is None and self._try_fire(armed, target):
                    coding = armed.fault.coding
                case PageCap() if lists and self._try_fire(armed, target):
                    page_cap = min(armed.fault.most, page_cap or armed.fault.most)
                case HideGroups() if lists and self._try_fire(armed, target):
                    hidden |= armed.fault.groups
                case KillToken() if target.bears_token and self._try_fire(armed, target):
                    kills_token = True
                case RejectNumbers(numbers=numbers) if not isinstance(answering, _NOT_APPLIED):
                    if not numbers.isdisjoint(target.changed_numbers) and self._try_fire(armed, target):
                        rejected |= numbers
        return FaultEffects(
            latency_ms=latency_ms,
            answering=answering,
            code_as_string=code_as_string,
            rejected=rejected,
            kills_token=kills_token,
            coding=coding,
            page_cap=page_cap,
            hidden=hidden,
        )

    def _select_answering_fault(self, target: Target) -> AnsweringFault | None:
        for armed in self._armed.values():
            fault = armed.fault
            if isinstance(fault, ModifyingFault):
                continue
            if isinstance(fault, RefuseNumbers) and fault.numbers.isdisjoint(target.added_numbers):
                continue
            if self._try_fire(armed, target):
                return fault
        return None

    def _try_fire(self, armed: ArmedFault, target: Target) -> bool:
        """Counts the fault as fired if it applies to the call. Returns whether it does."""
        fault = armed.fault
        if fault.times is not None and armed.fired >= fault.times:
            return False
        if {fault.only, fault.vendor} - {None, target.vendor}:
            return False
        if fault.action is not None and fault.action != target.action:
            return False
        if fault.group_id is not None and fault.group_id != target.group_id:
            return False
        # A fault with probability 1 draws no random number, so that adding it does not change the others.
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        armed.fired += 1
        return True
