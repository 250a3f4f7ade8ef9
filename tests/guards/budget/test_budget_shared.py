"""Budgets that many runs share: never exceeded by concurrency, and nothing stays reserved."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Sequence

import anyio
import pytest

from callboard.actors import model_calls
from callboard.actors.fold import replay
from callboard.actors.history import check
from callboard.actors.owner import Owner
from callboard.actors.ownership import Fact
from callboard.actors.state import RunState
from callboard.actors.worker import Drain
from callboard.bus.ledger import JetStreamLedger
from callboard.bus.messages import RunFailed
from callboard.bus.ports import Balance
from callboard.bus.subjects import RunKey
from callboard.guards.budget.counters import counters
from callboard.guards.budget.scopes import account_name, period_of
from callboard.guards.budget.shared import SharedRun
from callboard.models.port import ChatReply, ChatRequest, TextDelta
from callboard.models.port import Usage as PortUsage
from callboard.models.registry import open_model
from callboard.tools.tool import tool
from tests.guards.budget import mutants
from tests.guards.budget.house import House, house, spender, turn, uses
from tests.guards.budget.test_budget_children import delegates
from tests.support.fleet import CLOCK


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


def month(scope: str, unit: str = "usd_micros", agent: str = "") -> str:
    return account_name(scope, unit, period_of(CLOCK.now(), "month"), agent)


async def balance(board: House, account: str, tenant: str = "default") -> Balance:
    return await board.bus.ledger.read(tenant, account)


async def test_every_scope_and_unit_is_charged_what_the_run_used():
    every = {"usd": 10, "input_tokens": 10_000, "output_tokens": 100_000, "model_calls": 10, "tool_calls": 10}
    budget = {"agent": every, "tenant": every, "global": every}
    agent = spender("calm", uses("look", "look"), turn(), tools=(look,), budget=budget)
    async with house(agent) as board:
        key = await board.submit("calm", "go")
        await board.over(key)
        await board.settled()
        for scope, tenant in (("agent", "default"), ("tenant", "default"), ("global", "_")):
            amounts = [
                await balance(board, month(scope, unit, "calm"), tenant)
                for unit in ("usd_micros", "input_tokens", "output_tokens", "model_calls", "tool_calls")
            ]
            assert amounts == [Balance(2_000), Balance(200), Balance(180), Balance(2), Balance(2)]


async def test_a_tenant_that_has_used_its_budget_up_gets_one_turn_to_wrap_up():
    budget = {"tenant": {"usd": 0.02}, "run": {"usd": None}}
    agent = spender("spender", uses("look"), loop=True, tools=(look,), budget=budget, output=100)
    async with house(agent) as board:
        first, second = await board.run("spender"), await board.run("spender")
        await board.settled()
        assert isinstance(first.terminal, RunFailed)
        assert first.terminal.problem.kind == "budget"
        assert "tenant" in first.terminal.problem.message
        assert first.wrapped
        assert isinstance(second.terminal, RunFailed)
        at = await balance(board, month("tenant"))
        assert at.held == 0
        assert at.spent == first.accounts.own.usd_micros + second.accounts.own.usd_micros <= 20_000
        assert at.spent >= 17_000


class Provider:
    """Bills what it answers; sometimes it fails half way."""

    billed = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatReply, None]:
        chance = random.Random(f"{request.run}/{request.call}/{request.attempt}")
        await anyio.sleep(0.2 + chance.random() * 0.2)
        usage = PortUsage(chance.randrange(1, 60), chance.randrange(1, 5_000))
        Provider.billed += usage.input_tokens + 10 * usage.output_tokens
        yield ChatReply("ok", (), usage, "end")


async def parallel(runs: int) -> tuple[int, Balance, list[RunState]]:
    """Runs of a tenant with a dollar, 32 at a time: the most that was ever spent, and what came of it."""
    Provider.billed = 0
    budget = {"tenant": {"usd": 1.0}, "run": {"usd": None}}
    agent = spender("many", turn(), budget=budget, output=5_000)
    most = 0
    async with house(agent, workers=2, slots=16, open_model=lambda choice: Provider()) as board:

        async def watch() -> None:
            nonlocal most
            while True:
                at = await balance(board, month("tenant"))
                most = max(most, at.spent, Provider.billed)
                await anyio.sleep(0.02)

        board.group.start_soon(watch)
        keys = [await board.submit("many", "go") for _ in range(runs)]
        states = [await board.over(key, within=60) for key in keys]
        await board.settled()
        at = await balance(board, month("tenant"))
        return max(most, at.spent, Provider.billed), at, states


async def test_two_hundred_parallel_runs_never_spend_more_than_their_tenant_has():
    most, at, states = await parallel(200)
    assert most <= 1_000_000
    assert at == Balance(Provider.billed, 0)
    assert at.spent == sum(state.accounts.own.usd_micros for state in states)
    assert at.spent > 850_000
    assert {state.outcome for state in states} == {"completed", "failed"}


async def test_a_budget_that_looks_first_and_adds_afterwards_is_caught(monkeypatch):
    monkeypatch.setattr(SharedRun, "_hold", SharedRun._hold)
    mutants.apply("check_then_act")
    most, _, _ = await parallel(80)
    assert most > 1_000_000


async def reckoned() -> list[str]:
    """What is wrong about the ledger after two runs, a child, and a call that was turned away."""
    shared = {"tenant": {"usd": 5, "tool_calls": 100}, "agent": {"usd": 5, "per": "day"}}
    boss = spender("boss", delegates("hand"), turn(), team=("hand",), budget=shared)
    hand = spender("hand", uses("look"), turn(fail={"kind": "rate", "times": 1}), tools=(look,), budget=shared)
    async with house(boss, hand) as board:
        for agent in ("boss", "hand"):
            assert (await board.run(agent)).outcome == "completed"
        await board.settled()
        journals = {key: await board.bus.journals.read(key) for key in [each.key async for each in board.bus.scan()]}
        states = {key: replay(entries) for key, entries in journals.items()}
        found = counters(await board.bus.ledger.accounts(), states)
        assert len(found) == 4
        assert all(counter.runs for counter in found)
        return [each.message for each in check(journals, counters=found, at_rest=True)]


async def test_the_ledger_has_each_charge_of_the_journals_once():
    assert await reckoned() == []


@pytest.mark.parametrize("mutant", ["charge_twice", "lose_a_charge"])
async def test_a_ledger_that_loses_charges_or_has_them_twice_is_caught(mutant, monkeypatch):
    monkeypatch.setattr(JetStreamLedger, "post", JetStreamLedger.post)
    mutants.apply(mutant)
    wrong = await reckoned()
    assert len(wrong) == 4
    assert all(("lost" if mutant == "lose_a_charge" else "twice") in each for each in wrong)


class Slow:
    """Says something, and goes on for ever."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        yield TextDelta("x" * 100)
        await anyio.sleep_forever()


