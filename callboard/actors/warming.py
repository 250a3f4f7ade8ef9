"""Pure: a run that only fills the prompt cache of its agent's first model: one call, and it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from callboard.actors.calling import call_model, next_turn
from callboard.actors.commands import CallModel, Command, End
from callboard.actors.decide import limit_reached
from callboard.actors.state import RunState
from callboard.bus.messages import Content, RunCompleted, RunFailed
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec

_WARM: Final = "the prompt cache is warm"


def warm_up(state: RunState, spec: AgentSpec, now: datetime, *, run: RunKey) -> Command:
    """The next command of such a run. What would end an agent's run with a last word ends it at once."""
    if over := limit_reached(state, now):
        return over
    call, denied = state.calls.get(next_turn(state)), state.denied
    if call is not None and call.status == "done":
        return End(RunCompleted(result=Content(value=_WARM)))
    if denied is not None and (denied.wrap_up or denied.retry_at is None):
        return End(RunFailed(problem=denied.problem, guard=denied.guard))
    command = call_model(state, spec, now, run=run)
    return replace(command, purpose="warm") if isinstance(command, CallModel) else command
