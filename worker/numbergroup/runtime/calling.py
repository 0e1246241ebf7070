"""Makes the calls that the engine starts, and reports their outcomes to it."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from numbergroup.engine.calls import AccountFault, Applied
from numbergroup.engine.commands import HandleKind
from numbergroup.engine.effects import StartCall
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CallFinished, Event
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger, is_debug_enabled
from numbergroup.runtime.lease import Lease
from numbergroup.runtime.partition import PartitionRunner
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.recording import CallRecord
from numbergroup.vendors.attempt import NO_STEPS, CallResult, pauses_account
from numbergroup.vendors.client import Caller

log = get_logger("worker")


class CallRunner:
    """Makes calls with the accounts' `callers`.

    `dispatch` passes an event to the engine. `end_probe` lets other workers probe an account.
    """

    def __init__(
        self,
        engine: Engine,
        ports: Ports,
        callers: Mapping[str, Caller],
        *,
        jitter: Callable[[], float],
        dispatch: Callable[[Event], object],
        end_probe: Callable[[str], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._clock = ports.clock
        self._callers = callers
        self._jitter = jitter
        self._dispatch = dispatch
        self._end_probe = end_probe
        self._unreported_pauses: Counter[str] = Counter()
        """Per account: results that pause it, and that the engine does not know yet."""

    async def run(
        self, effect: StartCall, partition: PartitionRunner, lease: Lease, permitted_at: float
    ) -> None:
        """Make the call, and pass its outcome to the engine.

        The call is sent only while the partition's `lease` lasts. `permitted_at`: when its permit was granted
        (monotonic seconds).
        """
        record = CallRecord(
            effect, lease, self._ports.ledger, self._clock, wait_until_flushed=partition.wait_until_flushed
        )
        started_at = self._clock.monotonic()
        account = effect.ref.account
        steps = partition.make_call_steps(effect.digests, effect.place) or NO_STEPS
        await steps.enter(Step.CALL)
        result = await self._callers[account].run(
            effect.call,
            lease,
            record.write,
            permitted_at,
            once=effect.probe,
            is_well=lambda: self._may_retry(account),
            may_begin=lambda: effect.probe or self._may_call(account),
            must_wait=lambda: self._must_wait(account),
            steps=steps,
        )
        await steps.leave()
        failpoints.hit("call finished")
        is_pausing = pauses_account(result.outcome)
        self._unreported_pauses[account] += is_pausing
        _log_result(effect, result, self._clock.monotonic() - started_at)
        try:
            await record.close(result)
            await steps.enter(Step.RESOLVE)
            self._dispatch(
                CallFinished(
                    effect.call_id, result.outcome, self._clock.now(), self._jitter(), result.doubt_until
                )
            )
            await steps.leave()
        finally:
            self._unreported_pauses[account] -= is_pausing
        partition.on_call_ended()
        if effect.probe:
            await self._end_probe(account)

    def _may_call(self, account: str) -> bool:
        return not self._unreported_pauses[account] and self._engine.may_call(account, self._clock.now())

    def _must_wait(self, account: str) -> bool:
        return self._unreported_pauses[account] > 0 or self._engine.is_throttled(account, self._clock.now())

    def _may_retry(self, account: str) -> bool:
        return not self._unreported_pauses[account] and self._engine.may_retry(account, self._clock.now())


def _log_result(effect: StartCall, result: CallResult, duration_s: float) -> None:
    outcome = result.outcome
    write, text = log.warning, "call " + type(outcome).__name__.lower()
    if isinstance(outcome, Applied):
        if not is_debug_enabled():
            return
        write = log.debug
    if isinstance(outcome, AccountFault):
        write, text = log.error, "the account is paused, for the vendor refuses it: probing now and then"
    write(
        text,
        account=effect.ref.account,
        call=effect.call.kind.value,
        group=None if effect.ref.kind is HandleKind.OWN else effect.ref.name,
        numbers=len(effect.call.numbers),
        request_id=getattr(outcome, "request_id", None),
        code=getattr(outcome, "code", None),
        message=getattr(outcome, "message", None),
        attempts=result.attempts,
        duration_ms=round(duration_s * 1000, 1),
    )
