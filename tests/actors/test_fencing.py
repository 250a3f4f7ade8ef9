"""A worker that has lost a run stops working for it, whatever the run's code does, and leaves its task alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import Record, RunClaimed
from tests.support.bus import bus_url
from tests.support.fleet import CLOCK, Fleet, fleet, function, ports


class NoHints:
    """Core NATS on a bad day: every hint is lost."""

    @asynccontextmanager
    async def listen(self, key: object, hear: object, *, owner: object) -> AsyncIterator[None]:
        yield


async def deaf_worker(board: Fleet) -> Worker:
    """A worker whom no hint reaches: it learns what others wrote from its next append."""
    box: list[Worker] = []
    started = anyio.Event()

    async def live() -> None:
        async with (
            open_bus(bus_url(), subjects=board.subjects, name="deaf") as bus,
            Worker(board.agents, replace(ports(bus), hints=NoHints()), name="deaf") as deaf,
        ):
            box.append(deaf)
            started.set()
            await anyio.sleep_forever()

    board.group.start_soon(live)
    await started.wait()
    return box[0]


async def test_a_function_that_catches_everything_is_stopped_once_its_run_has_another_owner() -> None:
    begun, go_on, tries = anyio.Event(), anyio.Event(), []

    async def work() -> None:
        begun.set()
        await go_on.wait()

    @worker("stubborn")
    async def stubborn(task: object, run: RunContext) -> None:
        while True:
            try:
                await run.step("work", work, effect="pure")
            except Exception as error:  # noqa: BLE001 - as users do
                tries.append(error)
                await anyio.sleep(0.01)

    async with fleet(function(stubborn), workers=0) as board:
        deaf = await deaf_worker(board)
        key = await board.submit("stubborn", None)
        with anyio.fail_after(20):
            await begun.wait()
        state = await board.state(key)
        claim = Record(id=CLOCK.new_id(), owner="another", events=(RunClaimed(task=state.task),))
        await board.bus.journals.append(key, claim, expect=state.sequence)
        (attempt,) = deaf._held.values()
        go_on.set()
        with anyio.fail_after(20):
            while deaf.held:
                await anyio.lowlevel.checkpoint()
        assert len(tries) <= 1
        assert not attempt.mine
        assert (await board.state(key)).owner == "another"
        assert await board.bus.tasks.exists(state.task)
