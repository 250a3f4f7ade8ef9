"""The agents and functions that are measured. Their own work is nothing, so that what is left is ours."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any

import anyio

from callboard import RunContext, tool, worker
from callboard.actors.code import AgentCode
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.tools.tool import AnyTool

STEPS = 10
TOOL_TURNS = 5
_HOURS = 7_200.0
_TICK = 0.25
FOREVER = Limits(deadline=_HOURS, model_timeout=_HOURS, tool_timeout=_HOURS, attempts=100)


@worker("noop")
async def noop(_task: Any, _run: RunContext) -> str:
    """Nothing but claim and terminal."""
    return "done"


@worker("steps")
async def steps(_task: Any, run: RunContext) -> int:
    """Ten recorded steps that may run again after a crash, as steps of other systems do."""
    return sum([await run.step(f"step-{number}", _number, number, effect="idempotent") for number in range(STEPS)])


@worker("once")
async def once(_task: Any, run: RunContext) -> int:
    """Ten recorded steps that never run twice: each result is in the journal before the next step starts."""
    return sum([await run.step(f"step-{number}", _number, number) for number in range(STEPS)])


async def _number(number: int) -> int:
    return number


@tool(effect="pure")
async def look(at: int) -> str:
    """Look at a number.

    Args:
        at: The number.
    """
    return f"{at} looks fine"


@worker("hold", limits=FOREVER)
async def hold(_task: Any, run: RunContext) -> None:
    """One effect that never ends. Says when it starts and when it is cancelled."""
    await run.step("hold", _hold, run.id, effect="idempotent")


async def _hold(run: str) -> None:
    print("started", run, time.monotonic_ns(), flush=True)
    try:
        await anyio.sleep_forever()
    finally:
        print("cancelled", run, time.monotonic_ns(), flush=True)


@worker("provoke", limits=FOREVER)
async def provoke(_task: Any, run: RunContext) -> None:
    """As ``hold``, and says when its effect is announced: what a guard kills it for."""
    print("provoked", run.id, time.monotonic_ns(), flush=True)
    await run.step("provoke", _hold, run.id, effect="idempotent")


@worker("tick", limits=FOREVER)
async def tick(_task: Any, run: RunContext) -> None:
    """Four effects a second, without end. Each says when it starts."""
    for number in itertools.count():
        await run.step(f"tick-{number}", _tick, run.id, effect="idempotent")


async def _tick(run: str) -> None:
    print("tick", run, time.monotonic_ns(), flush=True)
    await anyio.sleep(_TICK)


@worker("sleep", limits=FOREVER)
async def sleep(_task: Any, run: RunContext) -> None:
    """A long durable sleep: suspends, no worker holds it."""
    await run.sleep(_HOURS / 2)


def agent(name: str, model: ModelChoice, limits: Limits, *tools: AnyTool, system: str = "") -> AgentCode:
    """An agent with a model and tools."""
    spec = AgentSpec(name=name, model=model, system=system, tools=tuple(each.spec for each in tools), limits=limits)
    return AgentCode(spec, tools={each.spec.name: each for each in tools})


def _scripted(*turns: Any) -> ModelChoice:
    return ModelChoice(provider="scripted", settings={"turns": list(turns)})


def agents() -> Mapping[str, AgentCode]:
    """Everything that a benchmark's worker serves, by name."""
    calls: list[Any] = [{"tools": [{"name": "look", "args": {"at": turn}}]} for turn in range(TOOL_TURNS)]
    found = (
        *(AgentCode(code.spec, function=code) for code in (noop, steps, once, hold, provoke, tick, sleep)),
        agent("turns", _scripted(*calls, {"text": "all of them look fine"}), Limits(), look),
        agent("wait", _scripted({"text": "at last", "delay": _HOURS / 2}), FOREVER),
    )
    return {code.spec.name: code for code in found}
