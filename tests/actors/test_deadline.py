"""A run past its deadline fails, wherever it is: waiting for a provider, for room in the queue, or for its children."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from callboard.actors.function import worker
from callboard.actors.gate import Ask, Grant
from callboard.actors.prefix import head_of
from callboard.actors.run_context import RunContext
from callboard.actors.state import RunState
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import Record, Task
from callboard.bus.subjects import RunKey, TaskAddress
from tests.support.bus import bus_url
from tests.support.fleet import Fleet, fleet, function, ports, scripted
from tests.support.queue import limit_queue


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def fill_the_queue(board: Fleet, *, room: int) -> None:
    """Make the queue take ``room`` more tasks and then refuse."""
    await limit_queue(board.bus.connection, room + 1)
    await board.bus.tasks.publish(TaskAddress("default", "nobody", "low"), Task(input="in the way"))


async def test_a_provider_that_says_come_back_in_an_hour_does_not_hold_a_run_until_its_deadline() -> None:
    agent = scripted("busy", {"text": "x", "fail": {"kind": "rate", "retry_after": 3600}})
    async with fleet(agent) as board:
        state = await board.over(await board.submit("busy", "x", deadline=in_seconds(600)))
        assert state.terminal.problem.kind == "model_rate"
        assert state.terminal.problem.hint == "it asks for 1 h of quiet, and the run's deadline is before that"


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


class Closed:
    """Gates that never answer. Implements ``Gates`` and ``RunGate``."""

    def enter(self, key: RunKey) -> Closed:
        return self

    def folded(self, sequence: int, record: Record | None) -> None:
        """It does not look."""

    async def admit(self, ask: Ask) -> Grant:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async def done(self, ask: Ask, grant: Grant, ending: object) -> None:
        raise AssertionError("nothing was granted")

    async def leave(self, state: RunState) -> None:
        """Nothing is left."""


@pytest.mark.parametrize("agent", ["asks", "steps"])
async def test_a_run_whose_gates_never_answer_fails_at_its_deadline(agent: str) -> None:
    @worker("steps")
    async def steps(task: object, run: RunContext) -> object:
        return await run.step("one", lambda: 1)

    async with (
        fleet(scripted("asks", {"text": "x"}), function(steps), workers=0) as board,
        open_bus(bus_url(), subjects=board.subjects, name="gated") as own,
        Worker(board.agents, replace(ports(own), gates=Closed()), name="gated"),
    ):
        state = await board.over(await board.submit(agent, "x", deadline=in_seconds(1)))
        assert state.terminal.problem.kind == "deadline"


async def test_a_call_that_waits_behind_another_until_its_deadline_is_never_made() -> None:
    code = scripted("behind", {"text": "late"})
    warm = code.spec.model.model_copy(update={"warm": True})
    code = replace(code, spec=code.spec.model_copy(update={"model": warm}))
    async with fleet(code, workers=0) as board:
        there = ports(board.bus)
        async with (
            there.leaders.behind(head_of(warm, code.spec), within=0.0, clock=there.clock),
            Worker({"behind": code}, there, name="w"),
        ):
            state = await board.over(await board.submit("behind", "x", deadline=in_seconds(1.0)))
        assert state.terminal.problem.kind == "deadline"
        assert not state.calls
