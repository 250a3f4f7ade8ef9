"""What a call does to the accounts that its run shares, call by call, on a real ledger; and budgets that only say."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.actors.accounts import ZERO
from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import Amount, ModelLateUsage, ModelRequested, RunKilled, Usage
from callboard.bus.ports import Balance
from callboard.guards.budget.core import Over
from callboard.guards.budget.shared import Books, SharedRun
from callboard.tools.tool import tool
from tests.guards.budget.asks import KEY, ask, spec_of
from tests.guards.budget.house import house, spender, uses
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import CLOCK
from tests.support.journals import claimed, extend, journal

HELD = Amount(usd_micros=500)


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


def running() -> RunState:
    return replay(journal(claimed()))


async def taken(bus: Bus, **budget: Any) -> tuple[SharedRun, Any, Any]:
    """A run that has asked for half a thousandth of a dollar: its accounts, its question, and what came of it."""
    spec, state = spec_of(**budget), running()
    run = SharedRun(Books(bus.ledger, CLOCK, {}), KEY, "w1")
    accounts = run.accounts(state, spec)
    asked = ask(spec, state)
    return run, asked, (accounts, await run.take(asked, HELD, accounts))


async def balances(bus: Bus, accounts: Any) -> list[Balance]:
    return [await bus.ledger.read(account.tenant, account.name) for account in accounts]


async def test_what_a_call_used_above_what_was_held_for_it_is_in_the_account_as_soon_as_it_ends() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        run, asked, (accounts, _) = await taken(bus, tenant={"usd": 0.002})
        assert await balances(bus, accounts) == [Balance(0, 500)]
        await run.settle(asked, ZERO._replace(usd_micros=3_000))
        assert await balances(bus, accounts) == [Balance(3_000, 0)]


@pytest.mark.parametrize("first", ["owner", "other"])
async def test_what_the_owner_of_a_killed_run_knew_last_stands_whoever_else_looks_with_less(first: str) -> None:
    """Its task is delivered once more: the other worker has read the kill, and not what came late."""
    cut = journal(claimed(), ModelRequested(call="m1", attempt=1, reserved=HELD), ("", RunKilled(by="guard:budget")))
    usage = Usage(cost_usd_micros=300)
    late = extend(cut, ("", ModelLateUsage(call="m1", attempt=1, usage=usage)))
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner, asked, (accounts, _) = await taken(bus, tenant={"usd": 0.002})
        await owner.settle(asked, ZERO._replace(usd_micros=300))
        other = SharedRun(Books(bus.ledger, CLOCK, {}), KEY, "w2")
        leaving = [(owner, replay(late)), (other, replay(cut))]
        for run, state in leaving if first == "owner" else reversed(leaving):
            await run.leave(state, accounts)
        assert await balances(bus, accounts) == [Balance(300, 0)]


async def test_a_call_that_one_account_refuses_holds_nothing_in_the_others() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        budget = {"agent": {"usd": 1.0}, "tenant": {"usd": 1.0}, "global": {"usd": 0.0004}}
        _, _, (accounts, answer) = await taken(bus, **budget)
        assert isinstance(answer, Over)
        assert len(accounts) == 3
        assert await balances(bus, accounts) == [Balance()] * 3


@pytest.mark.parametrize("scope", ["run", "tenant"])
async def test_a_budget_in_shadow_says_what_it_would_have_refused_and_refuses_nothing(scope: str) -> None:
    budget = {"mode": "shadow", "run": {"usd": None}, scope: {"usd": 0.0015}}
    agent = spender("thrifty", *[uses("look")] * 4, {"text": "done"}, tools=(look,), budget=budget)
    async with house(agent) as board:
        state = await board.run("thrifty")
        assert state.outcome == "completed"
        assert state.accounts.own.usd_micros > 1_500
        said = await board.said()
        assert {(event.mode, event.acted) for event in said} == {("shadow", False)}
