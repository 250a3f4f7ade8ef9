"""Pure: journal -> what the model reads. Every tool call of a turn gets its outcome before the next turn."""

from __future__ import annotations

import json
from typing import Final, assert_never

from pydantic import JsonValue

from callboard.actors.identity import child_id
from callboard.actors.state import RunState
from callboard.bus.messages import ChildFinished, ModelResponded, OutputRejected, Problem, RunSteered, ToolCall
from callboard.config.spec import provider_of
from callboard.models.port import AssistantTurn, ChatMessage, SteerNote, ToolOutcome, UserText
from callboard.models.port import ToolCall as ModelToolCall

_REJECTED: Final = "Your answer is not what was asked for. Answer again, whole, with nothing but the corrected JSON:"


def conversation(state: RunState, given: JsonValue, *, run: str) -> tuple[ChatMessage, ...]:
    """The messages of the run so far: the task's input ``given``, then turns, outcomes and notes in their order."""
    messages: list[ChatMessage] = [UserText(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))]
    for turn in state.turns:
        match turn:
            case RunSteered():
                messages.append(SteerNote(turn.text, turn.by))
            case OutputRejected():
                messages.append(SteerNote(f"{_REJECTED}\n{turn.problems}", "output"))
            case ModelResponded():
                calls = tuple(ModelToolCall(call.id, call.name, call.arguments) for call in turn.tool_calls)
                text = turn.text.value
                said = text if isinstance(text, str) else json.dumps(text)
                messages.append(AssistantTurn(said, calls, *_blocks(state, turn)))
                messages += [_outcome(state, call, run) for call in turn.tool_calls]
            case _:
                assert_never(turn)
    return tuple(messages)


def _blocks(state: RunState, turn: ModelResponded) -> tuple[str, tuple[JsonValue, ...]]:
    """Which provider said it, and how; nothing if that was too large to be kept."""
    call, blocks = state.calls.get(turn.call), turn.blocks.value
    if call is None or not isinstance(blocks, list) or turn.blocks.blob is not None:
        return "", ()
    return provider_of(call.name), tuple(blocks)


def _outcome(state: RunState, asked: ToolCall, run: str) -> ToolOutcome:
    finished = state.finished.get(child_id(run, asked.id))
    if finished is not None:
        return _child_outcome(asked, finished)
    call = state.calls.get(asked.id)
    if call is None or call.status != "done":
        unknown = Problem(
            kind="in_doubt",
            message="the worker was lost while this call ran: nobody knows whether it took effect",
            hint="do not assume that it did or did not; find out, or say so in your answer",
        )
        return _problem(asked, unknown)
    if call.problem is not None:
        return _problem(asked, call.problem)
    return ToolOutcome(asked.id, asked.name, call.result.value, is_error=False)


def _child_outcome(asked: ToolCall, finished: ChildFinished) -> ToolOutcome:
    if finished.outcome == "completed":
        return ToolOutcome(asked.id, asked.name, finished.result.value, is_error=False)
    problem = finished.problem or Problem(kind=finished.outcome, message=f"the delegate's run {finished.outcome}")
    return _problem(asked, problem)


def _problem(asked: ToolCall, problem: Problem) -> ToolOutcome:
    body: dict[str, JsonValue] = {"error": problem.kind, "message": problem.message}
    if problem.hint:
        body["hint"] = problem.hint
    return ToolOutcome(asked.id, asked.name, body, is_error=True)
