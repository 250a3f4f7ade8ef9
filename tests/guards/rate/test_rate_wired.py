"""A deployment whose file has rate limits shares them: the guard process answers, and its workers ask it."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio

from callboard.actors.actor import running
from callboard.actors.passage import answer_of, ended
from callboard.app.bus_at import BusAt
from callboard.app.gates import worker_gates
from callboard.app.guarding import guards_child
from callboard.app.guards import Guarding
from callboard.bus.bus import open_bus
from callboard.config.guards import RateLimit
from tests.guards.rate.stage import ASK, GOOD, LABEL
from tests.support.bus import bus_url, fresh_bus


async def test_a_worker_asks_the_limiter_of_the_guard_process():
    guarding = Guarding(rate_limits={LABEL: RateLimit(requests=1_000)})
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(fresh_bus())
        at = BusAt((bus_url(),), made.subjects)
        heard = anyio.Event()
        await stack.enter_async_context(running(guards_child(at, guarding, name="guard")))
        opened = open_bus(bus_url(), subjects=made.subjects, name="w")
        bus = await stack.enter_async_context(opened)
        gates = await stack.enter_async_context(worker_gates(bus, guarding, worker="w"))
        await stack.enter_async_context(made.subscribe("_INBOX.>", lambda message: _note(message, heard)))
        with anyio.fail_after(30):
            while not heard.is_set():
                run = gates.enter(ASK.key)
                grant = await answer_of(run, ASK)
                await ended(run, ASK, grant, GOOD)
                await anyio.sleep(0.05)


def _note(message, heard: anyio.Event) -> None:
    if b'"status":"granted"' in message.payload:
        heard.set()
