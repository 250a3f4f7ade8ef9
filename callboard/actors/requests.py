"""Pure: what a model is asked: the history for a turn, or a record of old turns to sum up; and whether it has room."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from callboard.actors.commands import CallModel
from callboard.actors.conversation import answers_before, conversation
from callboard.actors.gate import Refusal
from callboard.actors.relieving import Full, compacted, fits, relief_for, summary_bytes, summary_room
from callboard.actors.state import RunState
from callboard.actors.summaries import SYSTEM, summary_of, transcript
from callboard.bus.messages import ContextRelieved, Problem
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.models.port import ChatReply, ChatRequest, SteerNote, UserText
from callboard.models.warm import warming

_WRAP_UP: Final = "This is your last turn, and no tool can be called any more: answer now with what you have"


def request_of(
    state: RunState, command: CallModel, choice: ModelChoice, *, spec: AgentSpec, given: JsonValue, run: str,
    timeout: float,
) -> ChatRequest:  # fmt: skip
    """The request of ``command`` to ``choice``; ``given`` is the task's input."""
    turn = command.purpose != "summary"
    system = spec.system
    if command.compaction is None:
        messages = conversation(state, given, run=run, tools=spec.tools)
    else:
        size = summary_room(state, spec, choice, command.compaction, run=run)
        system, messages = SYSTEM, (UserText(transcript(state, given, command.compaction, run=run, size=size)),)
    if command.wrap_up and state.denied is not None:
        messages = (*messages, SteerNote(f"{state.denied.problem.message}. {_WRAP_UP}", state.denied.guard))
    return ChatRequest(
        model=warming(choice) if command.purpose == "warm" else choice,
        system=system,
        messages=messages,
        tools=spec.tools if turn else (),
        attempt=command.attempt,
        call=command.call,
        run=run,
        input=given,
        timeout=timeout,
        output=spec.output if turn and not command.wrap_up else None,
        purpose=command.purpose,
        summed_up=0 if command.compaction is not None else answers_before(state),
        may_call=not command.wrap_up,
    )


def read(
    state: RunState, command: CallModel, reply: ChatReply, *, spec: AgentSpec, run: str
) -> tuple[ContextRelieved, ...]:
    """What an answered call for a summary changes; nothing if there is none in the answer."""
    compaction = command.compaction
    if compaction is None or reply.stop in ("refusal", "content_filter"):
        return ()
    summary = summary_of(reply.text, summary_bytes(compaction.choice))
    return (compacted(state, spec, compaction, summary, run=run),) if summary else ()


def has_room(state: RunState, command: CallModel, choice: ModelChoice, *, spec: AgentSpec, run: str) -> bool:
    """Can ``choice`` be asked as things are? What is to be summed up is cut so that it can."""
    return command.purpose != "turn" or fits(state, spec, choice, run=run)


def made_smaller(
    state: RunState, command: CallModel, choice: ModelChoice, *, spec: AgentSpec, run: str
) -> ContextRelieved | Refusal:
    """What lets ``choice`` stand in for a model with a larger window, without asking anybody; or why it cannot."""
    found = relief_for(state, spec, choice, call=command.call, run=run, summarise=False)
    if isinstance(found, ContextRelieved):
        return found
    assert isinstance(found, Full), "without a summary, and only asked when it does not fit"
    return Refusal("context", Problem(kind="context", message=found.message, hint=found.hint))
