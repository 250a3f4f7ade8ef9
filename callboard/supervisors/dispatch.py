"""Pure: what the dispatcher owes for one journal entry. Everything in it may be done twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from callboard.actors.inherited import ends_of_child, of_child
from callboard.actors.state import RunState, ready
from callboard.bus.messages import (
    TERMINAL,
    ChildFinished,
    Outcome,
    Problem,
    Record,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunPaused,
    RunResumed,
)


@dataclass(frozen=True, slots=True)
class PublishResume:
    """Publish a resume task for the signal at ``signal``."""

    signal: int


@dataclass(frozen=True, slots=True)
class TellParent:
    """Append ``child.finished`` to the parent's journal."""

    parent: str
    event: ChildFinished


@dataclass(frozen=True, slots=True)
class KillChild:
    """Append ``run.killed`` to a child's journal, also to one that is still empty."""

    child: str
    event: RunKilled


@dataclass(frozen=True, slots=True)
class HandDown:
    """Append to a child's journal that a pause above it begins or ends; also to one that is still empty."""

    child: str
    event: RunPaused | RunResumed


Duty: TypeAlias = PublishResume | TellParent | KillChild | HandDown
SIGNALS_THAT_WAKE = frozenset(
    {"run.released", "run.steered", "run.resumed", "child.finished", "timer.fired", "signal.received", "tool.resolved"}
)


def concerns(events: tuple[str, ...] | None, family: str) -> bool:
    """May an entry with these headers owe anything? ``events`` None: no header, so the journal must be read."""
    if events is None:
        return True
    if any(kind in SIGNALS_THAT_WAKE or kind == "run.paused" for kind in events):
        return True
    return any(kind in TERMINAL for kind in events) and family != "none"


def duties(run: str, sequence: int, record: Record | None, state: RunState, *, parent: str = "") -> tuple[Duty, ...]:
    """What the entry ``record`` at ``sequence`` of the journal of ``run`` owes, by ``state`` folded at least up to it.

    ``parent`` is the parent's run id from the header, for a run that was killed before it was created.
    """
    if record is None:
        return ()
    kinds = {event.type for event in record.events}
    if kinds & TERMINAL and state.terminal is not None:
        return _after_the_end(run, record, state, parent)
    if kinds & SIGNALS_THAT_WAKE and state.suspended and state.terminal is None:
        return (PublishResume(sequence),) if ready(state, state.waits) else ()
    return ()


def handed_down(
    run: str, sequence: int, record: Record | None, before: RunState, state: RunState
) -> tuple[HandDown, ...]:
    """What ``record`` at ``sequence`` owes to children, if it pauses or resumes the run.

    ``before`` is folded up to that entry, without it; ``state`` at least up to it. Children that are spawned later get
    what holds then from their owner, before their task.
    """
    if record is None or state.terminal is not None:
        return ()
    news: list[RunPaused | RunResumed] = []
    for event in record.events:
        if isinstance(event, RunResumed):
            news += ends_of_child(run, before, event)
        elif isinstance(event, RunPaused) and sequence in state.paused_at.get(event.name, ()):
            news.append(of_child(run, sequence, event))
    return tuple(HandDown(child, event) for child in state.unfinished for event in news)


def _after_the_end(run: str, record: Record, state: RunState, header: str) -> tuple[Duty, ...]:
    above = _parent_of(record, state, header)
    owed: list[Duty] = [TellParent(above, finished(run, state))] if above else []
    killed = RunKilled(reason=f"its parent {run} is {state.outcome}", by="dispatcher", parent=run)
    owed += [KillChild(child, killed) for child in state.unfinished]
    return tuple(owed)


def _parent_of(record: Record, state: RunState, header: str) -> str:
    if state.created is not None:
        return state.created.parent.run if state.created.parent is not None else ""
    named = next((event.parent for event in record.events if isinstance(event, RunKilled) and event.parent), None)
    return named or header


def finished(run: str, state: RunState) -> ChildFinished:
    """The ``child.finished`` that tells how ``run`` ended. ``state`` has a terminal."""
    outcome: Outcome = state.outcome or "killed"
    spent = state.accounts.spent.amount()
    match state.terminal:
        case None:
            return ChildFinished(child=run, outcome=outcome)
        case RunKilled() as killed:
            from_whom = Problem(kind="killed", message=killed.reason or "killed", hint=f"by {killed.by or 'unknown'}")
            return ChildFinished(child=run, outcome=outcome, problem=from_whom, spent=spent)
        case RunFailed() as failed:
            return ChildFinished(child=run, outcome=outcome, problem=failed.problem, spent=spent)
        case RunCompleted() as completed:
            return ChildFinished(child=run, outcome=outcome, result=completed.result, spent=spent)
        case _:
            assert_never(state.terminal)
