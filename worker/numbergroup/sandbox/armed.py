"""The faults in place: which calls they meet, how often each fired. Chance comes in as an argument."""

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
    """A fault in place. It stays listed after its last time, so that one can see that it did fire."""

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
    """A call as the faults see it.

    `incoming`: the numbers that a valid call would bring into a group, in every spelling, empty for any other
    call. `named`: those that it would bring in or take out.
    """

    vendor: Vendor
    action: str
    group_id: str | None
    incoming: Collection[str] = ()
    named: Collection[str] = ()
    bears_token: bool = False


@dataclass(frozen=True, slots=True)
class FaultEffects:
    """What happens to one call: how long it waits, which fault decides its answer, how its code looks, which
    numbers are not taken, whether its token dies, in which coding the answer comes, how many groups a page of
    a listing has at most, and which of them it leaves out."""

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
    """All faults in order of adding. Latencies add up; of the faults that decide an answer the first wins."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._armed: dict[int, ArmedFault] = {}
        self._last_id = 0

    def add(self, faults: Iterable[Fault]) -> list[ArmedFault]:
        added = []
        for fault in faults:
            self._last_id += 1
            added.append(ArmedFault(self._last_id, fault))
        self._armed.update((armed.id, armed) for armed in added)
        return added

    def each(self) -> list[ArmedFault]:
        return list(self._armed.values())

    def remove(self, fault_id: int) -> bool:
        """Whether there was such a fault."""
        return self._armed.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._armed.clear()

    def select_effects(self, target: Target) -> FaultEffects:
        """What happens to this call; counts the faults that do."""
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
                    if not numbers.isdisjoint(target.named) and self._try_fire(armed, target):
                        rejected |= numbers
        return FaultEffects(
            latency_ms, answering, code_as_string, rejected, kills_token, coding, page_cap, hidden
        )

    def _select_answering_fault(self, target: Target) -> AnsweringFault | None:
        for armed in self._armed.values():
            fault = armed.fault
            if isinstance(fault, ModifyingFault):
                continue
            if isinstance(fault, RefuseNumbers) and fault.numbers.isdisjoint(target.incoming):
                continue
            if self._try_fire(armed, target):
                return fault
        return None

    def _try_fire(self, armed: ArmedFault, target: Target) -> bool:
        fault = armed.fault
        if fault.times is not None and armed.fired >= fault.times:
            return False
        if {fault.only, fault.vendor} - {None, target.vendor}:
            return False
        if fault.action is not None and fault.action != target.action:
            return False
        if fault.group_id is not None and fault.group_id != target.group_id:
            return False
        # Certain faults leave the random sequence alone: adding one does not reshuffle the others.
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        armed.fired += 1
        return True
