"""Rate gates and limiters on the real bus, and a provider that counts strictly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio

from callboard.actors.actor import running
from callboard.actors.fold import EMPTY
from callboard.actors.gate import Ask, Ending, Grant
from callboard.bus.bus import Bus, open_bus
from callboard.bus.subjects import RunKey, Subjects
from callboard.config.guards import RateLimit
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.guards.rate import wire
from callboard.guards.rate.gate import RateGates, rate_gates
from callboard.guards.rate.limiter import rate_child
from callboard.models.port import ChatRequest
from tests.support.bus import bus_url, fresh_bus

LABEL = "scripted/m"
CHOICE = ModelChoice(provider="scripted", name="m", max_output=100)
SPEC = AgentSpec(name="a", model=CHOICE)
REQUEST = ChatRequest(CHOICE, "", (), (), attempt=1, call="m1", run="r", input="", timeout=20.0)
ASK = Ask(RunKey("t", "r"), SPEC, EMPTY, "model", "m1", 1, LABEL, request=REQUEST)
GOOD = Ending("done", 0.1)


RUNS = count()


def of(tenant: str = "t") -> Ask:
    """The call of another run."""
    return ASK._replace(key=RunKey(tenant, f"r{next(RUNS)}"))


@dataclass
class Board:
    subjects: Subjects
    limits: Mapping[str, RateLimit]
    stack: AsyncExitStack
    bus: Bus
    gates: list[RateGates] = field(default_factory=list)
    buses: list[Bus] = field(default_factory=list)

    async def open(self, name: str) -> Bus:
        return await self.stack.enter_async_context(open_bus(bus_url(), subjects=self.subjects, name=name))

    @asynccontextmanager
    async def limiter(self, name: str = "guard") -> AsyncIterator[None]:
        """A guard process's child, until the body ends; the body begins when somebody answers."""
        async with (
            open_bus(bus_url(), subjects=self.subjects, name=name) as bus,
            running(rate_child(bus, self.limits, name=name)),
        ):
            yield

    async def until(self, predicate: Callable[[], Awaitable[Any]]) -> None:
        """Ask again and again: nobody is told."""
        with anyio.fail_after(20):
            while not await predicate():  # noqa: ASYNC110 - as the docstring says
                await anyio.sleep(0.01)

    async def shared(self, worker: int = 0) -> Grant:
        """Ask until the shared limiter lets a call go; it is over for all when this returns."""
        with anyio.fail_after(20):
            while True:
                grant = await self.gates[worker].admit(ASK)
                assert isinstance(grant, Grant)
                await self.gates[worker].done(ASK, grant, Ending("unstarted"))
                await self.buses[worker].connection.barrier()
                if grant.shared:
                    return grant
                await anyio.sleep(0.05)


@asynccontextmanager
async def board(limit: RateLimit, *, workers: int = 1) -> AsyncIterator[Board]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(fresh_bus())
        limits = {LABEL: limit}
        opened = open_bus(bus_url(), subjects=made.subjects, name="client")
        here = Board(made.subjects, limits, stack, await stack.enter_async_context(opened))
        for number in range(workers):
            bus = await here.open(f"w{number}")
            here.buses.append(bus)
            here.gates.append(await stack.enter_async_context(rate_gates(bus, limits)))
        yield here


async def ask(here: Board, line: str = LABEL) -> wire.Answer:
    """What the limiter answers to a call of nobody."""
    heard: list[wire.Answer] = []
    told = anyio.Event()

    def note(message: Any) -> None:
        heard.append(wire.Answer.model_validate_json(message.payload))
        told.set()

    connection = here.bus.connection
    inbox, subject = connection.new_inbox(), here.subjects.gate("t", "rate")
    take = wire.Take(id=f"x{here.bus.clock.new_id()}", line=line, lease=1.0)
    async with connection.subscribe(inbox, note):
        await connection.publish(subject, take.model_dump_json().encode(), reply=inbox)
        with anyio.fail_after(20):
            await told.wait()
        over = wire.Done(id=take.id, line=line, started=False)
        await connection.publish(subject, over.model_dump_json().encode())
        await connection.barrier()
    return heard[0]
