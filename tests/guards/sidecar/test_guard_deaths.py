"""Guard processes that die under real runs: runs wait for a closed guard, and go on without an open one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from callboard.actors.worker import Worker
from callboard.app.gates import worker_gates
from callboard.app.guards import Guarding
from callboard.bus.bus import open_bus
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import ModelRequested, ToolRequested
from callboard.bus.subjects import RunKey
from callboard.guards.hosted import Hosted
from callboard.guards.pulses import CREDIT
from callboard.tools.tool import tool
from tests.guards.sidecar.test_guard_crashes import Guards
from tests.guards.sidecar.watchers import Journalist, quiet, strict
from tests.support.bus import bus_url
from tests.support.fleet import Fleet, fleet, ports, scripted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


@asynccontextmanager
async def guarded(guard: Hosted, *more: str) -> AsyncIterator[tuple[Fleet, RunKey, Guards]]:
    """A run that goes on and on, whose worker asks ``guard``, of which there is a process."""
    busy = scripted("busy", {"tools": [{"name": "look"}], "delay": 0.02}, tools=(look,), loop=True, turns=5_000)
    async with fleet(busy, workers=0) as board:
        guards = Guards(board.subjects.prefix, *more)
        with guards.running():
            guards.start()
            await Journalist(board.bus).until_pulse(lambda pulse: True, within=30)
            async with (
                open_bus(bus_url(), subjects=board.subjects, name="w1") as own,
                worker_gates(own, Guarding((guard,)), worker="w1") as gates,
                Worker(board.agents, replace(ports(own), gates=gates), name="w1"),
            ):
                key = await board.submit("busy", "go")
                yield board, key, guards
                await board.kill(key)


async def intents(board: Fleet, key: RunKey) -> int:
    entries = await board.bus.journals.read(key)
    events = (event for entry in entries if entry.record for event in entry.record.events)
    return sum(isinstance(event, ModelRequested | ToolRequested) for event in events)


async def beyond(board: Fleet, key: RunKey, count: int) -> int:
    """Return when the run has begun more than ``count`` effects: it goes on."""
    with anyio.fail_after(30):
        while (begun := await intents(board, key)) <= count:  # noqa: ASYNC110 - other processes begin them
            await anyio.sleep(0.02)
    return begun


async def said(board: Fleet, action: str, count: int = 1) -> list[GuardEvent]:
    """What was said of the guard in the name of those who wait for it."""
    with anyio.fail_after(30):
        while True:
            events = [event for _, event in await board.bus.guard_log.events(guard="limit")]
            if len(found := [event for event in events if event.action == action and not event.value]) >= count:
                return found
            await anyio.sleep(0.02)


async def killed(board: Fleet, key: RunKey, guards: Guards) -> int:
    """Kill the process as the machine would. Returns how many effects had begun."""
    guards.processes[-1].kill()
    await anyio.to_thread.run_sync(guards.processes[-1].wait)
    return await intents(board, key)


async def test_runs_wait_for_a_closed_guard_that_is_killed_and_go_on_when_it_is_back() -> None:
    async with guarded(strict(), "closed") as (board, key, guards):
        await beyond(board, key, 3 * CREDIT)
        pauses = len(await said(board, "pause", 0))
        begun = await killed(board, key, guards)
        held = (await said(board, "pause", pauses + 1))[-1]
        assert (held.run, held.acted) == (key.run, True)
        stopped = await intents(board, key)
        assert stopped <= begun + CREDIT + 1
        guards.start()
        await beyond(board, key, stopped + 3 * CREDIT)
        assert "has caught up" in (await said(board, "observe"))[-1].reason


async def test_runs_go_on_without_an_open_guard_that_is_killed_and_it_is_said() -> None:
    async with guarded(quiet(), "open") as (board, key, guards):
        await beyond(board, key, CREDIT)
        begun = await killed(board, key, guards)
        warned = (await said(board, "warn"))[-1]
        assert "runs go on without it" in warned.reason
        await beyond(board, key, begun + 3 * CREDIT)
