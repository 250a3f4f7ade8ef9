"""Children get slices of what their parent has left, and give back what they did not use."""

from __future__ import annotations

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.messages import Caps, ChildSpawned, RunFailed
from callboard.bus.subjects import RunKey
from callboard.tools.tool import tool
from tests.guards.budget.house import house, spender, turn, uses
from tests.support.fleet import function


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


def delegates(*agents: str) -> dict:
    calls = [{"name": "delegate", "args": {"agent": agent, "task": "go"}} for agent in agents]
    return turn(tools=calls, text="")


async def test_two_delegations_of_one_turn_share_fairly_and_give_back_what_is_left():
    boss = spender("boss", delegates("hand", "hand"), turn(), team=("hand",), budget={"run": {"usd": 0.10}})
    hand = spender("hand", uses("look"), turn(), tools=(look,))
    async with house(boss, hand) as board:
        key = await board.submit("boss", "go")
        state = await board.over(key)
        assert state.outcome == "completed"
        spawned = [
            event
            for entry in await board.bus.journals.read(key)
            for event in entry.record.events
            if isinstance(event, ChildSpawned)
        ]
        assert [each.budget for each in spawned] == [Caps(usd_micros=29_666, model_calls=32, tool_calls=66)] * 2
        assert state.accounts.spent == (6_000, 600, 540, 6, 2)
        assert state.accounts.children == (4_000, 400, 360, 4, 2)
        child = await board.state(RunKey("default", spawned[0].child))
        assert child.created.budget == spawned[0].budget


async def test_a_child_that_spends_its_slice_ends_as_a_partial_result_and_its_parent_goes_on():
    boss = spender("boss", delegates("hand"), turn(text="alone then"), team=("hand",), budget={"run": {"usd": 0.06}})
    hand = spender("hand", uses("look"), loop=True, tools=(look,), output=200)
    async with house(boss, hand) as board:
        key = await board.submit("boss", "go")
        state = await board.over(key)
        assert state.outcome == "completed"
        (child,) = state.children
        below = await board.state(RunKey("default", child))
        assert isinstance(below.terminal, RunFailed)
        assert below.terminal.problem.kind == "budget"
        assert below.accounts.spent.usd_micros <= state.children[child].budget.usd_micros
        assert state.accounts.children == below.accounts.spent


async def test_what_a_function_spawns_has_a_slice_only_if_the_function_has_caps():
    @worker("free")
    async def free(task: object, run: RunContext) -> str:
        return await run.wait(await run.spawn("hand", "go"))

    hand = spender("hand", turn(text="done"))
    async with house(function(free), hand) as board:
        state = await board.run("free")
        assert state.terminal.result.value == "done"
        (spawned,) = state.children.values()
        assert spawned.budget is None
        assert state.accounts.spent.usd_micros == 1_000
