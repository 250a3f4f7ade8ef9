"""Pure: a paused run. No effect of it starts; it holds no worker, unless its pause is over in a moment.

What was started before ends, and is recorded. It holds the children too: see ``inherited``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from callboard.actors.calling import LONG_BACKOFF
from callboard.actors.commands import Backoff, CallModel, CallTools, Command, Suspend, Verify, Write
from callboard.actors.state import RunState
from callboard.bus.messages import ChildSpawned, RunPaused, TimerSet, Wait

LOOK_SECONDS: Final = 0.25
"""How often a paused run that must keep its worker looks whether it may go on."""


def in_force(state: RunState, now: datetime) -> tuple[RunPaused, ...]:
    """The pauses that nobody has ended, and that have not ended by themselves."""
    return tuple(pause for pause in state.pauses.values() if not _over(state, pause.until, now))


def hold(command: Command, state: RunState, now: datetime) -> Command:
    """``command``, or what a paused run does instead of starting an effect."""
    match command:
        case CallModel() | CallTools() | Verify() | Backoff():
            pass
        case Write(events) if any(isinstance(event, ChildSpawned) for event in events):
            pass
        case _:
            return command
    pauses = in_force(state, now)
    if not pauses:
        return command
    if announced(state):
        return Backoff(now + timedelta(seconds=LOOK_SECONDS))
    timer = alarm(pauses)
    if timer is not None and timer.timer not in state.timers:
        near = (timer.at - now).total_seconds() <= LONG_BACKOFF
        return Backoff(timer.at) if near else Write((timer,))
    return Suspend(waits(pauses))


def waits(pauses: tuple[RunPaused, ...]) -> tuple[tuple[Wait, ...], ...]:
    """What a run waits for that is paused by all of ``pauses``."""
    lasting = tuple(pause for pause in pauses if pause.until is None)
    ended = tuple(Wait(kind="go", name=pause.name) for pause in lasting or pauses)
    timer = alarm(pauses)
    return (ended,) if timer is None else (ended, (Wait(kind="timer", name=timer.timer),))


def with_alarms(state: RunState, groups: tuple[tuple[Wait, ...], ...]) -> tuple[tuple[Wait, ...], ...]:
    """``groups``, and if they wait for the end of pauses that end by themselves, the timer that was set for them."""
    names = {wait.name for group in groups for wait in group if wait.kind == "go"}
    timer = alarm(tuple(pause for pause in state.pauses.values() if pause.name in names))
    return groups if timer is None else (*groups, (Wait(kind="timer", name=timer.timer),))


def alarm(pauses: tuple[RunPaused, ...]) -> TimerSet | None:
    """The durable timer that ends them; None if somebody must."""
    ends = [pause.until for pause in pauses if pause.until is not None]
    return TimerSet(timer=_name(max(ends)), at=max(ends)) if ends and len(ends) == len(pauses) else None


def announced(state: RunState) -> bool:
    """Is an intent of this owner out whose effect must not run twice? For a later one it would be in doubt."""
    return any(
        call.status == "open" and call.owner == state.owner and not call.repeatable for call in state.calls.values()
    )


def _over(state: RunState, until: datetime | None, now: datetime) -> bool:
    if until is None:
        return False
    timer = state.timers.get(_name(until))
    return until <= now or (timer is not None and timer.fired)


def _name(until: datetime) -> str:
    return f"pause-{round(until.timestamp() * 1000)}"