async def killed(board: House) -> RunState:
    key = await board.submit("slow", "go" * 50)
    await board.until(key, lambda state: state.accounts.pending)
    await board.kill(key)
    state = await board.until(key, lambda state: state.settled)
    await board.settled()
    return state


async def test_a_killed_stream_is_charged_what_it_had_used_and_at_least_its_input():
    agent = spender("slow", turn(), budget={"tenant": {"usd": 1}})
    async with house(agent, open_model=lambda choice: Slow()) as board:
        state = await killed(board)
        assert state.accounts.own.input_tokens == 50
        assert state.accounts.own.output_tokens in (0, 50)
        assert not state.accounts.pending
        assert await balance(board, month("tenant")) == Balance(state.accounts.own.usd_micros)


async def drained(board: House, key: RunKey) -> RunState:
    """The only worker leaves while the model talks."""
    await board.until(key, lambda state: state.accounts.pending)
    board.workers[0].address.tell(Drain(grace=0.05))
    return await board.until(key, lambda state: state.suspended)


async def test_a_stream_that_its_leaving_worker_cuts_off_is_charged_what_it_had_used_and_made_again():
    agent = spender("slow", turn(), budget={"tenant": {"usd": 1}})
    async with house(agent, open_model=lambda choice: Slow()) as board:
        state = await drained(board, key := await board.submit("slow", "go" * 50))
        assert state.accounts.own.input_tokens == 50
        assert state.accounts.own.output_tokens in (0, 50)
        assert not state.accounts.pending
        board.open_model = open_model
        await board.worker()
        over = await board.over(key)
        await board.settled()
        assert over.outcome == "completed"
        assert over.accounts.own.model_calls == 2
        assert over.accounts.own.usd_micros == state.accounts.own.usd_micros + 1_000
        assert await balance(board, month("tenant")) == Balance(over.accounts.own.usd_micros)


async def test_a_call_that_never_started_because_its_worker_left_costs_nothing(monkeypatch):
    async def late(self: Owner, intents: Sequence[Fact]) -> float:
        await self.append(*intents)
        return await anyio.sleep_forever()  # type: ignore[return-value]

    monkeypatch.setattr(Owner, "arm", late)
    async with house(spender("slow", turn())) as board:
        state = await drained(board, await board.submit("slow", "go"))
        assert state.accounts.own == (0, 0, 0, 1, 0)


async def test_a_budget_that_refunds_what_was_cut_off_is_caught(monkeypatch):
    monkeypatch.setattr(model_calls, "interrupted", model_calls.interrupted)
    mutants.apply("refund_to_zero")
    agent = spender("slow", turn(), budget={"tenant": {"usd": 1}})
    async with house(agent, open_model=lambda choice: Slow()) as board:
        assert (await killed(board)).accounts.own.input_tokens == 0
