"""Pure: pauses by name, and how they go down from a run to its children.

A child has each pause of its parent under a name that is never used again. What has ended once has ended for ever,
so it does not matter in which order, how late and how often the news of its beginning and its end arrives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from callboard.actors.state import RunState
from callboard.bus.messages import RunPaused, RunResumed

_V = TypeVar("_V")


def paused(state: RunState, sequence: int, event: RunPaused) -> RunState:
    """``state`` with that pause: of one name the one that lasts longest holds."""
    known = state.pauses.get(event.name)
    if event.name in state.let_go or (known is not None and not _lasts_longer(event, known)):
        return state
    marks = (*state.paused_at.get(event.name, ()), sequence)
    return state.evolve(pauses={**state.pauses, event.name: event}, paused_at={**state.paused_at, event.name: marks})


def resumed(state: RunState, event: RunResumed) -> RunState:
    """``state`` without the pauses of that name, also if one from above has yet to arrive."""
    known = state.pauses.get(event.name)
    if event.parent or (known is not None and known.parent):
        state = state.evolve(let_go=state.let_go | {event.name})
    if known is None:
        return state
    return state.evolve(pauses=_without(state.pauses, event.name), paused_at=_without(state.paused_at, event.name))


def handed_down(run: str, state: RunState, pauses: Iterable[RunPaused]) -> tuple[RunPaused, ...]:
    """Some of the pauses of ``run`` as a child of it has them that is spawned now."""
    return tuple(of_child(run, state.paused_at[pause.name][-1], pause) for pause in pauses)


def of_child(run: str, sequence: int, pause: RunPaused) -> RunPaused:
    """The pause at ``sequence`` of the journal of ``run``, as its children have it. One from above stays as it is."""
    if pause.parent:
        return pause
    return pause.model_copy(update={"name": _name(run, sequence), "parent": run})


def ends_of_child(run: str, before: RunState, event: RunResumed) -> tuple[RunResumed, ...]:
    """What ``event`` ends for the children of ``run``; ``before`` is the run before it."""
    known = before.pauses.get(event.name)
    if event.parent or (known is not None and known.parent):
        return (event.model_copy(update={"parent": event.parent or run}),)
    marks = before.paused_at.get(event.name, ())
    return tuple(RunResumed(name=_name(run, sequence), parent=run, by=event.by) for sequence in marks)


def _lasts_longer(pause: RunPaused, known: RunPaused) -> bool:
    return known.until is not None and (pause.until is None or pause.until > known.until)


def _without(known: Mapping[str, _V], name: str) -> Mapping[str, _V]:
    return {each: value for each, value in known.items() if each != name}


def _name(run: str, sequence: int) -> str:
    return f"above-{hashlib.sha256(f'{run}/{sequence}'.encode()).hexdigest()[:20]}"
