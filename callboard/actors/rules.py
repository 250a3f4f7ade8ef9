"""Pure: what a single event of a journal may break, judged by what stands before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from pydantic import ValidationError

from callboard.actors.accounts import ZERO, model_requested
from callboard.actors.allowance import caps_of, overdraft
from callboard.actors.ending import REPAIRS
from callboard.actors.state import RunState
from callboard.bus.messages import (
    SIGNALS,
    TERMINAL,
    Amount,
    Event,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    OutputRejected,
    RunClaimed,
    RunCreated,
    RunSettled,
    ToolInDoubt,
    ToolLateResult,
    ToolRequested,
    ToolReturned,
    UnknownEvent,
)
from callboard.config.guards import GuardSettings

Rule: TypeAlias = Literal[
    "created", "terminal", "claim", "fenced", "suspended", "intent", "repeated", "at_most_once", "key",
    "settled", "receipt", "R1", "R2", "family", "queue", "budget", "paused", "ledger", "output",
]  # fmt: skip


def status(state: RunState, call: str) -> str:
    """How a call stands, for people."""
    known = state.calls.get(call)
    return "not requested" if known is None else known.status


def judge_event(state: RunState, owner: str, event: Event) -> Iterator[tuple[Rule, str]]:
    """What the owner's ``event`` breaks. Signals and information may always come."""
    if event.type in SIGNALS or isinstance(event, ToolLateResult | ModelLateUsage | RunSettled | UnknownEvent):
        return
    if state.terminal is not None:
        rule: Rule = "terminal" if event.type in TERMINAL else "fenced"
        yield rule, f"{event.type} by {owner!r} after the run was over (at {state.ended})"
    elif isinstance(event, RunCreated):
        if state.created is not None:
            yield "created", "a second run.created"
    elif isinstance(event, RunClaimed):
        yield from _judge_claim(state, event)
    elif owner != state.owner or not owner:
        yield "fenced", f"{event.type} by {owner!r}, but the run is owned by {state.owner!r}"
    elif state.suspended:
        yield "suspended", f"{event.type} by {owner!r} after the suspension at {state.suspended}, without a new claim"
    elif isinstance(event, ModelRequested | ToolRequested):
        yield from _judge_intent(state, event)
    elif isinstance(event, ModelResponded | ModelFailed | ToolReturned | ToolInDoubt):
        yield from _judge_result(state, event)
    elif isinstance(event, OutputRejected):
        yield from _judge_rejection(state, event)


def _judge_claim(state: RunState, event: RunClaimed) -> Iterator[tuple[Rule, str]]:
    if state.created is None:
        yield "created", "claimed before run.created"
    if state.owner and not state.suspended and event.task != state.task:
        yield "claim", f"task {event.task} took the run from task {state.task}, which holds it"
    if state.owner and state.suspended and event.task == state.task:
        yield "claim", f"task {event.task} claimed again after the suspension at {state.suspended}"


def _judge_intent(state: RunState, event: ModelRequested | ToolRequested) -> Iterator[tuple[Rule, str]]:
    for pause in (each for each in state.pauses.values() if each.until is None):
        yield "paused", f"{event.call} was requested during the pause {pause.name!r}"
    if isinstance(event, ModelRequested) and (unit := _overdrawn(state, event)):
        yield "budget", f"{event.call} was requested although it may exceed the run's cap of {unit}"
    known = state.calls.get(event.call)
    if known is None:
        return
    if known.status == "done":
        yield "repeated", f"{event.call} was requested again after its result"
    if known.status == "doubt" or (known.status == "open" and known.owner != state.owner and not known.repeatable):
        yield "at_most_once", f"{event.call} ({known.effect}) may have started, and was requested again unresolved"
    if isinstance(event, ToolRequested) and event.key != known.key:
        yield "key", f"{event.call} was requested with key {event.key!r}, before with {known.key!r}"


def _judge_result(
    state: RunState, event: ModelResponded | ModelFailed | ToolReturned | ToolInDoubt
) -> Iterator[tuple[Rule, str]]:
    now = status(state, event.call)
    refused = isinstance(event, ToolReturned) and event.problem is not None and now in ("not requested", "retry")
    again = isinstance(event, ToolInDoubt) and now == "doubt"
    if now == "done":
        yield "repeated", f"{event.type} for {event.call}, which has its result"
    elif now != "open" and not refused and not again:
        yield "intent", f"{event.type} for {event.call}, which is {now}: no open intent"


def _judge_rejection(state: RunState, event: OutputRejected) -> Iterator[tuple[Rule, str]]:
    last = next((turn for turn in reversed(state.turns) if isinstance(turn, ModelResponded)), None)
    if last is None or last.call != event.call:
        yield "output", f"{event.call} was rejected, which is not the last answer"
    if event.round != len(state.rejected) + 1 or event.round > REPAIRS:
        yield "output", f"{event.call} was rejected in round {event.round}, after {len(state.rejected)} of {REPAIRS}"


def _overdrawn(state: RunState, event: ModelRequested) -> str:
    """The unit of a cap of the run that a granted call may exceed, as far as that can be judged from its journal.

    It cannot be with children: what they spent is news that may have come after the grant.
    """
    spec = state.created.spec if state.created is not None else None
    if event.reserved == Amount() or state.children or not isinstance(spec, dict):
        return ""
    try:
        settings = GuardSettings.model_validate(spec.get("guards", {})).budget
    except ValidationError:
        return ""
    known = state.calls.get(event.call)
    again = (
        known is not None and known.status == "open" and (known.owner, known.attempt) == (state.owner, event.attempt)
    )
    after = model_requested(state.accounts, event.call, event.attempt, event.reserved, again=again).spent
    found = overdraft(after, ZERO, caps_of(state, settings), settings, wrap_up=event.wrap_up)
    return "" if found is None or settings.mode != "enforce" else found.unit
