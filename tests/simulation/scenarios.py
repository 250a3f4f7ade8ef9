"""Shell: what runs in the simulated worlds: small agents and functions whose effects write down that they started."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from callboard.actors.code import AgentCode
from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.messages import RunSteered, SignalReceived
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.errors import ModelError, RunKilled, StepInDoubt, ToolError
from callboard.models.port import AssistantTurn, ChatReply, ChatRequest, ToolCall, Usage
from callboard.supervisors.team import equip
from callboard.tools.context import ToolContext
from callboard.tools.tool import AnyTool, Resolution, tool
from tests.simulation.loop import PROCESS

LIMITS = Limits(attempts=50)
USAGE = Usage()
SECRET = 7
SAID = -1
"""What a person says is the result of a call in doubt."""


def world() -> Any:
    """The world of the process that runs."""
    process = PROCESS.get()
    assert process is not None
    return process.world


# ---- effects ------------------------------------------------------------------------------------------------------
async def effect(context: ToolContext, seconds: float = 0.03) -> int:
    """An effect: it is written down when it starts, takes a while, and returns what its key says."""
    here = world()
    here.started(context.run, context.call, context.key)
    await here.network.pause(seconds * (0.5 + here.loop.rng.random()))
    here.took_effect(context.key)
    return value_of(context.key)


def value_of(key: str) -> int:
    """The result of the call with this idempotency key."""
    return int(key[:6], 16)


@tool(effect="pure")
async def look(context: ToolContext) -> int:
    """Look."""
    return await effect(context)


@tool(effect="idempotent")
async def put(context: ToolContext) -> int:
    """Put."""
    return await effect(context)


@tool(effect="at_most_once")
async def pay(context: ToolContext) -> int:
    """Pay."""
    return await effect(context)


@tool(effect="critical")
async def wire(context: ToolContext) -> int:
    """Wire; a person says what became of it."""
    return await effect(context)


@tool(effect="at_most_once", in_doubt="fail")
async def sign(context: ToolContext) -> int:
    """Sign; in doubt the run fails."""
    return await effect(context)


async def _was_sent(context: ToolContext) -> Resolution:
    await world().network.pause(0.01)
    if world().has_effect(context.key):
        return Resolution("done", value_of(context.key))
    if world().quiet_since(context.run, context.call):
        return Resolution("retry")
    raise ToolError("unknown", "it may be on its way")


@tool(effect="at_most_once", verify=_was_sent)
async def send(context: ToolContext) -> int:
    """Send; a hook can tell whether it was sent."""
    return await effect(context)


@tool(effect="idempotent")
async def crash(context: ToolContext) -> int:
    """Kill the worker."""
    world().started(context.run, context.call, context.key)
    process = PROCESS.get()
    assert process is not None
    world().crash(process)
    await world().network.pause(0.001)
    raise AssertionError("the dead go on")


# ---- models -------------------------------------------------------------------------------------------------------
class SimModel:
    """Implements ``ChatModel``: one turn of tool calls after the other, then a text. It may fail on the way."""

    def __init__(self, turns: list[list[Any]]) -> None:
        self._turns = turns

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatReply, None]:
        here = world()
        here.started(request.run, request.call, "")
        await here.network.pause(here.loop.rng.uniform(0.005, 0.06))
        if here.network.chance(0.03):
            raise ModelError("overload", "busy", retryable=True, retry_after=0.1)
        told = sum(1 for message in request.messages if isinstance(message, AssistantTurn) and message.tool_calls)
        calls = self._turns[told] if told < len(self._turns) else []
        asked = tuple([ToolCall(f"x{at}", name, arguments) for at, (name, arguments) in enumerate(calls)])
        yield ChatReply("" if asked else "done", asked, USAGE, "tool_use" if asked else "end")


MODELS: dict[str, SimModel] = {}


def open_model(choice: ModelChoice) -> SimModel:
    """The models of the agents below, by name."""
    return MODELS[choice.name]


def agent(name: str, *turns: list[Any], tools: tuple[AnyTool, ...] = (), team: tuple[str, ...] = ()) -> AgentCode:
    """An agent that makes the calls of ``turns``, one turn after the other."""
    MODELS[name] = SimModel([[call if isinstance(call, tuple) else (call.spec.name, {}) for call in t] for t in turns])
    spec = AgentSpec(
        name=name,
        model=ModelChoice(provider="scripted", name=name),
        tools=tuple(each.spec for each in tools),
        team=team,
        limits=LIMITS if name != "doomed" else Limits(attempts=2),
    )
    return AgentCode(equip(spec, {}), {each.spec.name: each for each in tools})


def delegate(to: str) -> tuple[str, dict[str, str]]:
    """A delegation."""
    return ("delegate", {"agent": to, "task": "go"})


# ---- functions ----------------------------------------------------------------------------------------------------
async def step(run: RunContext, name: str, kind: Any) -> int | None:
    """A step of kind ``kind``; None if nobody knows what became of it."""
    key = run.key(name)
    context = ToolContext(run=run.id, tenant=run.tenant, call=f"{name}#1", key=key, deadline=60.0)
    try:
        value: int = await run.step(name, effect, context, effect=kind)
    except StepInDoubt:
        return None
    except ToolError as error:
        if error.kind != "resolved_failed":
            raise
        return None
    assert value in (value_of(key), SAID), f"step {name} returned {value}"
    return value


@worker("clerk", limits=LIMITS)
async def clerk(task: Any, run: RunContext) -> str:
    await step(run, "a", "idempotent")
    await run.sleep(0.3)
    await step(run, "b", "at_most_once")
    return "done"


@worker("sleeper", limits=LIMITS)
async def sleeper(task: Any, run: RunContext) -> str:
    await step(run, "a", "at_most_once")
    await run.sleep(2.5)
    await step(run, "b", "critical")
    return "done"


@worker("waiter", limits=LIMITS)
async def waiter(task: Any, run: RunContext) -> str:
    await step(run, "a", "pure")
    answer = await run.signal("go")
    assert answer == SECRET
    await step(run, "b", "at_most_once")
    return "done"


@worker("parent", limits=LIMITS)
async def parent(task: Any, run: RunContext) -> str:
    first = await run.spawn("child", 1)
    second = await run.spawn("child", 2)
    await step(run, "a", "idempotent")
    try:
        assert await run.wait(first, second) == ["done", "done"]
    except RunKilled:
        return "child killed"
    return "done"


@worker("child", limits=LIMITS)
async def child(task: Any, run: RunContext) -> str:
    await step(run, "a", "at_most_once")
    return "done"


# ---- scenarios ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Scenario:
    """The first of ``agents`` gets a task. ``signal`` is sent by somebody at some time."""

    name: str
    agents: tuple[AgentCode, ...]
    signal: Any = None
    fails: str = ""
    """The kind of problem that the run may end with, although nobody killed it."""


def of(function: Any) -> AgentCode:
    """The code of a function worker."""
    return AgentCode(function.spec, function=function)


GO = SignalReceived(name="go", value=SECRET)
NOTE = RunSteered(text="hurry", by="somebody")
SCENARIOS = (
    Scenario("agent", (agent("agent", [look, put], [pay], tools=(look, put, pay)),)),
    Scenario("agent-together", (agent("together", [pay, look, pay], tools=(look, pay)),)),
    Scenario("ask", (agent("asker", [wire], [look, wire], tools=(look, wire)),)),
    Scenario("verify", (agent("verifier", [send], [send], tools=(send,)),)),
    Scenario("fail", (agent("signer", [put, sign], tools=(put, sign)),), fails="in_doubt"),
    Scenario("poison", (agent("doomed", [crash], tools=(crash,)),), fails="poison"),
    Scenario(
        "team",
        (agent("lead", [delegate("hand"), delegate("hand")], team=("hand",)), agent("hand", [pay], tools=(pay,))),
    ),
    Scenario("clerk", (of(clerk),)),
    Scenario("sleeper", (of(sleeper),)),
    Scenario("waiter", (of(waiter),), signal=GO),
    Scenario("parent", (of(parent), of(child))),
)
