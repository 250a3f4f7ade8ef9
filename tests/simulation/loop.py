"""Shell: an asyncio loop with virtual time. Which ready callback runs next is drawn from the seed; nothing waits.

Processes are contexts: a callback belongs to the process in whose context it was scheduled. The callbacks of a frozen
process are kept for its thaw, those of a dead one for ever: its coroutines never run again, not even a ``finally``.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, Self

from anyio._backends import _asyncio

PROCESS: ContextVar[Process | None] = ContextVar("simulated_process", default=None)
_SPINS = 16
_ROUNDS = 12
_deliver = _asyncio.CancelScope._deliver_cancellation


class SimulationStuck(Exception):
    """The simulated world came to nothing: no callback is ready and no timer runs, or they go round for ever."""


class Process:
    """A simulated OS process: a name, what it has executed, and whether it still runs."""

    def __init__(self, loop: SimLoop, name: str, world: Any = None) -> None:
        self.loop = loop
        self.name = name
        self.world = world
        self.pid = next(loop.pids)
        self.steps = 0
        self.trips: dict[int, Callable[[], None]] = {}
        """What happens to it before its n-th callback."""
        self.dead = False
        self.frozen = False
        self.parked: list[asyncio.Handle] = []
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, self)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have it execute ``coroutine`` as a task."""
        return self.loop.create_task(coroutine, context=self.context)

    def kill(self) -> None:
        """SIGKILL."""
        self.dead = True

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT: what became ready meanwhile runs now."""
        self.frozen = False
        if not self.dead:
            self.loop._ready.extend(self.parked)
            self.parked = []


class SimTask(asyncio.Task):
    """A task whose hash is not its place in memory: sets of tasks have the same order on every replay."""

    def __init__(self, coroutine: Any, *, loop: SimLoop, name: Any = None, context: Context | None = None) -> None:
        self.serial = next(loop.serials)
        super().__init__(coroutine, loop=loop, name=name or "t", context=context)

    def __hash__(self) -> int:
        return self.serial

    def __repr__(self) -> str:
        return f"<task {self.serial}>"


class SimScope(_asyncio.CancelScope):
    """A cancel scope whose hash is the same on every replay."""

    __slots__ = ("serial",)
    serials = count(1)

    def __new__(cls, *, deadline: float = math.inf, shield: bool = False) -> Self:
        scope = object.__new__(cls)
        scope.serial = next(cls.serials)
        return scope

    def __hash__(self) -> int:
        return self.serial


class SimLoop(asyncio.BaseEventLoop):
    """Virtual time, seeded choice among ready callbacks, no I/O."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.limit = 60_000
        self.shuffled = True
        self.disposing = False
        self.raised: list[str] = []
        """What callbacks have raised that are not tasks."""
        self.pids = count(1)
        self.serials = count(1)
        self.tasks: list[SimTask] = []
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self.now

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None) -> SimTask:
        task = SimTask(coro, loop=self, name=name, context=context)
        self.tasks.append(task)  # a strong reference: a dead process's coroutines must not be closed by the collector
        return task

    def _process_events(self, event_list: Any) -> None:
        """There is no I/O."""

    def _write_to_self(self) -> None:
        """There is nobody to wake."""

    def _run_once(self) -> None:
        ready, scheduled, random = self._ready, self._scheduled, self.rng.random
        spins = 0
        while not self._stopping:
            while scheduled and (scheduled[0]._cancelled or scheduled[0]._when <= self.now):
                timer = heapq.heappop(scheduled)
                timer._scheduled = False
                if not timer._cancelled:
                    ready.append(timer)
            if not ready or spins > _SPINS:
                spins = 0
                self._advance(spinning=bool(ready))
                continue
            if self.shuffled and len(ready) > 1:
                ready.rotate(-int(random() * len(ready)))
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is not None and self._held_back(process):
                process.parked.append(handle)
                continue
            self.steps += 1
            if self.steps > self.limit:
                raise SimulationStuck(f"{self.steps} callbacks, and no end at {self.now:.3f} s")
            callback = handle._callback
            spins = spins + 1 if getattr(callback, "__func__", None) is _deliver else 0
            try:
                handle._context.run(callback, *handle._args)
            except Exception as error:  # noqa: BLE001 - a real loop logs it and goes on: nobody would notice
                self.raised.append(f"a callback raised: {error!r}")

    def _advance(self, *, spinning: bool) -> None:
        scheduled = self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if scheduled:
            self.now = max(self.now, scheduled[0]._when)
        elif not spinning or self.disposing:
            raise SimulationStuck(f"nothing is ready and no timer runs at {self.now:.3f} s")

    def _held_back(self, process: Process) -> bool:
        if self.disposing:
            return False
        process.steps += 1
        if process.steps in process.trips and not process.dead and not process.frozen:
            process.trips.pop(process.steps)()
        return process.dead or process.frozen

    def dispose(self, processes: list[Process]) -> None:
        """Unwind what is left; whoever calls a port now is cancelled."""
        self.disposing, self.shuffled, self.limit = True, False, self.steps + 200_000
        for process in processes:
            self._ready.extend(process.parked)
            process.parked = []
        self._settle()  # what was never started cannot be cancelled cleanly
        for _ in range(_ROUNDS):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self._settle()
        for task in self.tasks:
            task._log_destroy_pending = False
        self._ready.clear()
        self._scheduled.clear()

    def _settle(self) -> None:
        self.call_later(0.001, self.stop)
        try:
            self.run_forever()
        except SimulationStuck:
            return


def simulate(seed: int, main: Callable[[SimLoop], Coroutine[Any, Any, Any]], processes: list[Process]) -> Any:
    """Run ``main`` to its end on a fresh loop. ``processes`` is what it has started, to be unwound."""
    SimScope.serials = count(1)
    original = _asyncio.CancelScope
    loop = SimLoop(seed)
    _asyncio.CancelScope = SimScope  # type: ignore[misc]
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main(loop))
    finally:
        try:
            loop.dispose(processes)
        finally:
            _asyncio.CancelScope = original  # type: ignore[misc]
            asyncio.set_event_loop(None)
            loop.close()
