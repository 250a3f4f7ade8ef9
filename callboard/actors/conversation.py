"""Pure: journal -> what the model reads. Every tool call of a turn gets its outcome before the next turn."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final, assert_never

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.actors.identity import child_id
from callboard.actors.relief import Relief
from callboard.actors.state import RERUN, RunState
from callboard.bus.messages import ChildFinished, ModelResponded, OutputRejected, Problem, RunSteered, ToolCall
from callboard.config.spec import ToolSpec, provider_of
from callboard.models.port import AssistantTurn, ChatMessage, SteerNote, ToolOutcome, UserText
from callboard.models.port import ToolCall as ModelToolCall

RECALL: Final = "recall"
"""The built-in tool that gives back a result that was taken out."""
_SUMMED_UP: Final = "Your work so far, summed up to save room. It is a record, no instruction:"
_REJECTED: Final = "Your answer is not what was asked for. Answer again, whole, with nothing but the corrected JSON:"


def conversation(
    state: RunState, given: JsonValue, *, run: str, relief: Relief | None = None, tools: Collection[ToolSpec] = ()
) -> tuple[ChatMessage, ...]:
    """The messages of the run so far: the task's input ``given``, then turns, outcomes and notes in their order.

    Without what ``relief`` says (None: the state's own; ``NONE``: that is everything). ``tools`` are the agent's.
    """
    less = state.relief if relief is None else relief
    messages: list[ChatMessage] = [UserText(as_text(given)), *told_before(state, less)]
    for turn in state.turns[first_told(state, less) :]:
        messages += told(state, turn, run=run, relief=less, tools=tools)
    return tuple(messages)


def first_told(state: RunState, relief: Relief) -> int:
    """How many turns and notes the summary stands for."""
    if relief.through:
        for at, turn in enumerate(state.turns, start=1):
            if isinstance(turn, ModelResponded) and turn.call == relief.through:
                return at
    return 0


def answers_before(state: RunState) -> int:
    """How many answers the summary stands for."""
    return sum(isinstance(turn, ModelResponded) for turn in state.turns[: first_told(state, state.relief)])


def told_before(state: RunState, relief: Relief) -> list[ChatMessage]:
    """The summary, and behind it the notes of people that it stands for: these are kept word for word."""
    before = state.turns[: first_told(state, relief)]
    if not before:
        return []
    notes = (turn for turn in before if isinstance(turn, RunSteered) and not turn.guard)
    return [UserText(f"{_SUMMED_UP}\n\n{as_text(relief.summary)}"), *(SteerNote(note.text, note.by) for note in notes)]


def told(
    state: RunState,
    turn: ModelResponded | RunSteered | OutputRejected,
    *,
    run: str,
    relief: Relief,
    tools: Collection[ToolSpec],
) -> list[ChatMessage]:
    """A note, or a turn with the outcomes of its calls."""
    match turn:
        case RunSteered():
            return [SteerNote(turn.text, turn.by)]
        case OutputRejected():
            return [SteerNote(f"{_REJECTED}\n{turn.problems}", "output")]
        case ModelResponded():
            calls = tuple(ModelToolCall(call.id, call.name, call.arguments) for call in turn.tool_calls)
            said = AssistantTurn(as_text(turn.text.value), calls, *_blocks(state, turn))
            whole = [outcome_of(state, call, run) for call in turn.tool_calls]
            return [said, *(_without(state, each, relief, tools) for each in whole)]
        case _:
            assert_never(turn)


def as_text(value: JsonValue) -> str:
    """A text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def stub_of(state: RunState, outcome: ToolOutcome, tools: Collection[ToolSpec], *, again: bool = False) -> ToolOutcome:
    """What stands for a result that was taken out. ``again``: because the same call was made again later."""
    call, able = state.calls.get(outcome.call), any(tool.name == RECALL for tool in tools)
    whole = call.result.blob if call is not None else None
    size = len(to_json(outcome.content, inf_nan_mode="constants")) if whole is None else whole.size
    if again:
        hint = "the same call was made again later: its result is there"
    elif able:
        hint = f"{RECALL}(call={outcome.call!r}) gives it back"
    elif call is not None and call.effect in RERUN:
        hint = "make the call again if you need it"
    else:
        hint = "the call is done: do not make it again for its result alone"
    body: dict[str, JsonValue] = {"cleared": f"{size:,} bytes, to make room", "call": outcome.call, "hint": hint}
    return ToolOutcome(outcome.call, outcome.name, body, is_error=False)


def _without(state: RunState, outcome: ToolOutcome, relief: Relief, tools: Collection[ToolSpec]) -> ToolOutcome:
    if outcome.call not in relief.cleared and outcome.call not in relief.repeated:
        return outcome
    return stub_of(state, outcome, tools, again=outcome.call in relief.repeated)


def _blocks(state: RunState, turn: ModelResponded) -> tuple[str, tuple[JsonValue, ...]]:
    """Which provider said it, and how; nothing if that was too large to be kept."""
    call, blocks = state.calls.get(turn.call), turn.blocks.value
    if call is None or not isinstance(blocks, list) or turn.blocks.blob is not None:
        return "", ()
    return provider_of(call.name), tuple(blocks)


def outcome_of(state: RunState, asked: ToolCall, run: str) -> ToolOutcome:
    """What became of a call, whole."""
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
