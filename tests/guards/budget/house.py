"""Workers with the budget's gates, on the real bus, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from callboard.actors.code import AgentCode
from callboard.actors.state import RunState
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.config.guards import BudgetSettings, GuardSettings, Price
from callboard.guards.budget.gate import budget_gates
from callboard.guards.speaking import speaking
from callboard.models.registry import open_model
from callboard.supervisors.dispatcher import Dispatcher
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import CLOCK, Fleet, ports, scripted

PRICE = Price(input=1.0, output=10.0)
"""Micro-dollars a token."""


def spender(
    name: str, *turns: Any, budget: dict[str, Any] | None = None, price: Price | None = PRICE, output: int = 1_000,
    **more: Any,
) -> AgentCode:  # fmt: skip
    """An agent that plays ``turns``, with a price, and a budget."""
    code = scripted(name, *turns, **more)
    model = code.spec.model.model_copy(update={"price": price, "max_output": output})
    guards = GuardSettings(budget=BudgetSettings.model_validate(budget or {}))
    return replace(code, spec=code.spec.model_copy(update={"model": model, "guards": guards}))


def turn(input: int = 100, output: int = 90, *, text: str = "ok", **more: Any) -> dict[str, Any]:  # noqa: A002 - the word of the script
    """A turn that uses so many tokens: at ``PRICE`` it costs ``input + 10 * output`` micro-dollars."""
    return {"text": text, "usage": {"input": input, "output": output}, **more}


def uses(*names: str, **more: Any) -> dict[str, Any]:
    """A turn that calls tools."""
    return turn(tools=[{"name": name} for name in names], text="", **more)


class House(Fleet):
    """A fleet whose workers ask the budget."""

    open_model: Any = staticmethod(open_model)

    async def worker(self, *, slots: int = 100, name: str = "w") -> Worker:
        started = anyio.Event()
        box: list[Worker] = []

        async def live() -> None:
            async with (
                open_bus(bus_url(), subjects=self.subjects, name=name) as own,
                speaking(own.guard_log) as say,
                budget_gates(own, say) as gates,
            ):
                worker = Worker(
                    self.agents, replace(ports(own), gates=gates), name=name, slots=slots, open_model=self.open_model
                )
                box.append(worker)
                async with worker:
                    started.set()
                    await worker.drained.wait()

        self.group.start_soon(live)
        await started.wait()
        self.workers.append(box[0])
        return box[0]

    async def run(self, agent: str, given: Any = "go", **more: Any) -> RunState:
        """A run, to its end."""
        return await self.over(await self.submit(agent, given, **more))

    async def settled(self) -> None:
        """Return when no worker holds a task: what it had to settle is settled."""
        with anyio.fail_after(20):
            while any(worker.held for worker in self.workers):  # noqa: ASYNC110 - nothing announces it
                await anyio.sleep(0.01)

    async def said(self, count: int = 1) -> list[Any]:
        """What the budget said, once it has said so much."""
        with anyio.fail_after(20):
            while True:
                events = [event for _, event in await self.bus.guard_log.events(guard="budget")]
                if len(events) >= count:
                    return events
                await anyio.sleep(0.02)


@asynccontextmanager
async def house(
    *agents: AgentCode, workers: int = 1, slots: int = 100, open_model: Any = open_model
) -> AsyncIterator[House]:
    async with fresh_bus() as connection:
        subjects = connection.subjects
        async with open_bus(bus_url(), subjects=subjects, name="client") as bus, anyio.create_task_group() as group:
            dispatcher = Dispatcher(bus.journals, bus.tasks, bus.feed, bus.due, bus.graveyard, CLOCK)
            group.start_soon(dispatcher.run, anyio.Event())
            board = House(bus, subjects, {code.spec.name: code for code in agents}, group)
            board.open_model = open_model
            for index in range(workers):
                await board.worker(name=f"w{index}", slots=slots)
            yield board
            group.cancel_scope.cancel()
