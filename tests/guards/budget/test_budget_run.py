"""The caps of one run, end to end."""

from __future__ import annotations

from callboard.bus.messages import Amount, BudgetRaised, ModelRequested, RunFailed, RunKilled, RunSteered
from callboard.tools.tool import tool
from tests.guards.budget.house import house, spender, turn, uses


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


async def test_a_run_below_its_caps_is_left_alone():
    agent = spender("calm", uses("look"), turn(text="done"), tools=(look,))
    async with house(agent) as board:
        state = await board.run("calm")
        assert state.outcome == "completed"
        assert state.accounts.spent == (2_000, 200, 180, 2, 1)


async def test_a_run_that_spends_is_warned_steered_wrapped_up_and_ends_with_what_it_had():
    budget = {"run": {"usd": 0.05}}
    agent = spender("spender", uses("look"), loop=True, tools=(look,), budget=budget, output=200)
    async with house(agent) as board:
        key = await board.submit("spender", "go")
        state = await board.over(key)
        assert isinstance(state.terminal, RunFailed)
        assert state.terminal.guard == "budget"
        assert state.terminal.problem.kind == "budget"
        assert state.terminal.partial is not None
        assert state.wrapped
        assert state.accounts.spent.usd_micros <= 50_000
        assert state.accounts.spent.usd_micros >= 45_000 - 2_500
        notes = [each for each in state.turns if isinstance(each, RunSteered)]
        assert len(notes) == 1
        assert "left" in notes[0].text
        said = await board.said(3)
        assert [(each.action, each.threshold) for each in said][:2] == [("warn", 0.5), ("nudge", 0.8)]
        assert said[2].action == "deny"
        entries = await board.bus.journals.read(key)
        last = [each for entry in entries for each in entry.record.events if isinstance(each, ModelRequested)][-1]
        assert last.wrap_up


async def test_a_hard_budget_kills():
    budget = {"run": {"usd": 0.01}, "hard": True}
    agent = spender("hard", uses("look"), loop=True, tools=(look,), budget=budget, output=200)
    async with house(agent) as board:
        state = await board.run("hard")
        assert isinstance(state.terminal, RunKilled)
        assert state.terminal.guard == "budget"
        assert state.accounts.spent.usd_micros <= 10_000
        assert (await board.said(3))[-1].action == "kill"


async def test_a_hard_budget_kills_once_however_many_calls_a_turn_makes_beyond_it():
    budget = {"run": {"tool_calls": 1}, "hard": True}
    agent = spender("hard", uses("look", "look", "look"), loop=True, tools=(look,), budget=budget)
    async with house(agent) as board:
        key = await board.submit("hard", "go")
        assert (await board.over(key)).outcome == "killed"
        await board.until(key, lambda state: state.settled)
        entries = await board.bus.journals.read(key)
        kills = [each for entry in entries for each in entry.record.events if isinstance(each, RunKilled)]
        assert [kill.guard for kill in kills] == ["budget"]


async def test_a_tool_call_cap_refuses_the_tools_beyond_it_and_lets_the_run_wrap_up():
    budget = {"run": {"tool_calls": 3}}
    agent = spender("busy", uses("look", "look"), loop=True, tools=(look,), budget=budget)
    async with house(agent) as board:
        state = await board.run("busy")
        assert state.terminal.problem.kind == "budget"
        assert state.terminal.guard == "budget"
        assert state.accounts.own.tool_calls == 3
        assert state.wrapped


async def test_model_calls_are_capped_with_one_kept_for_the_last_word():
    agent = spender("talker", uses("look"), loop=True, tools=(look,), budget={"run": {"model_calls": 4}})
    async with house(agent) as board:
        state = await board.run("talker")
        assert state.terminal.problem.kind == "budget"
        assert state.accounts.own.model_calls == 4
        assert state.wrapped


async def test_a_raised_budget_lets_a_run_go_on():
    agent = spender("waiter", uses("look"), loop=True, tools=(look,), budget={"run": {"model_calls": 3}})
    async with house(workers=0) as board:
        board.agents = {"waiter": agent}
        key = await board.submit("waiter", "go")
        await board.worker()
        await board.until(key, lambda state: state.accounts.own.model_calls >= 1)
        await board.signal(key, BudgetRaised(more=Amount(model_calls=2), by="me"))
        state = await board.over(key)
        assert state.accounts.own.model_calls in (3, 5)  # the signal may have come too late
        assert state.terminal.problem.kind == "budget"
