"""Pure: when an agent's next model call is made: at once, after a back-off, or never; and what it needs before."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from callboard.actors.choosing import candidates
from callboard.actors.commands import Backoff, CallModel, Command, Compaction, End, Suspend, Write, fail
from callboard.actors.relieving import Full, fits, relief_for
from callboard.actors.state import Call, RunState
from callboard.bus.messages import ModelResponded, Problem, RunFailed, TimerSet, Wait
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec

LONG_BACKOFF: Final = 2.0
"""Seconds of a back-off beyond which the run holds no worker."""


def call_model(state: RunState, spec: AgentSpec, now: datetime, *, run: RunKey) -> Command:
    """The next turn: its call, what it waits for first, or the end of a run that has no more turns."""
    turns = sum(1 for turn in state.turns if isinstance(turn, ModelResponded))
    if turns >= spec.limits.turns:
        return fail("turns", f"the agent used its {turns} turns", "raise limits.turns, or make the task smaller")
    name, denied = next_turn(state), state.denied
    if denied is not None and (pause := _back_off(state, denied.retry_at, now)):
        return pause
    call, wrap_up = state.calls.get(name), denied is not None and denied.wrap_up
    if call is not None and call.status == "failed":
        if call.retry_at is None:
            return End(RunFailed(problem=call.problem or Problem(kind="model", message="the model call failed")))
        if pause := _back_off(state, call.retry_at, now):
            return pause
    turn = CallModel(name, _attempt(state, call), wrap_up)
    return _room_for(turn, state, spec, now, run=run) or turn


def _room_for(turn: CallModel, state: RunState, spec: AgentSpec, now: datetime, *, run: RunKey) -> Command | None:
    """What must be done before this call fits into the window of the model that is asked first; None: nothing."""
    if not state.relief.overflowed and all(choice.context is None for choice in spec.models):
        return None
    asked = [spec.models[entry] for entry in candidates(state, spec, turn.call, attempt=turn.attempt)]
    summarise = not turn.wrap_up and not state.relief.unread
    found = relief_for(state, spec, asked[0], call=turn.call, run=run.run, summarise=summarise)
    if isinstance(found, Full):  # one that refused what should fit may be asked once more: then it is left
        has_room = any(fits(state, spec, choice, run=run.run) for choice in asked)
        return None if has_room else _full(found, state)
    if isinstance(found, Compaction):
        return _summary(found, state, now)
    return None if found is None else Write((found,))


def _full(found: Full, state: RunState) -> End:
    """The end of a run whose next turn fits nowhere; if that is its last one, it is what a guard said."""
    denied = state.denied
    if denied is None or not denied.wrap_up:
        return fail("context", found.message, found.hint)
    return End(RunFailed(problem=denied.problem, guard=denied.guard))


def _summary(compaction: Compaction, state: RunState, now: datetime) -> Command:
    name = f"s{state.relief.summaries + 1}"
    call = state.calls.get(name)
    if call is not None and call.status == "failed" and (pause := _back_off(state, call.retry_at, now)):
        return pause
    return CallModel(name, _attempt(state, call), purpose="summary", compaction=compaction)


def _attempt(state: RunState, call: Call | None) -> int:
    if call is None:
        return 1
    armed_again = call.status == "open" and call.owner == state.owner
    return call.attempt if armed_again else call.attempt + 1


def _back_off(state: RunState, until: datetime | None, now: datetime) -> Command | None:
    """Wait for ``until``: a little while on the worker, a longer one suspended; None when it is time."""
    if until is None or now >= until:
        return None
    timer = f"retry-{round(until.timestamp() * 1000)}"  # a timer that has fired cannot be set again
    known = state.timers.get(timer)
    if known is not None:
        return None if known.fired else Suspend(((Wait(kind="timer", name=timer),),))
    if (until - now).total_seconds() <= LONG_BACKOFF:
        return Backoff(until)
    return Write((TimerSet(timer=timer, at=until),))


def next_turn(state: RunState) -> str:
    """The name of the next turn's model call."""
    return f"m{1 + sum(1 for turn in state.turns if isinstance(turn, ModelResponded))}"
