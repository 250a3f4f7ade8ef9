"""Questions to the budget, written down shortly."""

from __future__ import annotations

from typing import Any

from callboard.actors.accounts import ZERO, Accounts, Tally
from callboard.actors.conversation import conversation
from callboard.actors.gate import Ask
from callboard.actors.state import RunState
from callboard.bus.messages import Caps, RunCreated
from callboard.bus.subjects import RunKey
from callboard.config.guards import BudgetSettings, GuardSettings, Price
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.models.port import ChatRequest
from tests.support.journals import T0

KEY = RunKey("t1", "r1")
MODEL = ModelChoice(provider="scripted", price=Price(input=1.0, output=10.0, cached=0.5), max_output=100)


def spec_of(model: ModelChoice | None = MODEL, **budget: Any) -> AgentSpec:
    """An agent with a budget; no caps but those given."""
    run = {"usd": None, "model_calls": None, "tool_calls": None, **budget.pop("run", {})}
    settings = BudgetSettings.model_validate({"run": run, **budget})
    return AgentSpec(name="a", model=model, guards=GuardSettings(budget=settings))


def state_of(
    spent: Tally = ZERO, *, children: Tally = ZERO, raised: Tally = ZERO, budget: Caps | None = None, **more: Any
) -> RunState:
    created = RunCreated(agent="a", at=T0, budget=budget)
    return RunState(created=created, accounts=Accounts(spent, children, raised), **more)


def request_of(state: RunState, model: ModelChoice = MODEL, *, text: str = "x" * 20) -> ChatRequest:
    messages = conversation(state, text, run=KEY.run)
    return ChatRequest(model, "", messages, (), 1, "m1", KEY.run, text, 60.0)


def ask(spec: AgentSpec, state: RunState | None = None, *, tool: bool = False, **more: Any) -> Ask:
    state = state_of() if state is None else state
    if tool:
        return Ask(KEY, spec, state, "tool", "t1", 1, "look", **more)
    request = request_of(state, spec.model or MODEL)
    return Ask(KEY, spec, state, "model", "m1", 1, "scripted", request=request, **more)
