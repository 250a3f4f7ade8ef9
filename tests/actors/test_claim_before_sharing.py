"""What runs share is held only under a claim that stands in the journal: nobody would give back what another holds."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from callboard.actors.code import AgentCode
from callboard.actors.gate import Ask, Grant, NoGate, RunGate
from callboard.actors.worker import Drain, Worker
from callboard.bus.bus import Bus
from callboard.bus.subjects import RunKey
from callboard.config.guards import BudgetSettings, GuardSettings, SharedBudget
from tests.support.fleet import Fleet, fleet, ports, scripted


class Looking(NoGate):
    """Says how many entries the journal had when the gates were asked first."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.entries: list[int] = []

    def enter(self, key: RunKey) -> RunGate:
        return self

    async def admit(self, ask: Ask) -> Grant:
        self.entries.append(len(await self.bus.journals.read(ask.key)))
        return Grant()


def agent(**budget: object) -> AgentCode:
    code = scripted("payer", {"text": "paid"})
    guards = GuardSettings(budget=BudgetSettings(**budget))
    return replace(code, spec=code.spec.model_copy(update={"guards": guards}))


async def entries_at_the_first_ask(board: Fleet, code: AgentCode) -> int:
    gates = Looking(board.bus)
    async with Worker({"payer": code}, replace(ports(board.bus), gates=gates), name="w", slots=4) as worker:
        assert (await board.over(await board.submit("payer", "x"))).outcome == "completed"
        worker.address.tell(Drain())
        with anyio.fail_after(20):
            await worker.drained.wait()
    return gates.entries[0]


@pytest.mark.parametrize(("budget", "entries"), [({"tenant": SharedBudget(usd=5)}, 1), ({}, 0)])
async def test_a_run_with_a_shared_budget_is_claimed_before_its_gates_are_asked(budget, entries) -> None:
    async with fleet(workers=0) as board:
        assert await entries_at_the_first_ask(board, agent(**budget)) == entries
