"""Children of real runs: what they know of the agents above them, and where spawning ends."""

from __future__ import annotations

from datetime import timedelta

import anyio

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.actors.spawning import RATE_WINDOW
from callboard.bus.messages import SignalReceived, TimerFired
from callboard.bus.subjects import RunKey
from callboard.config.spec import Limits
from callboard.errors import ToolError
from tests.support.fleet import fleet, function, scripted


def child_of(state) -> RunKey:
    (child,) = state.children
    return RunKey("default", child)


async def test_children_know_the_agents_above_them_and_a_circle_of_delegation_ends_as_a_result_that_the_model_reads():
    def manager(name: str, other: str):
        delegate = {"tools": [{"name": "delegate", "args": {"agent": other, "task": "you do it"}}]}
        return scripted(name, delegate, {"text": "{{ results.delegate }}"}, team=(other,))

    async with fleet(manager("a", "b"), manager("b", "a")) as board:
        state = await board.over(await board.submit("a", "do it"))
        lineages = []
        while state.children:
            state = await board.over(child_of(state))
            lineages.append((state.created.agent, state.created.lineage, state.created.depth))
        assert lineages == [("b", ("a",), 1), ("a", ("a", "b"), 2), ("b", ("a", "b", "a"), 3)]
        (refused,) = [call.problem for call in state.calls.values() if call.problem is not None]
        assert refused.kind == "delegation_cycle"
        assert "a -> b -> a -> b -> a" in refused.message
        assert state.outcome == "completed"


async def test_a_function_is_told_by_an_error_when_it_may_never_spawn_again_also_when_it_is_played_again():
    @worker("parent", limits=Limits(children=2, cycles=0))
    async def parent(task: object, run: RunContext) -> list[str]:
        refusals = []
        for agent in ("child", "parent", "child", "child"):
            try:
                await run.spawn(agent, None)
            except ToolError as error:
                refusals.append(error.kind)
        await run.signal("go")
        return refusals

    async with fleet(function(parent), scripted("child", {"text": "done"})) as board:
        key = await board.submit("parent", None)
        await board.until(key, lambda state: state.suspended and len(state.finished) == 2)
        await board.signal(key, SignalReceived(name="go"))
        state = await board.over(key)
        assert state.terminal.result.value == ["delegation_cycle", "too_many_children"]
        assert len(state.children) == 2
        assert state.claims >= 2


async def test_branches_that_spawn_at_the_same_time_share_the_limit():
    @worker("parent", limits=Limits(children=5))
    async def parent(task: object, run: RunContext) -> int:
        refused = 0

        async def spawn(number: int) -> None:
            nonlocal refused
            try:
                await run.spawn("child", "x" * 100_000, name=f"n{number}")  # packing it takes a while
            except ToolError:
                refused += 1

        async with anyio.create_task_group() as together:
            for number in range(12):
                together.start_soon(spawn, number)
        return refused

    async with fleet(function(parent), scripted("child", {"text": "done"})) as board:
        state = await board.over(await board.submit("parent", None))
        assert (state.terminal.result.value, len(state.children)) == (7, 5)


async def test_a_function_that_spawns_too_fast_waits_and_holds_no_worker():
    @worker("eager", limits=Limits(spawn_rate=2))
    async def eager(task: object, run: RunContext) -> None:
        for _ in range(3):
            await run.spawn("child", None)

    async with fleet(function(eager), scripted("child", {"text": "done"})) as board:
        key = await board.submit("eager", None)
        state = await board.until(key, lambda state: state.suspended)
        first = min(child.at for child in state.children.values())
        (timer,) = [timer for name, timer in state.timers.items() if name.startswith("spawn-rate")]
        assert len(state.children) == 2
        assert abs(timer.at - first - RATE_WINDOW) < timedelta(seconds=1)
        (name,) = [name for name in state.timers if name.startswith("spawn-rate")]
        await board.signal(key, TimerFired(timer=name))  # too early
        state = await board.until(key, lambda state: state.suspended and len(state.timers) == 3)
        assert len(state.children) == 2
        await board.kill(key)
