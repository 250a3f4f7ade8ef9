"""Shell: tool calls, each behind its intent, each ending as a fact that the model reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import anyio

from callboard.actors.armed import Armed
from callboard.actors.calling import next_turn
from callboard.actors.code import AgentCode, Ports
from callboard.actors.commands import CallTools
from callboard.actors.contents import pack
from callboard.actors.effects import context_of, denied, within_deadline
from callboard.actors.gate import Ask, Refusal
from callboard.actors.owner import Owner
from callboard.actors.passage import Passage, admitted
from callboard.actors.recalling import earlier_result
from callboard.actors.state import Call
from callboard.bus.messages import (
    ModelResponded,
    Problem,
    ToolCall,
    ToolInDoubt,
    ToolRequested,
    ToolResolved,
    ToolReturned,
)
from callboard.config.spec import AgentSpec
from callboard.errors import ToolError
from callboard.log import get_logger
from callboard.tools.execute import ToolResult, execute, verify
from callboard.tools.tool import AnyTool

log = get_logger(__name__)
_VERIFY_SECONDS: Final = 30.0


async def call_tools(owner: Owner, command: CallTools, *, spec: AgentSpec, code: AgentCode, ports: Ports) -> None:
    """Ask the gates, write all intents in one record, run the tools together, write each result as it comes.

    The last result is deferred. What a gate refuses has its outcome at once.
    """
    async with AsyncExitStack() as passages:
        granted: list[tuple[ToolCall, ToolRequested, Passage]] = []
        for asked, intent in command.calls:
            ask = Ask(owner.key, spec, owner.view, "tool", intent.call, intent.attempt, intent.tool,
                effect=intent.effect, arguments=asked.arguments,
                pending=(*owner.unwritten, *(before for _, before, _ in granted)), commit=owner.flush,
            )  # fmt: skip
            answer = await admitted(owner.gate, ask, within=within_deadline(owner, math.inf, ports))
            if answer is None:
                return
            if isinstance(answer, Refusal):
                refuse_tool(owner, intent.call, answer)
            else:
                passage = await passages.enter_async_context(Passage(owner.gate, ask, answer, ports.clock))
                granted.append((asked, intent, passage))
        if granted:
            await _run_tools(owner, granted, spec=spec, code=code, ports=ports)


def refuse_tool(owner: Owner, call: str, refusal: Refusal) -> None:
    """A refused call has its outcome, and if that is the end of the run, the next turn is its last one."""
    owner.defer(ToolReturned(call=call, problem=refusal.problem))
    if refusal.wrap_up:
        owner.defer(denied(next_turn(owner.view), refusal))


async def _run_tools(
    owner: Owner,
    granted: Sequence[tuple[ToolCall, ToolRequested, Passage]],
    *,
    spec: AgentSpec,
    code: AgentCode,
    ports: Ports,
) -> None:
    running = len(granted)

    async def run(asked: ToolCall, intent: ToolRequested, passage: Passage, window: Armed) -> None:
        nonlocal running
        if not await window.opened(within=within_deadline(owner, math.inf, ports)):  # it may have been stopped
            return
        tool = code.tools.get(intent.tool)
        timeout = within_deadline(owner, _timeout(spec, intent.tool), ports)
        passage.start()
        returned = await run_tool(owner, asked, intent, tool=tool, timeout=timeout, window=window, ports=ports)
        await passage.end(returned.problem.kind if returned.problem else "")
        owner.defer(returned)
        running -= 1
        if running:
            await owner.flush()

    intents = tuple(intent for _, intent, _ in granted)
    async with owner.armed(*intents) as armed:
        if running == 1:  # mostly, and a task costs more than the rest of it
            await run(*granted[0], armed)
            return
        async with anyio.create_task_group() as together:
            for asked, intent, passage in granted:
                together.start_soon(run, asked, intent, passage, armed.only(intent))


async def run_tool(
    owner: Owner,
    asked: ToolCall,
    intent: ToolRequested,
    *,
    tool: AnyTool | None,
    timeout: float,
    window: Armed,
    ports: Ports,
) -> ToolReturned:
    """Run one tool whose intent is armed. Whatever it does, the model gets something that it can read."""
    if tool is None:
        hint = "start a worker that has the tool, or take it off the agent's list"
        missing = Problem(kind="tool_unavailable", message=f"this worker has no code for {intent.tool!r}", hint=hint)
        return ToolReturned(call=asked.id, problem=missing)
    earlier = partial(earlier_result, owner, ports.blobs)
    context = context_of(owner, intent, timeout=timeout, window=window, earlier=earlier)
    result = await execute(tool, asked.arguments, context)
    return await returned(asked.id, result, limit=tool.result_limit, ports=ports)


async def returned(call: str, result: ToolResult, *, limit: int, ports: Ports) -> ToolReturned:
    """A tool's result as the fact that goes into the journal."""
    if result.problem_kind is not None:
        problem = Problem(kind=result.problem_kind, message=result.problem_message, hint=result.hint)
        return ToolReturned(call=call, problem=problem)
    return ToolReturned(call=call, result=await pack(result.value, ports.blobs, limit=limit))


async def verify_calls(owner: Owner, calls: tuple[Call, ...], *, code: AgentCode, ports: Ports) -> None:
    """Ask each tool's ``verify`` hook whether the call took effect; what it cannot tell is left to a person."""
    asked = {call.id: call for turn in owner.view.turns if isinstance(turn, ModelResponded) for call in turn.tool_calls}
    for call in calls:
        tool = code.tools.get(call.name)
        timeout = within_deadline(owner, _VERIFY_SECONDS, ports)
        context = context_of(owner, call, timeout=timeout)
        try:
            found = await verify(_needed(tool, call.name), asked[call.call].arguments, context)
        except ToolError as error:
            log.warning("verify could not tell", call=call.call, tool=call.name, problem=str(error))
            owner.defer(ToolInDoubt(call=call.call, policy="ask"))
        else:
            owner.defer(ToolResolved(call=call.call, decision=found.decision, value=found.value, by="verify"))
    await owner.flush()


def _needed(tool: AnyTool | None, name: str) -> AnyTool:
    if tool is None:
        raise ToolError("tool_unavailable", f"this worker has no code for {name!r}")
    return tool


def _timeout(spec: AgentSpec, name: str) -> float:
    tool = spec.tool(name)
    return spec.limits.tool_timeout if tool is None or tool.timeout is None else tool.timeout
