"""The sweeper on the real bus: a run whose task is gone from the queue is released and finished, and no other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.app.node import _open_runs
from callboard.bus.messages import SignalReceived
from callboard.bus.subjects import RunKey
from callboard.supervisors.sweeper import Sweeper
from tests.support.fleet import CLOCK, Fleet, fleet, function


def sweeper(board: Fleet) -> Sweeper:
    return Sweeper(board.bus.journals, board.bus.tasks, lambda: _open_runs(board.bus), CLOCK)


async def lose_the_task(board: Fleet, key: RunKey) -> None:
    """What an operator or a lost disk does."""
    stream = board.subjects.stream("TASKS")
    body = json.dumps({"seq": (await board.state(key)).task}).encode()
    answer = await board.bus.connection.request(f"$JS.API.STREAM.MSG.DELETE.{stream}", body, timeout=10)
    assert json.loads(answer.payload)["success"]


class Held:
    """A function whose first owner holds its run until it is stopped; the next one gets through."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.plays = 0

    async def step(self) -> str:
        self.plays += 1
        if self.plays == 1:
            self.begun.set()
            await anyio.sleep_forever()
        return "done"

    def code(self):
        @worker("held")
        async def held(task: object, run: RunContext) -> object:
            return await run.step("hold", self.step, effect="idempotent")

        return function(held)


async def test_a_run_whose_task_was_deleted_behind_a_dead_worker_is_released_and_finished() -> None:
    held = Held()
    async with fleet(held.code()) as board:
        key = await board.submit("held", None)
        with anyio.fail_after(20):
            await held.begun.wait()
        await board.workers[0].stop()
        await lose_the_task(board, key)
        await board.worker(name="second")
        assert await sweeper(board).sweep() == (key,)
        state = await board.over(key)
        assert state.terminal.result.value == "done"
        assert held.plays == 2


async def test_a_run_whose_task_was_deleted_under_a_living_worker_is_finished_by_the_next_owner() -> None:
    held = Held()
    async with fleet(held.code(), workers=2) as board:
        key = await board.submit("held", None)
        with anyio.fail_after(20):
            await held.begun.wait()
        await lose_the_task(board, key)
        assert await sweeper(board).sweep() == (key,)
        state = await board.over(key)
        assert (state.outcome, state.claims) == ("completed", 2)
        with anyio.fail_after(20):
            while any(each.held for each in board.workers):
                await anyio.lowlevel.checkpoint()


async def test_several_sweepers_at_once_release_a_run_to_one_owner() -> None:
    held = Held()
    async with fleet(held.code(), dispatchers=2) as board:
        key = await board.submit("held", None)
        with anyio.fail_after(20):
            await held.begun.wait()
        await board.workers[0].stop()
        await lose_the_task(board, key)
        await board.worker(name="second")
        async with anyio.create_task_group() as together:
            for _ in range(3):
                together.start_soon(sweeper(board).sweep)
        state = await board.over(key)
        assert (state.outcome, held.plays) == ("completed", 2)


async def test_runs_that_are_held_suspended_queued_or_over_are_left_alone() -> None:
    held = Held()

    @worker("waiter")
    async def waiter(task: object, run: RunContext) -> object:
        return await run.signal("go")

    async with fleet(held.code(), function(waiter)) as board:
        await board.submit("held", None)
        suspended, over = await board.submit("waiter", None), await board.submit("waiter", None)
        await board.submit("nobody", None)
        with anyio.fail_after(20):
            await held.begun.wait()
        await board.until(suspended, lambda state: state.suspended)
        await board.until(over, lambda state: state.suspended)
        await board.signal(over, SignalReceived(name="go"))
        await board.over(over)
        assert await sweeper(board).sweep() == ()


async def test_a_sweeper_sweeps_by_itself_until_it_is_stopped() -> None:
    swept = anyio.Event()

    async def scan() -> AsyncIterator[RunKey]:
        swept.set()
        for key in ():
            yield key

    async with fleet(workers=0, dispatchers=0) as board, anyio.create_task_group() as group:
        group.start_soon(Sweeper(board.bus.journals, board.bus.tasks, scan, CLOCK, every=0.01).run, anyio.Event())
        with anyio.fail_after(20):
            await swept.wait()
        group.cancel_scope.cancel()
