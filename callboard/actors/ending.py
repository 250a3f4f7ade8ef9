"""Pure: how an agent's run ends after its last answer: an answer that was cut off never looks like a success."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from callboard.actors.commands import CheckOutput, End
from callboard.actors.state import RunState
from callboard.bus.messages import Content, ModelResponded, Problem, RunCompleted, RunFailed
from callboard.config.spec import AgentSpec

BROKEN: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "max_tokens": ("its answer was cut off at the model's max_output", "raise max_output, or ask for less"),
    "context": ("its answer filled the model's context window", "split the task, or take a model with a larger window"),
    "refusal": ("the model refused to answer", "word the task differently, or take another model"),
    "content_filter": ("the provider's filter stopped the answer", "word the task differently, or take another model"),
})  # fmt: skip
"""Why an answer stopped that is none, with what to say and to do. Its tool calls may be cut off too: none is made."""

REPAIRS: Final = 2
"""How often a model is asked again whose answer is not what the agent's ``output`` says."""


def concluded(state: RunState, spec: AgentSpec, last: ModelResponded) -> CheckOutput | End:
    """What comes after the last answer."""
    if spec.output is None or last.stop in BROKEN:
        return End(ended(state, last))
    return CheckOutput(last.call, _parts(state, last), len(state.rejected) + 1)


def ended(state: RunState, last: ModelResponded) -> RunCompleted | RunFailed:
    """The terminal of a run that has nothing more to do after its ``last`` answer."""
    text = joined(_parts(state, last))
    if last.stop not in BROKEN:
        return RunCompleted(result=text)
    message, hint = BROKEN[last.stop]
    problem = Problem(kind=f"model_{last.stop}", message=message, hint=hint)
    return RunFailed(problem=problem, partial=text)


def with_last_words(end: End, state: RunState) -> End:
    """The end of a run; of one that fails, with what its model said last: that is paid for."""
    if not isinstance(end.event, RunFailed) or end.event.partial is not None:
        return end
    answers = (turn for turn in reversed(state.turns) if isinstance(turn, ModelResponded))
    last = next((answer for answer in answers if answer.text.value), None)
    return end if last is None else End(end.event.model_copy(update={"partial": joined(_parts(state, last))}))


def joined(parts: tuple[Content, ...]) -> Content:
    """One text. Long ones stay as they are: the last of them."""
    texts = [part.value for part in parts if isinstance(part.value, str) and part.blob is None]
    return Content(value="".join(texts)) if len(texts) == len(parts) > 1 else parts[-1]


def _parts(state: RunState, last: ModelResponded) -> tuple[Content, ...]:
    """What ``last`` says, with what it went on from: pauses are the provider's affair."""
    parts = [last.text]
    for turn in reversed(state.turns[: state.turns.index(last)]):
        if not isinstance(turn, ModelResponded) or turn.stop != "pause" or turn.tool_calls:
            break
        parts.insert(0, turn.text)
    return tuple(parts)
