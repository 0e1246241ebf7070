"""An event loop without I/O, whose time jumps to the next timer, and processes that can be frozen and killed.

Whatever runs belongs to a process through a context variable, which tasks and callbacks inherit. What belongs
to none is the world's: it goes on whatever becomes of the processes.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any

_TRIES_TO_CLOSE = 50


@dataclass(eq=False, slots=True)
class Process:
    """One operating system's process. `steps` counts what it ran; `trap` is called when that is `trap_at`."""

    name: str
    slot: int = 0
    alive: bool = True
    frozen: bool = False
    thaws: int = 0
    steps: int = 0
    trap_at: int = -1
    trap: Callable[[], None] | None = None
    stop: Callable[[], None] = lambda: None
    ready: list["Handle"] = field(default_factory=list)
    due: list["Handle"] = field(default_factory=list)


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
WORLD = Context()
"""What runs in it belongs to no process."""


class Handle:
    """See `asyncio.Handle` and `asyncio.TimerHandle`."""

    __slots__ = ("args", "callback", "context", "gone", "process", "serial", "time")

    def __init__(
        self, time: float, serial: int, callback: Callable[..., object], args: Any, context: Context
    ) -> None:
        self.time = time
        self.serial = serial
        self.callback = callback
        self.args = args
        self.context = context
        self.process = context.get(PROCESS)
        self.gone = False

    def cancel(self) -> None:
        self.gone = True

    def cancelled(self) -> bool:
        return self.gone

    def when(self) -> float:
        return self.time

    def __lt__(self, other: "Handle") -> bool:
        return (self.time, self.serial) < (other.time, other.serial)


class Task(asyncio.Task[Any]):
    """A task whose hash is its serial number, so that sets of tasks iterate the same in every run."""

    def __init__(self, coro: Coroutine[Any, Any, Any], loop: "VirtualLoop", serial: int, **more: Any) -> None:
        self.serial = serial
        self.work = coro
        super().__init__(coro, loop=loop, **more)

    def __hash__(self) -> int:
        return self.serial


class VirtualLoop(asyncio.AbstractEventLoop):
    """Run it with `run`, then `bury` what is left. `now` is its time in seconds, from 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self._ready: deque[Handle] = deque()
        self._timers: list[Handle] = []
        self._serial = 0
        self._tasks: list[Task] = []
        self._over = False
        self.complaints: list[dict[str, Any]] = []

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._over

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> Task:
        self._serial += 1
        task = Task(coro, self, self._serial, name=name or "task", context=context)
        self._tasks.append(task)
        return task

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        handle = Handle(self.now, 0, callback, args, copy_context() if context is None else context)
        if not self._over:
            self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        self._serial += 1
        handle = Handle(when, self._serial, callback, args, copy_context() if context is None else context)
        if not self._over:
            heapq.heappush(self._timers, handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + max(delay, 0.0), callback, *args, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    # What the world asks of it.

    def later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        """Call back on behalf of no process."""
        handle: Handle = self.call_at(self.now + delay, callback, *args, context=WORLD)
        return handle

    def run(self, over: Callable[[], bool], until: float, most_steps: int) -> bool:
        """Run until `over`, asked whenever time passes; False when it is not by `until`, or idle."""
        events._set_running_loop(self)
        try:
            while not over():
                if not self._pass_time(until):
                    return False
                self._run_ready(most_steps)
                if self.steps >= most_steps:
                    return False
            return True
        finally:
            events._set_running_loop(None)

    def _pass_time(self, until: float) -> bool:
        timers = self._timers
        if not self._ready:
            while timers and timers[0].gone:
                heapq.heappop(timers)
            if not timers or timers[0].time > until:
                return False
            self.now = max(self.now, timers[0].time)
        while timers and timers[0].time <= self.now:
            handle = heapq.heappop(timers)
            process = handle.process
            if handle.gone:
                continue
            if process is not None and process.frozen:
                process.due.append(handle)
            else:
                self._ready.append(handle)
        return True

    def _run_ready(self, most_steps: int) -> None:
        ready = self._ready
        while ready and self.steps < most_steps:
            handle = ready.popleft()
            process = handle.process
            if handle.gone:
                continue
            if process is not None:
                if not process.alive:
                    continue
                if process.frozen:
                    process.ready.append(handle)
                    continue
                process.steps += 1
                if process.steps == process.trap_at and process.trap is not None:
                    ready.appendleft(handle)
                    process.trap()
                    continue
            self.steps += 1
            handle.context.run(handle.callback, *handle.args)

    def thaw(self, process: Process) -> None:
        """Let it go on: what it was told meanwhile comes first, then its timers, as in asyncio's own loop."""
        process.frozen = False
        process.thaws += 1
        self._ready.extend(process.ready)
        self._ready.extend(process.due)
        process.ready, process.due = [], []

    def bury(self) -> None:
        """End all tasks without effect and without noise."""
        self._over = True
        self._ready.clear()
        self._timers.clear()
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False
                _close(task.work)
            elif not task.cancelled():
                task.exception()
        self._tasks.clear()


def _close(work: Any) -> None:
    """Close a coroutine, after those that it waits for: they wait again while they clean up, in vain."""
    for _ in range(_TRIES_TO_CLOSE):
        if isinstance(work.cr_await, CoroutineType):
            _close(work.cr_await)
        try:
            work.close()
        except RuntimeError:
            continue
        except BaseException:
            return
        return
