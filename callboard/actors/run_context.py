"""Shell: what a function worker's code is handed: ``run.step``, ``run.sleep``, ``run.spawn``, ``run.wait``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, overload

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from pydantic import JsonValue

from callboard.actors.children import Child, result_of
from callboard.actors.code import Ports
from callboard.actors.contents import pack, unpack
from callboard.actors.decide import limit_reached, request
from callboard.actors.effects import context_of, within_deadline
from callboard.actors.gate import Ask, Grant
from callboard.actors.identity import child_id, idempotency_key
from callboard.actors.owner import Owner
from callboard.actors.ownership import Paused
from callboard.actors.parking import Parking
from callboard.actors.passage import Passage, answer_of
from callboard.actors.pauses import with_alarms
from callboard.actors.spawning import child_of, free_at, refused
from callboard.actors.standstill import HELD_SECONDS, until_go
from callboard.actors.state import RERUN, Call, arrived
from callboard.actors.steps import perform
from callboard.actors.suspend import Idle, publish_child
from callboard.bus.messages import (
    Content,
    DoubtPolicy,
    Effect,
    Problem,
    TimerSet,
    ToolRequested,
    ToolReturned,
    Wait,
)
from callboard.bus.subjects import Lane
from callboard.config.spec import AgentSpec
from callboard.errors import StepInDoubt, ToolError
from callboard.log import get_logger
from callboard.tools.execute import json_value

_NOT_TOKEN: Final = re.compile(r"[^A-Za-z0-9_-]")
_TIMER_NAME: Final = 50
_TOGETHER_SECONDS: Final = 0.002


class RunContext:
    """One play of a function. Values that come from it are JSON, the same on the first play and on every later one."""

    def __init__(self, owner: Owner, *, spec: AgentSpec, ports: Ports, idle: Idle) -> None:
        self._owner = owner
        self._spec = spec
        self._ports = ports
        self._idle = idle
        self._parking = Parking()
        self._timer: asyncio.TimerHandle | None = None
        self._unwritten = anyio.Event()
        self._over = False
        self.log = get_logger("callboard.run")

    @property
    def id(self) -> str:
        """The run's id."""
        return self._owner.key.run

    @property
    def tenant(self) -> str:
        """The run's tenant."""
        return self._owner.key.tenant

    @property
    def attempt(self) -> int:
        """How many workers have taken up the run so far, this one included."""
        return self._owner.view.claims

    @property
    def deadline(self) -> datetime | None:
        """When the run ends whatever it does, aware UTC."""
        return None if self._owner.view.created is None else self._owner.view.created.deadline

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return within_deadline(self._owner, float("inf"), self._ports)

    @property
    def parked(self) -> tuple[tuple[Wait, ...], ...]:
        """What the branches of the function wait for."""
        return with_alarms(self._owner.view, self._parking.waits)

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: object,
        effect: Effect = "at_most_once",
        timeout: float | None = None,
    ) -> Any:
        """Call ``function(*arguments)`` (async, or sync in a thread) and record what it returns; recorded once.

        ``effect`` says what a crash may do: ``pure`` and ``idempotent`` steps start again, the others raise
        ``StepInDoubt`` (``critical``: the run first waits for a person). Raises ``ToolError`` if the function raises,
        on every play. ``timeout`` in seconds, by default the agent's ``limits.tool_timeout``.
        """
        with self._parking.named(name):
            call = self._parking.occurrence(name)
            known = await self._known(call, name)
            if known is not None:
                return await self._outcome(known)
            work = partial(function, *arguments)
            while True:
                await until_go(self._owner, self._parking, self._ports.clock)
                with suppress(Paused):  # just now
                    return await self._perform(call, name, work, effect=effect, timeout=timeout)

    def key(self, name: str) -> str:
        """The idempotency key of the next step called ``name``: the same on every attempt of that step."""
        return idempotency_key(self._owner.key, self._parking.upcoming(name))

    async def sleep(self, seconds: float, name: str = "sleep") -> None:
        """Sleep. Longer ones suspend the run: no worker holds it, and it survives every restart."""
        timer = self._parking.occurrence(_NOT_TOKEN.sub("-", name)[:_TIMER_NAME], "-")
        if timer not in self._owner.view.timers:
            await checkpoint_if_cancelled()  # code that cleans up behind a cancellation starts nothing
            await self._within_limits()
            self._fact(TimerSet(timer=timer, at=self._ports.clock.now() + timedelta(seconds=seconds)))
        left = self._left(timer)
        if left > HELD_SECONDS:
            # as long as another branch holds the worker, nobody else looks at the clock
            with anyio.move_on_after(left):
                await self._park((Wait(kind="timer", name=timer),))
        elif left > 0:
            with self._parking.holding():
                await anyio.sleep(left)

    async def spawn(self, agent: str, task: object, *, name: str | None = None, lane: Lane | None = None) -> Child:
        """Start a child run of ``agent``. It shares the tenant, the deadline and the end: kills travel down.

        Waits when the run spawns faster than ``limits.spawn_rate``. Raises ``ToolError`` beyond ``limits.depth``,
        ``limits.children`` and ``limits.cycles``.
        """
        call = self._parking.occurrence(name or f"spawn {agent}")
        child = child_id(self.id, call)
        if child not in self._owner.view.children:
            given = await pack(json_value(task), self._ports.blobs)
            now = await self._room_for(agent)
            self._owner.defer(
                child_of(self._owner.view, self._spec, (child, call), agent=agent, given=given, lane=lane, at=now)
            )
            await self._owner.flush()
        spawned = self._owner.view.children[child]
        await publish_child(self._owner, spawned, ports=self._ports, idle=self._idle)
        return Child(child, agent)

    @overload
    async def wait(self, child: Child, /) -> Any: ...
    @overload
    async def wait(self, child: Child, second: Child, /, *more: Child) -> list[Any]: ...
    async def wait(self, *children: Child) -> Any:
        """The results of child runs, in the order given. Raises ``RunFailed`` or ``RunKilled`` for one without."""
        await self._park(tuple(Wait(kind="child", name=child.id) for child in children))
        results = [await result_of(child, self._owner.view.finished[child.id], self._ports) for child in children]
        return results[0] if len(results) == 1 else results

    async def signal(self, name: str) -> JsonValue:
        """Wait until somebody sends the signal ``name`` to the run, and return its value."""
        await self._park((Wait(kind="signal", name=name),))
        return self._owner.view.signals[name].value

    @asynccontextmanager
    async def playing(self) -> AsyncGenerator[None]:
        """Write facts in the background while the body plays; leave the body when the run is to be suspended."""
        self._owner.on_signal = self._parking.wake
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._write_facts)
            self._write_soon()  # the claim, at first
            try:
                with anyio.CancelScope() as play:
                    self._parking.on_leave = play.cancel
                    yield
            finally:
                self._over = True
                if self._timer is not None:
                    self._timer.cancel()
                self._write_now()

    async def _write_facts(self) -> None:
        while not self._over:
            await self._unwritten.wait()
            self._unwritten = anyio.Event()
            if not self._over:
                await self._owner.flush()

    def _write_soon(self) -> None:
        """Write what is deferred unless something else has done so by then: most facts travel with the next intent."""
        if self._timer is None:  # a timer, because waking a task for every fact costs more than the fact
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self._write_now)

    def _write_now(self) -> None:
        self._timer = None
        if self._owner.behind or self._over:
            self._unwritten.set()

    async def _known(self, call: str, name: str) -> Call | None:
        """The call if it has its outcome, None if it may be performed. A doubt that a person resolves is waited for."""
        while True:
            known = self._owner.view.calls.get(call)
            if known is None or known.status in ("open", "retry"):
                return None
            if known.status == "done":
                return known
            if known.policy != "ask":
                raise StepInDoubt(
                    call, f"step {name!r} was started by a worker that was lost; look whether it took effect"
                )
            await self._park((Wait(kind="resolution", name=call),))

    async def _outcome(self, known: Call) -> JsonValue:
        if known.problem is not None:
            raise ToolError(known.problem.kind, known.problem.message)
        return await unpack(known.result, self._ports.blobs)

    async def _perform(
        self, call: str, name: str, work: partial[Any], *, effect: Effect, timeout: float | None
    ) -> JsonValue:
        await self._within_limits()
        policy: DoubtPolicy = "ask" if effect == "critical" else "continue"
        intent = request(
            self._owner.view, call, run=self._owner.key, tool=name, effect=effect, in_doubt=policy, timeout=timeout
        )
        owner, spec, attempt = self._owner, self._spec, intent.attempt
        ask = Ask(owner.key, spec, owner.view, "step", call, attempt, name, effect,
            pending=owner.unwritten, commit=owner.flush)  # fmt: skip
        with self._parking.holding():
            answer = await answer_of(owner.gate, ask)
            if isinstance(answer, Grant):
                async with Passage(owner.gate, ask, answer, self._ports.clock) as passage:
                    value, problem = await self._effect(work, intent, passage, timeout)
            else:
                value, problem = None, answer.problem
            content = Content() if problem else await pack(value, self._ports.blobs)
            self._fact(ToolReturned(call=call, result=content, problem=problem))
            if effect not in RERUN:
                await self._owner.flush()
        if problem is not None:
            raise ToolError(problem.kind, problem.message)
        return value

    async def _effect(
        self, work: partial[Any], intent: ToolRequested, passage: Passage, timeout: float | None
    ) -> tuple[JsonValue, Problem | None]:
        async with self._owner.armed(intent) as window:
            seconds = within_deadline(self._owner, timeout or self._spec.limits.tool_timeout, self._ports)
            context = context_of(self._owner, intent, timeout=seconds, window=window)
            passage.start()
            value, problem = await perform(work, context, name=intent.tool)
            await passage.end(problem.kind if problem else "")
        return value, problem

    async def _room_for(self, agent: str) -> datetime:
        """Wait until the run may spawn a child of ``agent``: now. Raises ``ToolError`` if it never may."""
        while True:
            await checkpoint_if_cancelled()
            await self._within_limits()
            await until_go(self._owner, self._parking, self._ports.clock)
            now = self._ports.clock.now()
            if problem := refused(self._owner.view, self._spec.limits, agent):
                raise ToolError(problem.kind, problem.message)
            if (free := free_at(self._owner.view, self._spec.limits, now)) is None:
                return now
            self.log.warning("the run spawns too fast, it waits", run=self.id, limit=self._spec.limits.spawn_rate)
            await self.sleep((free - now).total_seconds(), "spawn-rate")

    async def _within_limits(self) -> None:
        """Leave the play for good if the run is out of time or its journal is full: the code cannot catch that."""
        if limit_reached(self._owner.view, self._ports.clock.now()):
            self._parking.on_leave()
            await anyio.sleep_forever()

    async def _park(self, group: tuple[Wait, ...]) -> None:
        await self._parking.park(group, self._has)

    def _has(self, wait: Wait) -> bool:
        return arrived(self._owner.view, wait) or (wait.kind == "timer" and self._left(wait.name) <= 0)

    def _left(self, timer: str) -> float:
        due = self._owner.view.timers[timer]
        return 0.0 if due.fired else (due.at - self._ports.clock.now()).total_seconds()

    def _fact(self, fact: TimerSet | ToolReturned) -> None:
        self._owner.defer(fact)
        self._write_soon()
