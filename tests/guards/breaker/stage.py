"""Breakers of several workers on the real bus, in this process, with a clock that can be set forward."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import anyio

from callboard.actors.gate import Ask, Ending, Grant
from callboard.actors.passage import answer_of, ended
from callboard.bus.bus import Bus, open_bus
from callboard.clock import SystemClock
from callboard.config.guards import Breaker
from callboard.guards.breaker.gate import BreakerGates, breaker_gates
from callboard.guards.breaker.names import Line, line
from tests.guards.breaker.model_fleet import ASK, SETTINGS
from tests.support.bus import bus_url, fresh_bus

MODEL = Line("_", "model", "p/m")
TOOL = ASK._replace(kind="tool", name="look up", request=None)
FAILED = Ending("failed", 0.1, error="model_overload")
GOOD = Ending("done", 0.1)
SYSTEM = SystemClock()


class TestClock:
    """The machine's clock, ``ahead`` by some seconds."""

    __test__ = False

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return SYSTEM.now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return SYSTEM.monotonic() + self.ahead

    def new_id(self) -> str:
        return SYSTEM.new_id()


@dataclass
class Workers:
    clock: TestClock
    buses: list[Bus]
    gates: list[BreakerGates]

    async def call(self, at: int, ending: Ending, *, ask: Ask = ASK) -> Any:
        """One call to its end; the refusal if it was refused."""
        answer = await answer_of(self.gates[at], ask)
        if isinstance(answer, Grant):
            await ended(self.gates[at], ask, answer, ending)
        return answer

    async def fail(self, at: int, *, times: int = 5, ask: Ask = ASK, ending: Ending = FAILED) -> None:
        for _ in range(times):
            assert isinstance(await self.call(at, ending, ask=ask), Grant)

    async def until(self, phase: str, *, ask: Ask = ASK, at: tuple[int, ...] | None = None) -> None:
        """Until all workers (those at ``at``) see it so."""
        where = line(ask)
        assert where is not None
        with anyio.fail_after(20):
            for number in at if at is not None else range(len(self.gates)):
                await eventually(lambda gates=self.gates[number]: gates.circuit(where).phase == phase)

    def pass_to_probe(self, ask: Ask = ASK) -> None:
        where = line(ask)
        assert where is not None
        self.clock.ahead += (self.gates[0].circuit(where).until - self.clock.now()).total_seconds() + 0.001

    async def events(self, count: int, *, tenant: str = "_") -> list[tuple[str, str]]:
        with anyio.fail_after(20):
            while True:
                found = await self.buses[0].guard_log.events(tenant=tenant, guard="breaker")
                if len(found) >= count:
                    return [(event.action, event.data["state"]) for _, event in found]
                await anyio.sleep(0.01)


async def eventually(predicate: Callable[[], bool]) -> None:
    """Nobody is told when a breaker learns something: it is looked at every millisecond."""
    with anyio.fail_after(20):
        while not predicate():  # noqa: ASYNC110 - as the docstring says
            await anyio.sleep(0.001)


@asynccontextmanager
async def workers(count: int, settings: Breaker = SETTINGS) -> AsyncIterator[Workers]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(fresh_bus())
        clock = TestClock()
        board = Workers(clock, [], [])
        for number in range(count):
            opened = open_bus(bus_url(), subjects=made.subjects, name=f"w{number}")
            bus = replace(await stack.enter_async_context(opened), clock=clock)
            board.buses.append(bus)
            board.gates.append(await stack.enter_async_context(breaker_gates(bus, settings, worker=f"w{number}")))
        yield board
