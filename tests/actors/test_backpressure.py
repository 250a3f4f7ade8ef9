"""A full queue refuses, and whoever is refused waits without holding up those who would make room."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import RunKilled, SignalReceived
from callboard.bus.subjects import RunKey
from tests.support.bus import bus_url
from tests.support.fleet import fleet, function, ports, scripted
from tests.support.queue import limit_queue


async def test_a_parent_that_finds_the_queue_full_leaves_its_slot_to_others_and_goes_on_when_there_is_room() -> None:
    begun, let_go = anyio.Event(), anyio.Event()

    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("child", 7))

    @worker("other")
    async def other(task: object, run: RunContext) -> None:
        begun.set()
        await let_go.wait()

    child = scripted("child", {"text": "seven"})
    async with (
        fleet(function(parent), function(other), child, workers=0) as board,
        open_bus(bus_url(), subjects=board.subjects, name="w") as bus,
    ):
        key = await board.submit("parent", None, lane="high")
        await board.submit("other", None)
        await limit_queue(board.bus.connection, 2)
        board.group.start_soon(Worker(board.agents, ports(bus), name="w", slots=1).run, anyio.Event())
        with anyio.fail_after(10):
            await begun.wait()  # although the worker has one slot, and the parent its task
        assert not (await board.state(key)).suspended
        let_go.set()
        state = await board.over(key)
        assert state.terminal.result.value == "seven"
        board.group.cancel_scope.cancel()


async def test_a_full_queue_holds_up_resumes_and_nothing_else_of_the_dispatcher() -> None:
    @worker("waiter")
    async def waiter(task: object, run: RunContext) -> object:
        return await run.signal("go")

    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("nobody", None))

    async with fleet(function(waiter), function(parent)) as board:
        waiting = [await board.submit("waiter", None, run=f"w{number}") for number in range(70)]
        above = await board.submit("parent", None)
        for key in (*waiting, above):
            await board.until(key, lambda state: state.suspended)
        await limit_queue(board.bus.connection, 1)  # the child's task fills it
        for key in waiting:
            await board.signal(key, SignalReceived(name="go", value=1))
        (child,) = (await board.state(above)).children
        await board.signal(above, RunKilled(reason="test"))
        assert (await board.over(RunKey("default", child))).outcome == "killed"
        await limit_queue(board.bus.connection, 100)
        for key in waiting:
            assert (await board.over(key)).outcome == "completed"
