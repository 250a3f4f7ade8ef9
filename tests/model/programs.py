"""Pure: what the runs of the effects model do. An agent's run is driven by the product's ``decide``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callboard.actors.commands import CallTools, Command, End, Write
from callboard.actors.decide import decide, doubts, request
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Content,
    Effect,
    KnownEvent,
    ModelResponded,
    RunCompleted,
    ToolCall,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec, ToolSpec

from .journals import AT

RUN = RunKey("default", "r0")


@dataclass(frozen=True)
class Program:
    """``next``: what the run does next. ``calls``: its effects; those in ``once`` must not start twice."""

    calls: tuple[str, ...]
    once: frozenset[str]
    next: Callable[[RunState], Command]
    result: Callable[[str], KnownEvent]


def returned(call: str) -> ToolReturned:
    return ToolReturned(call=call, result=Content(value=call))


def agent(*turns: tuple[str, ...], effect: Effect = "at_most_once") -> Program:
    """An agent whose model asks for these tools turn by turn, then answers."""
    tools = tuple(name for turn in turns for name in turn)
    spec = AgentSpec(name="agent", tools=tuple(ToolSpec(name=name, effect=effect) for name in tools))
    models = {f"m{n}": turns[n - 1] if n <= len(turns) else () for n in range(1, len(turns) + 2)}

    def result(call: str) -> KnownEvent:
        if call not in models:
            return returned(call)
        asked = tuple(ToolCall(id=name, name=name) for name in models[call])
        return ModelResponded(call=call, tool_calls=asked)

    def following(state: RunState) -> Command:
        return decide(state, spec, AT, run=RUN)

    return Program((*models, *tools), frozenset() if effect == "idempotent" else frozenset(tools), following, result)


def function(*steps: str, effect: Effect = "at_most_once", looks_for_doubts: bool = True) -> Program:
    """A function worker with these steps, one after the other; a step in doubt is left behind."""

    def following(state: RunState) -> Command:
        if looks_for_doubts and (lost := doubts(state)):
            return Write(lost)
        for name in steps:
            known = state.calls.get(name)
            if known is None or known.status == "open":
                intent = request(state, name, run=RUN, tool=name, effect=effect, in_doubt="continue")
                return CallTools(((ToolCall(id=name, name=name), intent),))
        return End(RunCompleted())

    return Program(steps, frozenset() if effect == "idempotent" else frozenset(steps), following, returned)
