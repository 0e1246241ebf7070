"""The control store of a simulated world: what `numbergroup.ledger.control_store` does, in memory."""

from collections.abc import Mapping
from functools import partial

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.events import Controls
from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger.port import ControlSnapshot, Pause
from simulation.world import World

Target = str | GroupRef


class SimulatedControlStore:
    """Everything is at the ledger's server; every method asks it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.paused: dict[Target, Pause] = {}
        self.resumed: dict[Target, int] = {}
        self.breakers: dict[str, BreakerNotice] = {}
        self._opened: dict[str, float] = {}
        self.probes: dict[str, tuple[str, float]] = {}
        """By account: who probes, and until when nobody else may."""

    async def read(self) -> ControlSnapshot:
        orders: ControlSnapshot = await self._world.ask("ledger", "read controls", self._read)
        return orders

    def _read(self) -> ControlSnapshot:
        accounts = {one: pause.reason for one, pause in self.paused.items() if isinstance(one, str)}
        groups = {one: pause.reason for one, pause in self.paused.items() if isinstance(one, GroupRef)}
        return ControlSnapshot(Controls(accounts, groups, dict(self.breakers)), dict(self.resumed))

    async def read_pauses(self) -> Mapping[Target, Pause]:
        return dict(self.paused)

    async def pause(self, target: Target, reason: str, who: str) -> bool:
        raise NotImplementedError

    async def resume(self, target: Target, who: str) -> bool:
        raise NotImplementedError

    async def claim_probe(self, account: str, owner: str, ttl_s: float) -> bool:
        taken: bool = await self._world.ask(
            "ledger", "take probe", partial(self._take, account, owner, ttl_s)
        )
        return taken

    def _take(self, account: str, owner: str, ttl_s: float) -> bool:
        now = self._world.loop.now
        holder = self.probes.get(account)
        if holder is not None and holder[0] != owner and holder[1] > now:
            return False
        self.probes[account] = owner, now + ttl_s
        return True

    async def release_probe(self, account: str, owner: str) -> None:
        await self._world.ask("ledger", "drop probe", partial(self._drop, account, owner))

    def _drop(self, account: str, owner: str) -> None:
        if self.probes.get(account, ("", 0.0))[0] == owner:
            del self.probes[account]

    async def publish_breaker(self, account: str, notice: BreakerNotice | None) -> None:
        await self._world.ask("ledger", "tell of a breaker", partial(self._tell, account, notice))

    def _tell(self, account: str, notice: BreakerNotice | None) -> None:
        if notice is None:
            self.breakers.pop(account, None)
            self._opened.pop(account, None)
        else:
            self.breakers[account] = notice
            self._opened.setdefault(account, self._world.loop.now)

    def open_for(self, account: str) -> float | None:
        """For how long the ledger has said that the breaker is open; `None`: it does not."""
        since = self._opened.get(account)
        return None if since is None else self._world.loop.now - since

    def operate(self, target: Target, *, pause: bool) -> None:
        """What an operator's command does."""
        if pause:
            self.paused.setdefault(target, Pause("asked for", "somebody", self._world.loop.now))
        else:
            self.resumed[target] = round(self._world.loop.now * 1000)
            self.paused.pop(target, None)
