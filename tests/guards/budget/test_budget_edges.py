"""Budgets at their edges: nothing left for a child, a batch that is larger than what all have together."""

from __future__ import annotations

import anyio

from callboard.actors import effects
from callboard.bus.messages import RunFailed
from callboard.bus.ports import Balance
from callboard.bus.subjects import RunKey
from callboard.tools.tool import tool
from tests.guards.budget.house import house, spender, turn, uses
from tests.guards.budget.test_budget_children import delegates
from tests.guards.budget.test_budget_shared import balance, month


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


async def test_a_child_whose_slice_is_empty_ends_by_its_budget_and_its_parent_goes_on():
    boss = spender(
        "boss", delegates("hand"), turn(text="alone then"), team=("hand",), budget={"run": {"model_calls": 2}}
    )
    hand = spender("hand", turn())
    async with house(boss, hand) as board:
        state = await board.run("boss")
        (child,) = state.children
        assert state.children[child].budget.model_calls == 0
        below = await board.state(RunKey("default", child))
        assert isinstance(below.terminal, RunFailed)
        assert below.terminal.problem.kind == "budget"


async def test_a_child_without_tool_calls_left_answers_without_tools():
    budget = {"run": {"tool_calls": 1}}
    boss = spender("boss", uses("look"), delegates("hand"), turn(), tools=(look,), team=("hand",), budget=budget)
    hand = spender("hand", turn(text="done"))
    async with house(boss, hand) as board:
        state = await board.run("boss")
        (child,) = state.children
        assert state.children[child].budget.tool_calls == 0
        assert state.finished[child].outcome == "completed"


async def test_a_batch_larger_than_what_its_tenant_has_left_does_not_wait_for_itself():
    budget = {"run": {"tool_calls": None}, "tenant": {"tool_calls": 3}}
    agent = spender("busy", uses(*["look"] * 10), turn(text="done"), tools=(look,), budget=budget)
    async with house(agent) as board:
        with anyio.fail_after(20):
            state = await board.run("busy")
        assert state.accounts.own.tool_calls == 3
        assert state.terminal.guard == "budget"
        assert state.wrapped


async def test_an_answer_that_its_run_s_end_kept_from_the_journal_is_charged(monkeypatch):
    packing = anyio.Event()

    async def never(value: object, blobs: object) -> None:
        packing.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(effects, "pack", never)
    agent = spender("long", turn(), budget={"tenant": {"usd": 1}})
    async with house(agent) as board:
        key = await board.submit("long", "go")
        with anyio.fail_after(20):
            await packing.wait()
        await board.kill(key)
        state = await board.until(key, lambda state: state.settled)
        await board.settled()
        assert state.accounts.own == (1_000, 100, 90, 1, 0)
        assert await balance(board, month("tenant")) == Balance(1_000)
