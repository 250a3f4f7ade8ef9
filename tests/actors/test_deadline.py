"""A run past its deadline fails, wherever it is: waiting for a provider, for room in the queue, or for its children."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.messages import Task
from callboard.bus.subjects import TaskAddress
from tests.support.fleet import Fleet, fleet, function, scripted
from tests.support.queue import limit_queue


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def fill_the_queue(board: Fleet, *, room: int) -> None:
    """Make the queue take ``room`` more tasks and then refuse."""
    await limit_queue(board.bus.connection, room + 1)
    await board.bus.tasks.publish(TaskAddress("default", "nobody", "low"), Task(input="in the way"))


async def test_a_provider_that_says_come_back_in_an_hour_does_not_hold_a_run_beyond_its_deadline() -> None:
    agent = scripted("busy", {"text": "x", "fail": {"kind": "rate", "retry_after": 3600}})
    async with fleet(agent) as board:
        state = await board.over(await board.submit("busy", "x", deadline=in_seconds(1)))
        assert state.terminal.problem.kind == "deadline"


async def test_an_agent_that_cannot_publish_its_children_fails_at_its_deadline() -> None:
    lead = scripted("lead", {"tools": [{"name": "delegate", "args": {"agent": "left", "task": "go"}}]}, team=("left",))
    async with fleet(lead, scripted("left", {"text": "L"})) as board:
        await fill_the_queue(board, room=1)
        state = await board.over(await board.submit("lead", "x", deadline=in_seconds(1.5)))
        assert state.terminal.problem.kind == "deadline"


async def test_a_function_that_cannot_publish_its_children_fails_at_its_deadline() -> None:
    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("nobody", None))

    async with fleet(function(parent)) as board:
        await fill_the_queue(board, room=1)
        state = await board.over(await board.submit("parent", None, deadline=in_seconds(1.5)))
        assert state.terminal.problem.kind == "deadline"


async def test_a_parent_of_an_agent_that_nobody_serves_fails_at_its_deadline_and_ends_the_child() -> None:
    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("nobody", None))

    async with fleet(function(parent)) as board:
        key = await board.submit("parent", None, deadline=in_seconds(1.5))
        state = await board.over(key)
        assert state.terminal.problem.kind == "deadline"
        (child,) = state.children
        assert (await board.over(type(key)("default", child))).outcome == "killed"


async def test_children_inherit_the_deadline_of_their_parent() -> None:
    @worker("child")
    async def child(task: object, run: RunContext) -> str:
        assert run.deadline is not None
        return run.deadline.isoformat()

    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("child", None))

    deadline = in_seconds(60)
    async with fleet(function(child), function(parent)) as board:
        state = await board.over(await board.submit("parent", None, deadline=deadline))
        assert state.terminal.result.value == deadline.isoformat()
