"""What kills a simulated worker: a message that it reads, or a command that it carries out."""

from typing import Any

from numbergroup.engine.calls import Call, Outcome
from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.effects import Effect, Settle, StartCall
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CallFinished, Delivered, Event, PermitGranted
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.engine.settling.settlement import OpenSettlement, SettlementBuilder
from numbergroup.engine.verdicts import CRASHED, Refusal
from numbergroup.vendors.port import Answer, Credentials, Request
from simulation.loop import PROCESS
from simulation.plans import DEADLY, Plan, spellings
from simulation.vendor import PerNumber
from simulation.world import World


def die_in(world: World, step: Step, numbers: Any) -> None:
    """Kill the process, if the command with the deadly number kills in this step."""
    process = PROCESS.get()
    if world.plan.deadly_step == step and DEADLY in numbers and process is not None:
        world.die(process)


def is_deadly(plan: Plan, body: bytes) -> bool:
    """Whether the message kills a worker that reads it."""
    return bool(plan.killer) and plan.killer in body


class DeadlyIntake(Intake):
    """Dies of reading what the plan says, unless the worker refuses it unread."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        super().__init__(spellings=spellings(world.plan))
        object.__setattr__(self, "_world", world)

    def read(self, entry: Entry) -> list[Command | Refusal]:
        plan, process = self._world.plan, PROCESS.get()
        reads = plan.deadly_step == Step.DECODE and entry.problem is None
        if reads and is_deadly(plan, entry.body) and process is not None:
            self._world.die(process)
        return super().read(entry)


class DeadlyEngine(Engine):
    """Dies of admitting a message, of planning a batch and of resolving a call."""

    world: World

    def handle(self, event: Event) -> list[Effect]:
        plan, process = self.world.plan, PROCESS.get()
        if isinstance(event, Delivered) and plan.deadly_step == Step.ADMIT and process is not None:
            for item in event.items:
                origins = [item.origin] if isinstance(item, Refusal) else item.origins
                entry = origins[0].entry
                if entry.problem is None and is_deadly(plan, entry.body):
                    self.world.die(process)
        if isinstance(event, CallFinished) and event.call_id in self._in_flight:
            die_in(self.world, Step.RESOLVE, self._in_flight[event.call_id].state.call.numbers)
        effects = super().handle(event)
        if isinstance(event, PermitGranted):
            for effect in effects:
                if isinstance(effect, StartCall):
                    die_in(self.world, Step.PLAN, effect.call.numbers)
        return effects


class _DeadlySettlement(OpenSettlement):
    def __init__(self, world: World, *rest: Any) -> None:
        super().__init__(*rest)
        self._world = world

    def add(self, settle: Settle, now: float) -> None:
        for verdict in settle.verdicts:
            if isinstance(verdict, Refusal) or (verdict.fault and verdict.fault.kind == CRASHED):
                continue
            die_in(self._world, Step.SETTLE, verdict.command.numbers)
        super().add(settle, now)


class DeadlyBuilder(SettlementBuilder):
    """Dies of encoding the answer of the command with the deadly number."""

    __slots__ = ("_world",)

    def __init__(self, world: World, *rest: Any) -> None:
        super().__init__(*rest)
        object.__setattr__(self, "_world", world)

    def begin(self, partition: int) -> OpenSettlement:
        return _DeadlySettlement(self._world, partition, self.reply_queues)


class DeadlyProvider(PerNumber):
    """Dies of building a request, and of reading its answer."""

    __slots__ = ("world",)

    world: World

    def build_request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        die_in(self.world, Step.COMPOSE, call.numbers)
        return super().build_request(call, wall_ms, credentials)

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        die_in(self.world, Step.READ_ANSWER, call.numbers)
        return super().parse_answer(call, answer, credentials)
