"""Workers and a dispatcher on the real bus, in this process, for tests of what they do together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup

from callboard.actors.code import AgentCode, Ports, WorkerFunction
from callboard.actors.fold import replay
from callboard.actors.kill import Killer
from callboard.actors.receipt import Receipt
from callboard.actors.state import RunState
from callboard.actors.worker import Drain, Worker
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import Record, Task
from callboard.bus.subjects import RunKey, Subjects, TaskAddress
from callboard.clock import SystemClock
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.supervisors.dispatcher import Dispatcher
from callboard.supervisors.team import equip
from callboard.tools.tool import AnyTool
from tests.support.bus import bus_url, fresh_bus

CLOCK = SystemClock()


def scripted(
    name: str,
    *turns: Any,
    tools: tuple[AnyTool, ...] = (),
    team: tuple[str, ...] = (),
    loop: bool = False,
    **limits: Any,
) -> AgentCode:
    """An agent that plays ``turns``."""
    spec = AgentSpec(
        name=name,
        model=ModelChoice(provider="scripted", settings={"turns": list(turns), "loop": loop}),
        tools=tuple(tool.spec for tool in tools),
        team=team,
        limits=Limits(**limits),
    )
    return AgentCode(equip(spec, {}), {tool.spec.name: tool for tool in tools})


def function(code: WorkerFunction) -> AgentCode:
    """A function worker's code."""
    return AgentCode(code.spec, function=code)


def ports(bus: Bus) -> Ports:
    """The ports of a worker on ``bus``."""
    return Ports(
        journals=bus.journals,
        tasks=bus.tasks,
        hints=bus.hints,
        timers=bus.timers,
        blobs=bus.blobs,
        graveyard=bus.graveyard,
        clock=CLOCK,
    )


@dataclass
class Fleet:
    """A deployment: submit, look, kill."""

    bus: Bus
    subjects: Subjects
    agents: Mapping[str, AgentCode]
    group: TaskGroup
    workers: list[Worker] = field(default_factory=list)

    async def submit(
        self, agent: str, given: Any, *, run: str | None = None, lane: Any = "normal", **more: Any
    ) -> RunKey:
        run = run or CLOCK.new_id()
        await self.bus.tasks.publish(TaskAddress("default", agent, lane, run), Task(input=given, **more))
        return RunKey("default", run)

    async def state(self, key: RunKey) -> RunState:
        return replay(await self.bus.journals.read(key))

    async def until(self, key: RunKey, predicate: Any, *, within: float = 20) -> RunState:
        """Follow the journal until ``predicate(state)``."""
        state = RunState()
        with anyio.fail_after(within):
            async with self.bus.watch.follow(key) as entries:
                async for entry in entries:
                    state = replay((entry,), state)
                    if predicate(state):
                        return state
        raise AssertionError("the feed ended")

    async def over(self, key: RunKey, *, within: float = 20) -> RunState:
        return await self.until(key, lambda state: state.terminal is not None, within=within)

    async def signal(self, key: RunKey, event: Any) -> int:
        return await self.bus.journals.signal(key, Record(id=CLOCK.new_id(), at=CLOCK.now(), events=(event,)))

    async def kill(self, key: RunKey, reason: str = "test") -> Receipt:
        return await Killer(self.bus.journals, self.bus.watch, CLOCK).kill(key, reason=reason, by="test")

    async def worker(self, *, slots: int = 100, name: str = "w") -> Worker:
        """Start one more worker, on a connection of its own."""
        started = anyio.Event()
        box: list[Worker] = []

        async def live() -> None:
            async with open_bus(bus_url(), subjects=self.subjects, name=name) as own:
                worker = Worker(self.agents, ports(own), name=name, slots=slots)
                box.append(worker)
                async with worker:
                    started.set()
                    await worker.drained.wait()

        self.group.start_soon(live)
        await started.wait()
        self.workers.append(box[0])
        return box[0]

    async def drain(self, worker: Worker) -> None:
        worker.address.tell(Drain())
        with anyio.fail_after(20):
            await worker.drained.wait()


@asynccontextmanager
async def fleet(*agents: AgentCode, workers: int = 1, dispatchers: int = 1) -> AsyncIterator[Fleet]:
    """``workers`` workers and ``dispatchers`` dispatchers for ``agents``, under a prefix of their own."""
    async with fresh_bus() as connection:
        subjects = connection.subjects
        async with open_bus(bus_url(), subjects=subjects, name="client") as bus, anyio.create_task_group() as group:
            for _ in range(dispatchers):
                dispatcher = Dispatcher(bus.journals, bus.tasks, bus.feed, bus.due, bus.graveyard, CLOCK)
                group.start_soon(dispatcher.run, anyio.Event())
            board = Fleet(bus, subjects, {code.spec.name: code for code in agents}, group)
            for index in range(workers):
                await board.worker(name=f"w{index}")
            yield board
            group.cancel_scope.cancel()
