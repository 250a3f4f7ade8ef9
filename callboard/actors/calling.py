"""Pure: when an agent's next model call is made: at once, after a back-off, or never."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from callboard.actors.commands import Backoff, CallModel, Command, End, Suspend, Write, fail
from callboard.actors.state import RunState
from callboard.bus.messages import ModelResponded, Problem, RunFailed, TimerSet, Wait
from callboard.config.spec import AgentSpec

LONG_BACKOFF: Final = 2.0
"""Seconds of a back-off beyond which the run holds no worker."""


def call_model(state: RunState, spec: AgentSpec, now: datetime) -> Command:
    """The next turn: its call, what it waits for first, or the end of a run that has no more turns."""
    turns = sum(1 for turn in state.turns if isinstance(turn, ModelResponded))
    if turns >= spec.limits.turns:
        return fail("turns", f"the agent used its {turns} turns", "raise limits.turns, or make the task smaller")
    name, denied = next_turn(state), state.denied
    if denied is not None and (pause := _back_off(state, denied.retry_at, now)):
        return pause
    call, wrap_up = state.calls.get(name), denied is not None and denied.wrap_up
    if call is None:
        return CallModel(name, 1, wrap_up)
    if call.status == "failed":
        if call.retry_at is None:
            return End(RunFailed(problem=call.problem or Problem(kind="model", message="the model call failed")))
        if pause := _back_off(state, call.retry_at, now):
            return pause
    armed_again = call.status == "open" and call.owner == state.owner
    return CallModel(name, call.attempt if armed_again else call.attempt + 1, wrap_up)


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
