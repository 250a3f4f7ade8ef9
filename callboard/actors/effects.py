"""Shell: the effects of a run: model calls and tool calls, each behind its intent, each ending as facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

import anyio
from pydantic import JsonValue

from callboard.actors.armed import Armed
from callboard.actors.charges import answered, cut_short, failed, interrupted
from callboard.actors.code import AgentCode, Ports
from callboard.actors.contents import pack
from callboard.actors.conversation import conversation
from callboard.actors.decide import CallModel, CallTools, next_turn
from callboard.actors.gate import Ask, Ending, Refusal
from callboard.actors.owner import Owner
from callboard.actors.passage import Passage, admitted
from callboard.actors.replies import reply_of
from callboard.actors.state import Call
from callboard.bus.messages import (
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    ToolCall,
    ToolInDoubt,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    Usage,
)
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import ModelError, ToolError
from callboard.log import get_logger
from callboard.models.port import ChatModel, ChatReply, ChatRequest, SteerNote
from callboard.tools.context import ToolContext
from callboard.tools.execute import ToolResult, execute, verify
from callboard.tools.tool import AnyTool

OpenModel = Callable[[ModelChoice], ChatModel]
log = get_logger(__name__)
_BACKOFF_SECONDS: Final = 0.2
_VERIFY_SECONDS: Final = 30.0
_WRAP_UP: Final = "This is your last turn and you have no tools: answer now with what you have"


async def call_model(
    owner: Owner, command: CallModel, *, spec: AgentSpec, given: JsonValue, model: ChatModel, ports: Ports
) -> None:
    """Ask the gates, write the intent, call the model, leave its reply or failure (or the refusal) as a fact."""
    choice = spec.model
    assert choice is not None
    label = f"{choice.provider}/{choice.name}".rstrip("/")
    request = _request(owner, command, choice, spec=spec, given=given, ports=ports)
    ask = Ask(owner.key, spec, owner.view, "model", command.call, command.attempt, label,
        request=request, wrap_up=command.wrap_up, pending=owner.unwritten,
    )  # fmt: skip
    answer = await admitted(owner.gate, ask, within=within_deadline(owner, math.inf, ports))
    if answer is None:
        return
    if isinstance(answer, Refusal):
        await owner.append(_denied(command.call, answer))
        return
    if command.wrap_up and owner.view.denied is None:  # somebody has raised the budget: it is not the last turn
        with anyio.CancelScope(shield=True):
            await owner.gate.done(ask, answer, Ending("unstarted"))
        return
    intent = ModelRequested(
        call=command.call, attempt=command.attempt, model=label, reserved=answer.reserved, wrap_up=command.wrap_up
    )
    async with Passage(owner.gate, ask, answer, ports.clock) as passage, owner.armed(intent) as window:
        if not await window.opened(within=within_deadline(owner, math.inf, ports)):  # it may have been stopped
            return
        if len(owner.state.turns) != len(ask.state.turns):  # a note came in between
            request = _request(owner, command, choice, spec=spec, given=given, ports=ports)
        passage.start()
        await _ask_model(owner, command, request, passage, spec=spec, model=model, ports=ports)


async def _ask_model(
    owner: Owner,
    command: CallModel,
    request: ChatRequest,
    passage: Passage,
    *,
    spec: AgentSpec,
    model: ChatModel,
    ports: Ports,
) -> None:
    said: list[str] = []
    reply: ChatReply | None = None
    started = ports.clock.monotonic()
    try:
        reply = await reply_of(model, request, said, first_token=spec.limits.first_token_timeout)
        responded = await _responded(command.call, reply, ports, choice=request.model)
    except ModelError as raised:
        error = raised
    except anyio.get_cancelled_exc_class():
        known = None if reply is None else answered(request.model, reply.usage)
        usage = known or interrupted(request, owner.view, "".join(said))
        owner.defer(cut_short(command.call, command.attempt, at=ports.clock.now(), usage=usage))
        raise
    else:
        await passage.end(usage=responded.usage, limits=reply.limits)
        owner.defer(responded)
        return
    seconds = ports.clock.monotonic() - started
    usage = failed(request, owner.view, error, said="".join(said), seconds=seconds)
    await passage.end(f"model_{error.kind}", usage=usage, retry_after=error.retry_after, limits=error.limits)
    owner.defer(_failed(owner, command, error, spec=spec, ports=ports, usage=usage))


def _request(
    owner: Owner, command: CallModel, choice: ModelChoice, *, spec: AgentSpec, given: JsonValue, ports: Ports
) -> ChatRequest:
    messages, denied = conversation(owner.view, given, run=owner.key.run), owner.view.denied
    if command.wrap_up and denied is not None:
        messages = (*messages, SteerNote(f"{denied.problem.message}. {_WRAP_UP}", denied.guard))
    return ChatRequest(
        model=choice,
        system=spec.system,
        messages=messages,
        tools=() if command.wrap_up else spec.tools,
        attempt=command.attempt,
        call=command.call,
        run=owner.key.run,
        input=given,
        timeout=within_deadline(owner, spec.limits.model_timeout, ports),
    )


def _denied(call: str, refusal: Refusal) -> GuardDenied:
    return GuardDenied(
        guard=refusal.guard, call=call, problem=refusal.problem, retry_at=refusal.retry_at, wrap_up=refusal.wrap_up
    )


async def _responded(call: str, reply: ChatReply, ports: Ports, *, choice: ModelChoice) -> ModelResponded:
    return ModelResponded(
        call=call,
        text=await pack(reply.text, ports.blobs),
        # ids of our own: unique in the run whatever the provider repeats
        tool_calls=tuple(
            ToolCall(id=f"{call}.{index}", name=asked.name, arguments=asked.arguments)
            for index, asked in enumerate(reply.tool_calls)
        ),
        usage=answered(choice, reply.usage),
        stop=reply.stop,
    )


def _failed(
    owner: Owner, command: CallModel, error: ModelError, *, spec: AgentSpec, ports: Ports, usage: Usage
) -> ModelFailed:
    problem = Problem(kind=f"model_{error.kind}", message=str(error))
    attempts = command.attempt - owner.view.calls[command.call].forgiven
    if not error.retryable or attempts >= spec.limits.model_attempts:
        return ModelFailed(call=command.call, attempt=command.attempt, problem=problem, usage=usage)
    pause = error.retry_after if error.retry_after is not None else _BACKOFF_SECONDS * 2 ** (attempts - 1)
    retry_at = ports.clock.now() + timedelta(seconds=pause)
    return ModelFailed(call=command.call, attempt=command.attempt, problem=problem, retry_at=retry_at, usage=usage)


async def call_tools(owner: Owner, command: CallTools, *, spec: AgentSpec, code: AgentCode, ports: Ports) -> None:
    """Ask the gates, write all intents in one record, run the tools together, write each result as it comes.

    The last result is deferred. What a gate refuses has its outcome at once.
    """
    async with AsyncExitStack() as passages:
        granted: list[tuple[ToolCall, ToolRequested, Passage]] = []
        for asked, intent in command.calls:
            ask = Ask(owner.key, spec, owner.view, "tool", intent.call, intent.attempt, intent.tool,
                effect=intent.effect, arguments=asked.arguments,
                pending=(*owner.unwritten, *(before for _, before, _ in granted)),
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
        owner.defer(_denied(next_turn(owner.view), refusal))


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
    context = context_of(owner, asked.id, key=intent.key, attempt=intent.attempt, timeout=timeout, window=window)
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
        context = context_of(owner, call.call, key=call.key, attempt=call.attempt, timeout=timeout)
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


def context_of(
    owner: Owner, call: str, *, key: str, attempt: int, timeout: float, window: Armed | None = None
) -> ToolContext:
    """What the code of a call is handed; ``timeout`` in seconds."""
    run, tenant = owner.key.run, owner.key.tenant
    return ToolContext(run=run, tenant=tenant, call=call, key=key, attempt=attempt, deadline=timeout, window=window)


def within_deadline(owner: Owner, seconds: float, ports: Ports) -> float:
    """``seconds``, or what is left until the run's deadline if that is less (never below 0)."""
    created = owner.view.created
    if created is None or created.deadline is None:
        return seconds
    return max(0.0, min(seconds, (created.deadline - ports.clock.now()).total_seconds()))


def _timeout(spec: AgentSpec, name: str) -> float:
    tool = spec.tool(name)
    return spec.limits.tool_timeout if tool is None or tool.timeout is None else tool.timeout
