"""What runs share is held only under a claim that stands in the journal: nobody would give back what another holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import anyio
import pytest

from callboard.actors.code import AgentCode
from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.actors.worker import Drain, Worker
from callboard.bus.bus import Bus
from callboard.bus.ports import Balance, Posting
from callboard.bus.subjects import RunKey
from callboard.config.guards import BudgetSettings, GuardSettings, SharedBudget
from callboard.guards.budget.gate import BudgetGates
from callboard.guards.budget.scopes import Key, RuntimeCap, cap_key
from callboard.guards.budget.shared import Books
from tests.support.fleet import CLOCK, fleet, function, ports, scripted

ENOUGH = SharedBudget(model_calls=1_000, tool_calls=1_000)
AT_RUN_TIME = {cap_key("tenant", tenant="default"): RuntimeCap(budget=ENOUGH)}


class Looking:
    """The ledger. Says how many entries the journal of the run had at each posting."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.key = RunKey("default", "")
        self.entries: list[int] = []

    async def read(self, tenant: str, account: str) -> Balance:
        return await self.bus.ledger.read(tenant, account)

    async def post(self, tenant: str, account: str, add: Balance, *, once: str, note: str) -> Posting | None:
        self.entries.append(len(await self.bus.journals.read(self.key)))
        return await self.bus.ledger.post(tenant, account, add, once=once, note=note)


@worker("stepper")
async def stepper(task: object, run: RunContext) -> None:
    await run.step("one", lambda: None, effect="idempotent")


def payer(kind: str, budget: SharedBudget | None) -> AgentCode:
    code = scripted("payer", {"text": "paid"}) if kind == "agent" else function(stepper)
    guards = GuardSettings(budget=BudgetSettings(tenant=budget))
    return replace(code, spec=code.spec.model_copy(update={"guards": guards}))


async def entries_at_each_posting(code: AgentCode, runtime: Mapping[Key, RuntimeCap]) -> tuple[list[int], int]:
    """And how many there are in the end."""
    name = code.spec.name
    async with fleet(workers=0) as board:
        ledger = Looking(board.bus)
        gates = BudgetGates(Books(ledger, CLOCK, runtime), board.bus.journals, lambda *_: None)
        ledger.key = await board.submit(name, "x")
        async with Worker({name: code}, replace(ports(board.bus), gates=gates), name="w", slots=4) as worker:
            assert (await board.over(ledger.key)).outcome == "completed"
            worker.address.tell(Drain())
            with anyio.fail_after(20):
                await worker.drained.wait()
        return ledger.entries, len(await board.bus.journals.read(ledger.key))


@pytest.mark.parametrize("kind", ["agent", "function"])
@pytest.mark.parametrize(("budget", "runtime"), [(ENOUGH, {}), (None, AT_RUN_TIME)], ids=["configured", "at run time"])
async def test_the_claim_is_in_the_journal_before_anything_is_held_in_a_budget_that_runs_share(kind, budget, runtime):
    postings, _ = await entries_at_each_posting(payer(kind, budget), runtime)
    assert postings[0] == 1
    assert len(postings) == 2, "held, and settled"


@pytest.mark.parametrize("kind", ["agent", "function"])
async def test_where_nothing_is_shared_the_claim_travels_with_the_first_intent(kind):
    assert await entries_at_each_posting(payer(kind, None), {}) == ([], 2)
