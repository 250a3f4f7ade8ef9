"""Pure: how runs of the storm must have ended: each guard stops whom it has to, once, and nobody else is stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from callboard.actors.state import RunState
from callboard.bus.messages import (
    ChildSpawned,
    Event,
    ModelRequested,
    ModelResponded,
    RunCompleted,
    RunFailed,
    RunKilled,
    ToolRequested,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.config.guards import LoopSettings
from callboard.guards.loop.guard import LoopGuard
from callboard.guards.pulses import CREDIT
from callboard.guards.sidecar.judge import Said, watched
from tests.chaos.wayward import FAMILY

STOPPED = {
    "looper": "loop",
    "gossip": "quota",
    "spender": "budget",
    "squanderer": "budget",
    "hanger": "stuck",
    "dawdler": "deadline",
}
"""Agents that never end by themselves, and what ends them."""
PERHAPS = {"ping": "loop", "pong": "loop"}
"""Agents that end by themselves if their guard is away for too long."""
SETTINGS = LoopSettings()
MOST_TURNS = SETTINGS.repeats + CREDIT // 2 + 1 + SETTINGS.patience + CREDIT
"""Of a looper that one worker carries. It is nudged after ``repeats`` turns, while its guard may be behind by the
credit, which is half as many turns; one more is under way when it reads the note; it is killed after ``patience`` more,
while its guard may be behind once more: turns whose calls are denied have one entry each.
"""


def ended_by(state: RunState) -> str:
    """The guard, or the limit, that ended a run."""
    match state.terminal:
        case RunFailed(guard="", problem=problem):
            return problem.kind
        case RunFailed(guard=guard) | RunKilled(guard=str() as guard):
            return guard
        case _:
            return ""


def misjudged(key: RunKey, state: RunState, entries: Sequence[Stored]) -> list[str]:
    """What is wrong about the end of a run."""
    agent = state.created.agent if state.created is not None else ""
    events = [event for entry in entries if entry.record for event in entry.record.events]
    kills = [event for event in events if isinstance(event, RunKilled) and event.guard]
    wrong = [f"{key} ({agent}) was killed {len(kills)} times by guards"] if len(kills) > 1 else []
    by, right = ended_by(state), {**STOPPED, **PERHAPS}.get(agent)
    if by and by != right:
        wrong.append(f"{key} ({agent}) was ended by {by}: {state.terminal}")
    if isinstance(state.terminal, RunCompleted) and agent in STOPPED:
        wrong.append(f"{key} ({agent}) completed")
    if agent in {"breeder", "swarm"} and _children(events) > FAMILY:
        wrong.append(f"{key} ({agent}) has {_children(events)} children")
    return [*wrong, *(_ran_on(key, state, entries) if agent == "looper" else ())]


def _children(events: Sequence[Event]) -> int:
    return len({event.child for event in events if isinstance(event, ChildSpawned)})


def _ran_on(key: RunKey, state: RunState, entries: Sequence[Stored]) -> list[str]:
    """What a looper began although its closed guard had not done yet what it had to: more than its credit."""
    wrong: list[str] = []
    turns = sum(isinstance(event, ModelResponded) for entry in entries for event in _events(entry))
    if state.claims == 1 and turns > MOST_TURNS:
        wrong.append(f"{key} made {turns} turns, {MOST_TURNS} are possible under a closed guard")
    done = {entry.record.id: place for place, entry in enumerate(entries) if entry.record}
    for place, said in _due(key, state, entries):
        until = done.get(said.event.id, len(entries))
        late = [number for number in range(place + CREDIT + 1, until) if _begun(entries[number])]
        wrong += [f"{key} began an effect {number - place} entries behind a {said.event.action}" for number in late[:1]]
    return wrong


def _due(key: RunKey, state: RunState, entries: Sequence[Stored]) -> Iterator[tuple[int, Said]]:
    """What its guard has to do, and at which entry."""
    if state.created is None:
        return
    guard = watched("loop", key, state.created, guard=LoopGuard(SETTINGS), mode="enforce")
    for place, entry in enumerate(entries):
        for said in guard.see(entry):
            if said.event.action in ("nudge", "kill") and not said.unread:
                yield place, said


def _begun(entry: Stored) -> bool:
    return any(isinstance(event, ModelRequested | ToolRequested) for event in _events(entry))


def _events(entry: Stored) -> Sequence[Event]:
    return () if entry.record is None else entry.record.events
