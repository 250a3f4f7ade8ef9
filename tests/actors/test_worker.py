"""Workers and the dispatcher on the real bus."""

from __future__ import annotations

import anyio

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.tools.tool import tool
from tests.support.fleet import fleet, function, scripted


@tool(effect="pure")
async def double(number: int) -> int:
    """Double a number.

    Args:
        number: Which.
    """
    return number * 2


async def test_an_agent_calls_its_tools_and_answers() -> None:
    agent = scripted(
        "calc",
        {"tools": [{"name": "double", "args": {"number": 4}}, {"name": "double", "args": {"number": 5}}]},
        {"text": "{{ results.t1-1 }} and {{ results.t1-2 }} for {{ input }}"},
        tools=(double,),
    )
    async with fleet(agent) as board:
        key = await board.submit("calc", "ada")
        state = await board.over(key)
        assert state.outcome == "completed"
        assert state.terminal.result.value == "8 and 10 for ada"


async def test_a_function_worker_records_its_steps() -> None:
    @worker("adder")
    async def adder(task: dict, run: RunContext) -> int:
        first = await run.step("first", lambda: task["a"] + 1, effect="pure")
        second = await run.step("second", lambda: first + 1, effect="at_most_once")
        await run.sleep(0.05)
        return second

    async with fleet(function(adder)) as board:
        state = await board.over(await board.submit("adder", {"a": 1}))
        assert state.outcome == "completed", state.terminal
        assert state.terminal.result.value == 3


async def test_a_supervisor_agent_joins_its_team() -> None:
    lead = scripted(
        "lead",
        {"tools": [{"name": "delegate", "args": {"agent": who, "task": "go"}} for who in ("left", "right")]},
        {"text": "{{ results.t1-1 }}+{{ results.t1-2 }}"},
        team=("left", "right"),
    )
    async with fleet(lead, scripted("left", {"text": "L"}), scripted("right", {"text": "R", "delay": 0.1})) as board:
        state = await board.over(await board.submit("lead", "x"))
        assert state.outcome == "completed", state.terminal
        assert state.terminal.result.value == "L+R"


async def test_a_long_sleep_holds_no_worker_and_ends() -> None:
    @worker("sleeper")
    async def sleeper(task: object, run: RunContext) -> str:
        await run.sleep(2.5)
        return "awake"

    async with fleet(function(sleeper)) as board:
        key = await board.submit("sleeper", None)
        await board.until(key, lambda state: state.suspended)
        with anyio.fail_after(20):
            while board.workers[0].held:
                await anyio.lowlevel.checkpoint()
        state = await board.over(key)
        assert state.outcome == "completed", state.terminal
        assert state.claims == 2


async def test_a_kill_stops_a_run_in_its_model_call_and_the_receipt_says_so() -> None:
    async with fleet(scripted("slow", {"text": "late", "delay": 30})) as board:
        key = await board.submit("slow", "x")
        await board.until(key, lambda state: state.calls)
        receipt = await board.kill(key)
        assert receipt.killed
        assert receipt.settled_by in ("owner", "window")  # a busy owner may take longer than the window
        assert (await board.until(key, lambda state: state.settled)).outcome == "killed"
