"""Shell: agents that misbehave, one for each guard, and the guards of the storm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import anyio

from callboard.actors.code import AgentCode
from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.app.guards import Guarding
from callboard.bus.guard_words import Missing
from callboard.bus.messages import ModelRequested
from callboard.bus.subjects import RunKey
from callboard.config.guards import (
    Breaker,
    BudgetSettings,
    GuardSettings,
    LoopSettings,
    Price,
    RateLimit,
    RunBudget,
    SharedBudget,
    StuckSettings,
)
from callboard.config.spec import AgentSpec, Limits
from callboard.guards.catalogue import BUILTIN
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.tools import ToolContext, tool
from tests.chaos.starts import RECORDER
from tests.support.fleet import function, scripted

LIMITS = {"attempts": 100}  # a storm of kills is no poison
FAMILY = 2
"""As many children as a breeder may have, and a swarm within a minute."""
DEAD = "dead"
"""The model that nobody answers for while there is a file of this name."""
LIMITED = "limited"
"""The model whose provider allows so many calls a minute."""
ANSWERS = 4
ANY = BudgetSettings(run=RunBudget(usd=None, model_calls=None, tool_calls=None))
"""Slices of slices would end before the circle does."""


# ---- a guard of one's own -----------------------------------------------------------------------------------------
class Quota(Guard[int]):
    """Allows some model calls, and kills before the next one starts."""

    name = "quota"
    missing: ClassVar[Missing] = "closed"
    gates = True

    def start(self, run: RunKey) -> int:
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        if not isinstance(seen.event, ModelRequested) or seen.event.attempt > 1:
            return state, ()
        number = int(seen.event.call[1:])
        return max(state, number), (Verdict("kill", f"call {number}"),) if number > ANSWERS else ()


def _quota(spec: AgentSpec) -> tuple[Quota, Any] | None:
    return (Quota(), "enforce") if spec.name == "gossip" else None


GUARDING = Guarding(
    hosted=(*BUILTIN, Hosted("quota", _quota, missing="closed")),
    breaker=Breaker(open_for=0.5, open_at_most=1.0),
    rate_limits={f"scripted/{LIMITED}": RateLimit(requests=600)},
)


# ---- who is stopped by them ---------------------------------------------------------------------------------------
@tool(effect="pure")
async def stare(context: ToolContext) -> str:
    """See the same each time."""
    RECORDER(RunKey(context.tenant, context.run), context.call, context.key)
    await anyio.sleep(0.01)
    return "seen"


@tool(effect="pure")
async def linger(context: ToolContext) -> str:
    """Take longer than there is time."""
    RECORDER(RunKey(context.tenant, context.run), context.call, context.key)
    await anyio.sleep(60)
    return "late"


@worker("hanger", limits=Limits(model_timeout=0.5, tool_timeout=0.5, **LIMITS))
async def hanger(task: object, run: RunContext) -> None:
    await anyio.sleep(600)


def _calls(*names: str, **more: Any) -> dict[str, Any]:
    return {"tools": [{"name": name} for name in names], "delay": 0.02, **more}


def _delegates(*agents: str) -> dict[str, Any]:
    return {"tools": [{"name": "delegate", "args": {"agent": agent, "task": "go"}} for agent in agents]}


def _guarded(code: AgentCode, **guards: Any) -> AgentCode:
    return replace(code, spec=code.spec.model_copy(update={"guards": GuardSettings(**guards)}))


def _asking(model: str, **limits: Any) -> AgentCode:
    """It has a model of its own, by its own name."""
    code = scripted("caller" if model == DEAD else "hurried", {"text": "ok", "delay": 0.01}, **LIMITS, **limits)
    choice = code.spec.model.model_copy(update={"name": model})
    return replace(code, spec=code.spec.model_copy(update={"model": choice}))


def _spender(name: str, *, hard: bool) -> AgentCode:
    """Its third turn is more than its budget allows. What all of them use is counted on the bus."""
    turn = _calls("stare", usage={"input": 1_000, "output": 100})
    code = scripted(name, turn, tools=(stare,), loop=True, **LIMITS)
    model = code.spec.model.model_copy(update={"price": Price(input=3, output=15), "max_output": 100})
    shared = SharedBudget(usd=900_000, model_calls=1_000_000, tool_calls=1_000_000)
    budget = BudgetSettings(run=RunBudget(usd=0.014), hard=hard, agent=shared)
    return _guarded(replace(code, spec=code.spec.model_copy(update={"model": model})), budget=budget)


def wayward() -> tuple[AgentCode, ...]:
    """One agent for each guard, and those that they spawn."""
    return (
        # closed: while no process judges it, it makes no turn
        _guarded(scripted("looper", _calls("stare"), tools=(stare,), loop=True, **LIMITS),
            loop=LoopSettings(missing="closed")),
        _guarded(scripted("gossip", _calls("stare"), tools=(stare,), loop=True, **LIMITS),
            loop=LoopSettings(mode="shadow")),
        _spender("spender", hard=False),
        _spender("squanderer", hard=True),
        _guarded(function(hanger), stuck=StuckSettings(factor=1.0)),
        scripted("dawdler", _calls("linger"), tools=(linger,), deadline=2.0, **LIMITS),
        scripted("breeder", _delegates("imp", "imp", "imp"), {"text": "ok"}, team=("imp",), children=FAMILY, **LIMITS),
        scripted("swarm", _delegates("imp", "imp", "imp"), {"text": "ok"}, team=("imp",), spawn_rate=FAMILY, **LIMITS),
        scripted("imp", {"text": "ok"}, **LIMITS),
        _guarded(scripted("ping", _delegates("pong"), {"text": "ok"}, team=("pong",), cycles=3, **LIMITS), budget=ANY),
        _guarded(scripted("pong", _delegates("ping"), {"text": "ok"}, team=("ping",), cycles=3, **LIMITS), budget=ANY),
        _asking(DEAD, model_attempts=20),
        _asking(LIMITED),
    )  # fmt: skip
