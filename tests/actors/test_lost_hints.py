"""Hints are lossy: whatever was published while a connection was away is found when it is back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from callboard.actors.fold import replay
from callboard.actors.kill import Killer
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import ModelRequested, Record, RunClaimed, RunCreated, RunKilled, Task
from callboard.bus.ports import Stored
from callboard.bus.server import embedded_server
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.errors import BusUnreachable
from tests.support.fleet import CLOCK, fleet, ports, scripted

KEY = RunKey("default", "r1")


async def test_a_kill_that_came_while_the_worker_was_cut_off_stops_its_model_call_once_it_is_back(
    tmp_path: Path,
) -> None:
    slow = scripted("slow", {"text": "late", "delay": 60})
    async with (
        embedded_server(tmp_path, durability="relaxed") as server,
        open_bus(server.url, name="w") as bus,
        Worker({"slow": slow}, ports(bus), name="w") as worker,
    ):
        async with open_bus(server.url, name="client") as client:
            await client.tasks.publish(TaskAddress("default", "slow", "normal", "r1"), Task(input="x"))
            async with client.watch.follow(KEY) as entries:
                async for entry in entries:
                    if replay((entry,)).calls:
                        break
        await server.kill()
        await server.start()
        async with open_bus(server.url, name="killer") as client:  # as a rule it is faster than the worker
            await client.journals.signal(KEY, Record(id="k", at=CLOCK.now(), events=(RunKilled(reason="test"),)))
            with anyio.fail_after(20):
                while worker.held:
                    await anyio.lowlevel.checkpoint()
            assert replay(await client.journals.read(KEY)).settled is not None


class WatchOfALostBus:
    """The bus goes away between the kill and the look at what became of it."""

    @asynccontextmanager
    async def follow(self, key: RunKey, *, after: int = 0) -> AsyncIterator[AsyncIterator[Stored]]:
        raise BusUnreachable("away", retryable=True)
        yield


async def test_a_kill_that_was_accepted_has_a_receipt_although_the_bus_goes_away_behind_it() -> None:
    async with fleet(scripted("slow", {"text": "late"})) as board:
        events = (RunCreated(agent="slow", at=CLOCK.now()), RunClaimed(task=1, worker="w"), ModelRequested(call="m1"))
        await board.bus.journals.append(KEY, Record(id="a", owner="silent", events=events), expect=0)
        receipt = await Killer(board.bus.journals, WatchOfALostBus(), CLOCK).kill(KEY, reason="test", by="test")
        assert receipt.killed
        assert receipt.settled_by == "window"
        assert receipt.settled_at is not None
        assert (receipt.settled_at - receipt.accepted_at).total_seconds() <= 1
