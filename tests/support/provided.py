"""A worker whose agents call a fake provider through the real SDKs, one agent for each wire, on the real bus."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from callboard.actors.code import AgentCode
from callboard.actors.state import RunState
from callboard.actors.worker import Worker
from callboard.app.budgets import Filter, costs
from callboard.app.gates import worker_gates
from callboard.app.guards import Guarding
from callboard.bus.bus import open_bus
from callboard.bus.messages import ModelFailed, ModelRequested, ModelResponded, ToolReturned
from callboard.bus.subjects import RunKey
from callboard.config.guards import Price
from callboard.config.providers import Provider, Providers
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.models.registry import opened_models
from callboard.testing import Rate
from callboard.tools.tool import AnyTool
from tests.support.bus import bus_url
from tests.support.fleet import Fleet, fleet, ports

PRICE = Price(input=3, output=15, cached=0.3, written=3.75)
RATE = Rate(input=3, output=15, cached=0.3, written=3.75)
KEY = "sk-" + "PLACEHOLDER"
WIRES = {"claude": "anthropic", "gpt": "openai", "open": "openai-chat"}
"""Agents, which have the names of their models, and what they speak."""
PRICES = dict.fromkeys(WIRES, RATE)
NO_GUARDS = Guarding(hosted=())
"""Budget and circuit breaker only."""


@dataclass(frozen=True)
class Told:
    """What became of a run, and its model calls as the journal has them: each attempt once."""

    key: RunKey
    state: RunState
    requested: list[ModelRequested]
    failed: list[ModelFailed]
    responded: list[ModelResponded]
    returned: list[ToolReturned]

    @property
    def end(self) -> str:
        """``completed``, or why it failed."""
        problem = getattr(self.state.terminal, "problem", None)
        return str(self.state.outcome) if problem is None else problem.kind


def choice(agent: str, **more: Any) -> ModelChoice:
    """The model of ``agent``."""
    return ModelChoice(provider=WIRES[agent], name=agent, price=PRICE, **more)


def providers(url: str, *, stall: float = 60.0) -> Providers:
    """Where the fake provider is, for all wires."""
    return Providers({
        wire: Provider(wire, KEY, url if wire == "anthropic" else f"{url}/v1", stall_timeout=stall)
        for wire in WIRES.values()
    })  # fmt: skip


def codes(
    tools: Sequence[AnyTool] = (), *, system: str = "", settings: Mapping[str, Mapping[str, Any]] = {}, **limits: Any
) -> dict[str, AgentCode]:
    """An agent for each wire; ``settings`` of their models."""
    by_name = {tool.spec.name: tool for tool in tools}
    specs = tuple(tool.spec for tool in tools)
    return {
        name: AgentCode(
            AgentSpec(
                name=name,
                model=choice(name, settings=settings.get(name, {})),
                system=system,
                tools=specs,
                limits=Limits(**limits),
            ),
            by_name,
        )
        for name in WIRES
    }


@asynccontextmanager
async def working(
    agents: Mapping[str, AgentCode],
    there: str | Providers,
    *,
    guarding: Guarding = NO_GUARDS,
    stall: float = 60.0,
    workers: int = 1,
) -> AsyncGenerator[Fleet]:
    """Workers for ``agents``, whose providers are ``there``: at the address of a fake one, or where they say."""
    known = providers(there, stall=stall) if isinstance(there, str) else there
    async with fleet(*agents.values(), workers=0) as board, AsyncExitStack() as stack:
        for number in range(workers):
            one = _worker(board, known, guarding, name=f"w{number}")
            board.workers.append(await stack.enter_async_context(one))
        yield board


@asynccontextmanager
async def _worker(board: Fleet, there: Providers, guarding: Guarding, *, name: str) -> AsyncGenerator[Worker]:
    choices = [each for code in board.agents.values() for each in code.spec.every_model]
    async with (
        open_bus(bus_url(), subjects=board.subjects, name=name) as bus,
        worker_gates(bus, guarding, worker=name) as gates,
        opened_models(there, choices) as models,
        Worker(
            board.agents, replace(ports(bus), gates=gates, tokens=bus.tokens), name=name, open_model=models.open
        ) as worker,
    ):
        yield worker


async def told(board: Fleet, key: RunKey, *, within: float = 30) -> Told:
    """The run when it is over."""
    state = await board.over(key, within=within)
    events = [event for entry in await board.bus.journals.read(key) for event in entry.record.events]

    def of(kind: Any) -> list[Any]:
        return [event for event in events if isinstance(event, kind)]

    requested = {(event.call, event.attempt): event for event in of(ModelRequested)}  # may be armed again
    return Told(key, state, list(requested.values()), of(ModelFailed), of(ModelResponded), of(ToolReturned))


async def charged(board: Fleet, run: Told, agent: str) -> int:
    """Micro-dollars of a run; the journal's books and ``callboard budget`` agree on them."""
    lines, _ = await costs(board.bus, Filter(run=run.key.run))
    (line,) = [each for each in lines if each.tool == f"{WIRES[agent]}/{agent}"]
    own = run.state.accounts.own
    assert (own.usd_micros, own.model_calls) == (line.used.usd_micros, line.used.model_calls)
    return own.usd_micros
