"""Budgets at their edges: nothing left for a child, a batch that is larger than what all have together."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from callboard.actors import model_calls
from callboard.actors.fold import replay
from callboard.actors.gate import Answer, Ask, Ending, Grant, NoGate, Refusal
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    ModelRequested,
    ModelResponded,
    Problem,
    Record,
    RunClaimed,
    RunFailed,
    RunKilled,
    Usage,
)
from callboard.bus.ports import Balance, Journals
from callboard.bus.subjects import RunKey
from callboard.config.guards import SharedBudget
from callboard.guards.budget.core import needs, over, shown
from callboard.guards.budget.gate import BudgetGates
from callboard.guards.budget.scopes import RuntimeCap, cap_key
from callboard.guards.budget.shared import Books, SharedRun
from callboard.models.registry import open_model
from callboard.tools.tool import tool
from tests.guards.budget.asks import KEY, ask, spec_of
from tests.guards.budget.house import house, spender, turn, uses
from tests.guards.budget.test_budget_children import delegates
from tests.guards.budget.test_budget_shared import balance, month
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import CLOCK, ports
from tests.support.journals import claimed, journal


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

    monkeypatch.setattr(model_calls, "pack", never)
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


@pytest.mark.parametrize("written", [True, False])
async def test_what_a_lost_worker_held_comes_back_also_where_a_cap_was_set_while_its_run_was_under_way(written):
    spec, runtime = spec_of(), {}
    calls = [(ModelRequested(call=m), ModelResponded(call=m, usage=Usage(cost_usd_micros=70))) for m in ("m1", "m2")]
    before = [claimed(), *calls[0], *calls[1]]
    intent = ModelRequested(call="m3", reserved=Amount(usd_micros=500))
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        books = Books(bus.ledger, CLOCK, runtime)
        lost, state = SharedRun(books, KEY, "lost"), replay(journal(*before))
        assert not lost.accounts(state, spec)
        runtime[cap_key("tenant", tenant=KEY.tenant)] = RuntimeCap(budget=SharedBudget(usd=1))
        accounts = lost.accounts(state, spec)
        await lost.take(ask(spec, state), Amount(usd_micros=500, model_calls=1), accounts)
        entries = [*before, *([intent] if written else []), ("o2", RunClaimed(task=1))]
        state = replay(journal(*entries))
        await SharedRun(books, KEY, "next")._begin(state, accounts)
        assert await bus.ledger.read(KEY.tenant, accounts[0].name) == Balance(state.accounts.own.usd_micros)


async def test_a_cap_that_is_no_more_keeps_nothing_of_a_call_that_was_killed():
    spec, runtime = spec_of(), {cap_key("tenant", tenant=KEY.tenant): RuntimeCap(budget=SharedBudget(usd=1))}
    intent = ModelRequested(call="m1", reserved=Amount(usd_micros=500))
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        gates = BudgetGates(Books(bus.ledger, CLOCK, runtime), bus.journals, lambda *_: None)
        gate, state = gates.enter(KEY), replay(journal(claimed()))
        (account,) = gate.shared.accounts(state, spec)
        await gate.shared.take(ask(spec, state), Amount(usd_micros=500, model_calls=1), [account])
        assert (await bus.ledger.read(KEY.tenant, account.name)).held == 500
        runtime.clear()
        kept = spec.model_dump(mode="json", exclude_defaults=True)
        await gate.leave(replay(journal(claimed(spec=kept), intent, RunKilled())))
        assert await bus.ledger.read(KEY.tenant, account.name) == Balance(500)


class Generous(NoGate):
    """Refuses the first call, and gives more while the turn that wraps up is asked for."""

    def __init__(self, journals: Journals) -> None:
        self.journals, self.raised = journals, anyio.Event()
        self.asked: list[bool] = []
        self.ended: list[str] = []

    def folded(self, sequence: int, record: Record | None) -> None:
        if record is not None and any(isinstance(event, BudgetRaised) for event in record.events):
            self.raised.set()

    async def admit(self, ask: Ask) -> Answer:
        self.asked.append(ask.wrap_up)
        if len(self.asked) == 1:
            return Refusal("budget", Problem(kind="budget", message="no more"), wrap_up=True)
        if ask.wrap_up:
            raised = Record(id="raised", at=CLOCK.now(), events=(BudgetRaised(more=Amount(usd_micros=1)),))
            await self.journals.signal(ask.key, raised)
            with anyio.fail_after(20):
                await self.raised.wait()
        return Grant()

    async def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:
        self.ended.append(ending.how)


async def test_a_turn_is_not_the_last_one_if_more_is_given_before_it_starts():
    async with house(workers=0) as board, open_bus(bus_url(), subjects=board.subjects, name="own") as own:
        gate, agent = Generous(board.bus.journals), spender("slow", turn(text="done"))
        asking = replace(ports(own), gates=gate)
        async with Worker({"slow": agent}, asking, name="w", slots=1, open_model=open_model):
            state = await board.over(await board.submit("slow", "go"))
        assert (state.outcome, state.wrapped) == ("completed", False)
        assert (gate.asked, gate.ended) == ([False, True, False], ["unstarted", "done"])


def test_an_intent_that_is_written_once_more_is_not_counted_twice():
    spec = spec_of(run={"model_calls": 3})
    first = (ModelRequested(call="m1"), ModelResponded(call="m1"))
    state = replay(journal(claimed(), *first, ModelRequested(call="m2")))
    again = ask(spec, state)._replace(call="m2")
    assert over(again, needs(again)) is None
    other = again._replace(attempt=2)
    assert over(other, needs(other)) is not None


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (99, "$0.000099"),
        (13_333, "$0.0133"),
        (500_000, "$0.50"),
        (2 * 10**9, "$2,000.00"),
    ],
)
def test_no_amount_but_nothing_is_shown_as_nothing(micros: int, text: str) -> None:
    assert shown("usd_micros", micros) == text
