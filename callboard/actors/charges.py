"""Pure: what model calls are charged, as facts: answered, failed, cut off by the end of their run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from callboard.actors.fold import EMPTY, fold
from callboard.actors.heard import Heard
from callboard.actors.ownership import Fact
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Amount,
    Event,
    ModelFailed,
    ModelLateUsage,
    ModelResponded,
    Problem,
    Record,
    RunClaimed,
    RunCreated,
    RunKilled,
    ToolLateResult,
    ToolReturned,
    Usage,
)
from callboard.config.spec import ModelChoice
from callboard.errors import ModelError
from callboard.models import port
from callboard.models.port import ChatRequest
from callboard.models.prices import cut_off, priced, worst_case

_ANSWERED: Final = frozenset({"truncated", "refusal"})
"""Failures of a provider that had begun to answer."""


def answered_tokens(state: RunState, request: ChatRequest) -> int | None:
    """Tokens of the last answered call, input and output: what ``request`` repeats.

    None: there is none, or it does not repeat it, or another model has counted them, which may cut text into fewer.
    """
    if request.purpose != "turn" or state.relief.after:
        return None
    last = next((turn for turn in reversed(state.turns) if isinstance(turn, ModelResponded)), None)
    if last is None or state.calls[last.call].name != request.model.label:
        return None
    usage = last.usage
    return usage.input_tokens + usage.cached_tokens + usage.written_tokens + usage.output_tokens


def most(request: ChatRequest, state: RunState) -> Amount:
    """The most that a call may cost, to be reserved for it."""
    worst = worst_case(request, answered_tokens(state, request))
    return Amount(
        usd_micros=worst.cost_usd_micros,
        input_tokens=worst.input_tokens,
        output_tokens=worst.output_tokens,
        model_calls=1,
    )


def answered(choice: ModelChoice, usage: port.Usage) -> Usage:
    """What an answered call is charged."""
    return _usage(priced(choice, usage))


def interrupted(request: ChatRequest, state: RunState, heard: Heard) -> Usage:
    """What a call is charged that ended in the middle: what its provider has counted, and what it said since then."""
    last = answered_tokens(state, request)
    return _usage(cut_off(request, last, said=heard.since_count, counted=heard.counted))


def failed(request: ChatRequest, state: RunState, error: ModelError, *, heard: Heard, seconds: float) -> Usage:
    """What a failed call is charged: nothing if it was turned away, else like one that was cut off."""
    if heard.begun or error.kind in _ANSWERED or seconds >= request.timeout:
        return interrupted(request, state, heard)
    return Usage()


def cut_short(call: str, attempt: int, *, at: datetime, usage: Usage) -> ModelFailed:
    """A call that was cancelled, with what it had used: if its worker leaves, the next one makes it again."""
    problem = Problem(kind="cut_short", message="its worker left while it was under way")
    return ModelFailed(call=call, attempt=attempt, problem=problem, retry_at=at, usage=usage)


def unstarted(state: RunState, at: datetime) -> tuple[ModelFailed, ...]:
    """The calls of an owner that leaves which were announced and never started: nothing of them can be under way."""
    return tuple(cut_short(call, attempt, at=at, usage=Usage()) for call, attempt in _open(state))


def _open(state: RunState) -> Iterator[tuple[str, int]]:
    """The model calls of this owner that have no answer, with their attempts."""
    for call, (attempt, _) in state.accounts.pending.items():
        if call in state.calls and state.calls[call].owner == state.owner:
            yield call, attempt


def late_facts(unwritten: Sequence[Fact], state: RunState) -> tuple[Event, ...]:
    """What the end of the run kept out of its journal, as information behind the end.

    A model call of this owner that is not among what is ``unwritten`` never started.
    """
    known = {fact.call for fact in unwritten if isinstance(fact, ModelResponded | ModelFailed)}
    late: list[Event] = [
        ModelLateUsage(call=call, attempt=attempt) for call, attempt in _open(state) if call not in known
    ]
    for fact in unwritten:
        match fact:
            case ToolReturned():
                late.append(ToolLateResult(call=fact.call, result=fact.result, problem=fact.problem))
            case ModelResponded() | ModelFailed() if fact.call in state.accounts.pending:
                attempt = state.accounts.pending[fact.call][0]
                late.append(ModelLateUsage(call=fact.call, attempt=attempt, usage=fact.usage))
            case _:
                pass
    return tuple(late)


def unborn(agent: str, spec: JsonValue, at: datetime) -> RunState:
    """As a run would be that was killed when it had been created: its owner may have been lost right before that."""
    events = (RunCreated(agent=agent, spec=spec, at=at), RunClaimed(task=0), RunKilled())
    return fold(EMPTY, 1, Record(id="-", owner="-", events=events))


def _usage(usage: port.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        cost_usd_micros=usage.cost_usd_micros,
        written_tokens=usage.written_tokens,
    )
