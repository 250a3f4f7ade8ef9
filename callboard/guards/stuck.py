"""Pure: the sweeper of stuck runs. A run that a worker holds and in which nothing happens is warned of, then killed.

A run that waits is not stuck: suspended, paused, backing off, or in a step that may take that long. What others write
to a run is no sign of life of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from callboard.bus.guard_words import Missing
from callboard.bus.messages import (
    TERMINAL,
    Event,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    RunClaimed,
    RunPaused,
    RunReleased,
    RunResumed,
    RunSuspended,
    ToolInDoubt,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.guards import StuckSettings
from callboard.config.spec import AgentSpec
from callboard.config.times import duration
from callboard.guards.kit import Guard, Seen, Verdict

_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Step:
    """An effect that has begun: what it is, where its intent stands, and the seconds that it may take."""

    name: str
    sequence: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stillness:
    """What is known of one run.

    ``owner`` is who holds it, ``""`` while nobody does; ``since`` and ``sequence``: its last sign of life; ``warned``:
    when this guard did.
    """

    owner: str = ""
    since: datetime | None = None
    sequence: int = 0
    steps: Mapping[str, Step] = field(default_factory=lambda: _EMPTY)
    pauses: Mapping[str, datetime | None] = field(default_factory=lambda: _EMPTY)
    """Until when, by their names; None: until somebody resumes the run."""
    let_go: frozenset[str] = frozenset()
    """The names of pauses that are over. One from above does not come again."""
    over: bool = False
    warned: datetime | None = None
    killed: bool = False

    def alive(self, at: datetime, sequence: int) -> Stillness:
        """The same after a sign of life."""
        since = at if self.since is None else max(self.since, at)
        return replace(self, since=since, sequence=sequence, warned=None, killed=False)


class StuckGuard(Guard[Stillness]):
    """Warns after ``factor`` times the step's timeout without an event, and kills after as long again.

    The second period begins with the warning that this process gave: what happened while no guard ran kills nothing.
    """

    name: ClassVar[str] = "stuck"
    missing: ClassVar[Missing] = "open"

    def __init__(self, settings: StuckSettings, spec: AgentSpec) -> None:
        self._factor = settings.factor
        self._limits = spec.limits
        self._tools = {tool.name: tool.timeout for tool in spec.tools}

    def start(self, run: RunKey) -> Stillness:  # noqa: ARG002 - all runs begin alike
        """Nobody holds it."""
        return Stillness()

    def observe(self, state: Stillness, seen: Seen) -> tuple[Stillness, Sequence[Verdict]]:
        """Never says anything: what happens is a sign of life."""
        return self._fold(state, seen), ()

    def tick(self, state: Stillness, now: datetime) -> tuple[Stillness, Sequence[Verdict]]:
        """Warns or kills if it has been silent for too long."""
        since = _silent_since(state, now)
        if since is None or state.killed:
            return state, ()
        allowed = self._allowed(state)
        silent = (now - since).total_seconds()
        if silent < allowed:
            return state, ()
        if state.warned is None or state.warned < since:
            return replace(state, warned=now), (_verdict("warn", state, silent, allowed),)
        if (now - state.warned).total_seconds() < allowed:
            return state, ()
        return replace(state, killed=True), (_verdict("kill", state, silent, allowed),)

    def _fold(self, state: Stillness, seen: Seen) -> Stillness:
        event, at = seen.event, seen.at
        if state.over:
            return state
        if event.type in TERMINAL:
            return replace(state, over=True)
        match event:
            case RunClaimed() if seen.owner:
                return replace(state, owner=seen.owner).alive(at, seen.sequence)
            case RunReleased():
                return replace(state, owner="")
            case RunPaused() if not event.parent or event.name not in state.let_go:
                return replace(state, pauses={**state.pauses, event.name: event.until})
            case RunResumed():
                left = {name: until for name, until in state.pauses.items() if name != event.name}
                went_on = replace(state, pauses=left, let_go=state.let_go | {event.name})
                return went_on.alive(at, seen.sequence) if event.name in state.pauses else went_on
            case _ if seen.owner and seen.owner == state.owner:
                return self._own(state, event, seen).alive(at, seen.sequence)
            case _:
                return state

    def _own(self, state: Stillness, event: Event, seen: Seen) -> Stillness:
        """What its owner wrote."""
        match event:
            case RunSuspended():
                return replace(state, owner="")
            case ModelRequested() | ToolRequested():
                return replace(state, steps={**state.steps, event.call: self._step(event, seen.sequence)})
            case ModelResponded() | ModelFailed() | ToolReturned() | ToolInDoubt():
                state = replace(state, steps={call: step for call, step in state.steps.items() if call != event.call})
                return _back_off(state, event, seen) if isinstance(event, ModelFailed) else state
            case GuardDenied():
                return _back_off(state, event, seen)
            case _:
                return state

    def _step(self, intent: ModelRequested | ToolRequested, sequence: int) -> Step:
        if isinstance(intent, ModelRequested):
            return Step(f"the model call {intent.call}", sequence, self._limits.model_timeout)
        seconds = intent.timeout or self._tools.get(intent.tool) or self._limits.tool_timeout
        return Step(f"{intent.tool!r} ({intent.call})", sequence, seconds)

    def _allowed(self, state: Stillness) -> float:
        """Seconds of silence that are nothing to worry about."""
        open_steps = [step.seconds for step in state.steps.values()]
        between = max(self._limits.model_timeout, self._limits.tool_timeout)
        return self._factor * max(open_steps, default=between)


def _back_off(state: Stillness, event: ModelFailed | GuardDenied, seen: Seen) -> Stillness:
    """It waits by itself until then: silence begins after it."""
    return state if event.retry_at is None else state.alive(max(event.retry_at, seen.at), seen.sequence)


def _silent_since(state: Stillness, now: datetime) -> datetime | None:
    """Since when nothing has happened that should have; None: nothing has to."""
    if state.over or not state.owner or state.since is None:
        return None
    since = state.since
    for until in state.pauses.values():
        if until is None or until > now:
            return None
        since = max(since, until)
    return since


def _verdict(action: Literal["warn", "kill"], state: Stillness, silent: float, allowed: float) -> Verdict:
    steps = sorted(state.steps.values(), key=lambda step: step.sequence)
    what = ", ".join(step.name for step in steps) or "nothing"
    reason = f"nothing has happened for {duration(silent)}, {duration(allowed)} are allowed; open: {what}"
    evidence = tuple(sorted({step.sequence for step in steps} | {state.sequence}))
    return Verdict(action, reason, evidence=evidence, value=round(silent, 1), threshold=allowed)
