"""Shell: the gates of a worker: as few as its configuration needs, for each is asked before every effect."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from callboard.actors.gate import Gates
from callboard.app.guards import Guarding
from callboard.bus.bus import Bus
from callboard.guards.breaker.gate import breaker_gates
from callboard.guards.budget.gate import budget_gates
from callboard.guards.chain import Chain
from callboard.guards.holds import holding
from callboard.guards.reducer_gate import ReducerGates
from callboard.guards.speaking import speaking


@asynccontextmanager
async def worker_gates(bus: Bus, guarding: Guarding, *, worker: str) -> AsyncGenerator[Gates]:
    """The gates of ``worker``; leave them after it has ended.

    Holds come first, because they may last, then those that look, and last what reserves.
    """
    async with AsyncExitStack() as stack:
        say = await stack.enter_async_context(speaking(bus.guard_log))
        parts: list[Gates] = []
        if guarding.hosted:
            holds = holding(bus.connection, guarding.hosted, say, bus.clock, worker=worker)
            parts.append(await stack.enter_async_context(holds))
            parts.append(ReducerGates(guarding.hosted, bus.journals, say, bus.clock))
        parts.append(await stack.enter_async_context(breaker_gates(bus, guarding.breaker, worker=worker)))
        if guarding.rate_limits:
            from callboard.guards.rate.gate import rate_gates  # noqa: PLC0415 - few have limits, all would wait for it

            parts.append(await stack.enter_async_context(rate_gates(bus, guarding.rate_limits)))
        parts.append(await stack.enter_async_context(budget_gates(bus, say)))
        yield Chain(parts)
