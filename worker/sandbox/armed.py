"""The faults in place: which calls they meet, how often each fired. Chance comes in as an argument."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from worker.sandbox.faults import CodeAsString, Decisive, Fault, Latency, RefuseNumbers, VendorCode


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
class Drawn:
    """What happens to one call: how long it waits, which fault decides its answer, how its code looks."""

    latency_ms: float = 0.0
    decisive: Decisive | None = None
    code_as_string: bool = False

    @property
    def kind(self) -> str | None:
        if self.decisive is not None:
            return self.decisive.kind
        if self.code_as_string:
            return "code_as_string"
        return "latency" if self.latency_ms else None


_NOTHING = Drawn()


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

    def draw(self, action: str, group_id: str | None, incoming: Sequence[str]) -> Drawn:
        """What happens to this call; counts the faults that do.

        `incoming`: the numbers that a valid call would bring into a group, empty for any other call.
        """
        if not self._armed:
            return _NOTHING
        decisive: Decisive | None = None
        for armed in self._armed.values():
            fault = armed.fault
            if isinstance(fault, (Latency, CodeAsString)):
                continue
            if isinstance(fault, RefuseNumbers) and fault.numbers.isdisjoint(incoming):
                continue
            if self._fires(armed, action, group_id):
                decisive = fault
                break
        has_code = decisive is None or isinstance(decisive, (RefuseNumbers, VendorCode))
        latency_ms, code_as_string = 0.0, False
        for armed in self._armed.values():
            fault = armed.fault
            if isinstance(fault, Latency) and self._fires(armed, action, group_id):
                latency_ms += fault.ms + (self._random.uniform(0, fault.jitter_ms) if fault.jitter_ms else 0)
            elif isinstance(fault, CodeAsString) and has_code and self._fires(armed, action, group_id):
                code_as_string = True
        return Drawn(latency_ms, decisive, code_as_string)

    def _fires(self, armed: ArmedFault, action: str, group_id: str | None) -> bool:
        fault = armed.fault
        if fault.times is not None and armed.fired >= fault.times:
            return False
        if fault.action is not None and fault.action != action:
            return False
        if fault.group_id is not None and fault.group_id != group_id:
            return False
        # Certain faults leave the random sequence alone: adding one does not reshuffle the others.
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        armed.fired += 1
        return True
