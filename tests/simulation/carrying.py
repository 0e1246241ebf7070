"""The way to the vendor and back, with everything that goes wrong on it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from numbergroup.engine.calls import Call
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.runtime.lease import Lease
from numbergroup.vendors.attempt import NO_STEPS, CallResult, Guard, Record, Steps
from numbergroup.vendors.client import Caller
from numbergroup.vendors.http import MaySend, NoAnswer, NotConnected, TooLate, Withdrawn, always
from numbergroup.vendors.port import Answer, Request
from simulation.anything import answer_of
from simulation.loop import PROCESS
from simulation.plans import DEADLY, AccountPlan, Fault
from simulation.poison import die_in
from simulation.vendor import LEASE, SimulatedVendor
from simulation.world import EPOCH, World


class WatchedCaller(Caller):
    """The real one; its transport is told under which lease each call is made."""

    async def run(
        self,
        call: Call,
        guard: Guard,
        record: Record,
        permitted_at: float | None = None,
        *,
        once: bool = False,
        is_well: Callable[[], bool] = lambda: True,
        may_begin: Callable[[], bool] = lambda: True,
        must_wait: Callable[[], bool] = lambda: False,
        steps: Steps = NO_STEPS,
    ) -> CallResult:
        assert isinstance(guard, Lease)
        assert isinstance(self._transport, SimulatedTransport)
        die_in(self._transport.world, Step.CALL, call.numbers)
        LEASE.set(guard)
        return await super().run(
            call,
            guard,
            record,
            permitted_at,
            once=once,
            is_well=is_well,
            may_begin=may_begin,
            must_wait=must_wait,
            steps=steps,
        )


@dataclass(slots=True)
class SimulatedTransport:
    """See `numbergroup.vendors.http.Transport`."""

    world: World
    vendor: SimulatedVendor
    account: AccountPlan

    async def exchange(
        self, request: Request, max_bytes: int, send_deadline: float, may_send: MaySend = always
    ) -> Answer:
        world, loop = self.world, self.world.loop
        deadline = loop.now + world.plan.timeout_s
        process = PROCESS.get()
        assert process is not None
        thaws = process.thaws
        await asyncio.sleep(world.random.random() * 0.005)
        if world.vendor_away_until > loop.now:
            raise NotConnected("not connected: the vendor is away")
        # The last moment before it is written, as in the real transport.
        if loop.now >= send_deadline:
            raise TooLate("not sent in time")
        if not may_send():
            raise Withdrawn("not sent: something has come between")
        fate = world.fate_of_call(process)
        if world.plan.deadly_step == Step.SEND and DEADLY.encode() in request.body:
            world.die(process)
        if fate is not None and fate.kind == "not connected":
            raise NotConnected("not connected: on this occasion")
        name = self.vendor.check_sending(self.account, request, deadline, thawed=process.thaws != thaws)
        flying = self.vendor.take_off(self.account, deadline)
        world.note(f"call {world.calls} {request.headers['action']} {request.body.decode()} ({fate})")
        answer = loop.create_future()
        self._send(request, fate, answer)
        try:
            async with asyncio.timeout_at(deadline):
                came = await answer
        except TimeoutError:
            world.note("no answer in time")
            raise NoAnswer("no answer: TimeoutError") from None
        finally:
            flying.until = min(flying.until, loop.now)
            if name is not None and process.alive:
                self.vendor.sending[name].until = loop.now
        if isinstance(came, Exception):
            world.note("no answer")
            raise came
        world.note(f"answer {came.status} {came.body[:60]!r}")
        if (came.status == 429 or came.status >= 500) and "retry-after" in came.headers:
            self.vendor.turned_away(self.account, float(came.headers["retry-after"]))
        return came  # type: ignore[no-any-return]

    def _send(self, request: Request, fate: Fault | None, answer: Any) -> None:
        world, loop = self.world, self.world.loop
        kind = "" if fate is None else fate.kind
        lag_s = 0.002 + 0.03 * world.random.random()
        back_s = 0.002 + 0.03 * world.random.random()
        if world.trouble_until["vendor down"] > loop.now:
            # Who is down takes his time to say so.
            back_s += 0.7 * world.plan.timeout_s * world.random.random()
        if world.trouble_until["vendor slow"] > loop.now:
            back_s += world.plan.timeout_s * (0.3 + 0.6 * world.random.random())
        if kind in ("slow", "too slow"):
            back_s = (0.5 if kind == "slow" else 1.5) * world.plan.timeout_s
        lost = NoAnswer("no answer: lost")

        def tell(came: Answer | Exception) -> None:
            if not answer.done():
                answer.set_result(came)

        if kind in ("lost before", "late"):
            loop.later(lag_s, tell, lost)
        if kind == "late":
            assert fate is not None
            self.vendor.on_its_way += 1

            def arrive() -> None:
                self.vendor.on_its_way -= 1
                self.vendor.take(self.account, request, late=True)

            loop.later(fate.for_s, arrive)
            return
        if kind == "lost before":
            return

        def arrive_now() -> None:
            came = self._in_trouble() or self._answer(request, fate)
            loop.later(back_s, tell, lost if kind == "lost after" else came)

        loop.later(lag_s, arrive_now)

    def _in_trouble(self) -> Answer | None:
        """What the vendor answers while it is in trouble, whatever it is asked."""
        world, now = self.world, self.world.loop.now
        if world.trouble_until["vendor down"] > now:
            return Answer(503, b"<html>", {})
        if world.trouble_until["bad credentials"] > now:
            return self._verdict(1003, "invalid signature", {})
        if world.trouble_until["vendor throttles"] > now and world.random.random() < 0.1:
            wait_s = world.random.choice([0, 1, 3])
            return Answer(429, b"", {"retry-after": str(wait_s)})
        return None

    def _answer(self, request: Request, fate: Fault | None) -> Answer:
        headers = {"date": formatdate(EPOCH + self.world.loop.now, usegmt=True)} if fate else {}
        match fate.kind if fate is not None else "":
            case "throttled":
                return Answer(429, b"", headers)
            case "throttled for a while":
                assert fate is not None
                return Answer(429, b"", headers | {"retry-after": f"{fate.for_s:.1f}"})
            case "throttled by text":
                return self._verdict(1008, "rate limit exceeded", headers)
            case "account fault":
                return self._verdict(1003, "invalid signature", headers)
            case "refused":
                return self._verdict(1002, "parameter error", headers)
            case "unknown code":
                return self._verdict(777, "what nobody knows", headers)
            case "503" | "500":
                assert fate is not None
                return Answer(int(fate.kind), b"<html>", headers)
            case "500 applied":
                self.vendor.take(self.account, request)
                return Answer(500, b"<html>", headers)
            case "says anything" | "applied, says anything":
                assert fate is not None
                applied = fate.kind != "says anything"
                if applied:
                    self.vendor.take(self.account, request)
                creates = request.headers["action"] == "createGroup"
                said = answer_of(fate.slot, applied=applied, creates=creates)
                return replace(said, headers=headers | said.headers)
            case "unknown code applied":
                carried_out = self.vendor.take(self.account, request)
                if request.headers["action"] != "createGroup":
                    # Of another call it could not be found out, and its commands would be refused.
                    return Answer(200, carried_out, headers)
                return self._verdict(777, "what nobody knows", headers)
            case "hides a group":
                assert fate is not None
                self.vendor.hides_until = self.world.loop.now + fate.for_s
                return Answer(200, self.vendor.take(self.account, request), headers)
            case "garbage":
                return Answer(200, b'{"code":', headers)
            case "garbage applied":
                return Answer(200, self.vendor.take(self.account, request)[:20], headers)
            case _:
                return Answer(200, self.vendor.take(self.account, request), headers)

    def _verdict(self, code: int, text: str, headers: dict[str, str]) -> Answer:
        return Answer(200, self.vendor.say(code, text, "0"), headers)

    async def close(self) -> None:
        """There is nothing to close."""
