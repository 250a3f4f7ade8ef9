"""Pure: what a journal says, as data. ``fold`` makes it, everything else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Self, assert_never

from callboard.actors.accounts import Accounts
from callboard.actors.relief import NONE, Relief
from callboard.bus.messages import (
    ChildFinished,
    ChildSpawned,
    Content,
    DoubtPolicy,
    Effect,
    GuardDenied,
    ModelResponded,
    Outcome,
    OutputRejected,
    Prefix,
    Problem,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunPaused,
    RunSettled,
    RunSteered,
    SignalReceived,
    Usage,
    Wait,
)
from callboard.bus.values import Purpose

_EMPTY: Mapping[str, Any] = MappingProxyType({})
RERUN: frozenset[Effect] = frozenset({"pure", "idempotent"})
"""Effects that a new owner may start again (with the same key)."""


class Evolving:
    """Frozen data that is copied for every event: without slots, a dict is copied ten times as fast as fields are."""

    def evolve(self, **changes: object) -> Self:
        """A copy with ``changes``: ``dataclasses.replace``, at a twentieth of its cost."""
        copy = object.__new__(type(self))
        object.__setattr__(copy, "__dict__", {**self.__dict__, **changes})
        return copy


@dataclass(frozen=True)
class Call(Evolving):
    """A model call or a tool call (or a step) as the journal knows it.

    ``open``: an intent without a result; ``failed``: a model call that may be tried again; ``doubt``: see
    ``tool.in_doubt``; ``retry``: in doubt, and somebody said that it did not happen; ``done``: it has its outcome.
    """

    call: str
    kind: Literal["model", "tool"]
    status: Literal["open", "failed", "doubt", "retry", "done"]
    owner: str
    sequence: int
    attempt: int = 1
    name: str = ""
    effect: Effect = "idempotent"
    key: str = ""
    policy: DoubtPolicy = "continue"
    result: Content = Content()
    problem: Problem | None = None
    retry_at: datetime | None = None
    asked: tuple[int, ...] = ()
    """Of a model call: the place in the agent's models that each attempt went to since a guard put the call off."""
    left: frozenset[int] = frozenset()
    """The places that are not asked again until a guard puts the call off."""
    barred: frozenset[int] = frozenset()
    """The places that are not asked again at all."""
    purpose: Purpose = "turn"

    @property
    def forgiven(self) -> int:
        """Attempts before a guard put the call off: they do not count."""
        return self.attempt - len(self.asked)

    @property
    def repeatable(self) -> bool:
        """May a new owner start it again without knowing what became of it?"""
        return self.kind == "model" or self.effect in RERUN


@dataclass(frozen=True, slots=True)
class Timer:
    """A durable timer: due at ``at``, ``fired`` once its signal is in the journal."""

    at: datetime
    fired: bool = False


@dataclass(frozen=True)
class RunState(Evolving):
    """The fold of a journal up to ``sequence``. ``entries`` counts its records."""

    sequence: int = 0
    entries: int = 0
    foreign: int = 0
    """The first major version met that this code does not know; 0: none. Nothing may be decided from such a state."""
    created: RunCreated | None = None
    owner: str = ""
    """Token of the last claim; ``""``: never claimed."""
    claim: int = 0
    """Journal sequence of the last claim."""
    task: int = 0
    """Stream sequence of the task message that the last claim rests on."""
    worker: str = ""
    attempts: int = 0
    """Claims since the last suspension."""
    claims: int = 0
    suspended: int = 0
    """Journal sequence of the suspension that holds; 0: not suspended."""
    waits: tuple[tuple[Wait, ...], ...] = ()
    terminal: RunCompleted | RunFailed | RunKilled | None = None
    ended: int = 0
    """Journal sequence of the terminal."""
    settled: RunSettled | None = None
    turns: tuple[ModelResponded | RunSteered | OutputRejected, ...] = ()
    notes: frozenset[str] = frozenset()
    """Ids of the records that steered or raised the budget: these have nothing else to tell their repetition by."""
    calls: Mapping[str, Call] = field(default_factory=lambda: _EMPTY)
    children: Mapping[str, ChildSpawned] = field(default_factory=lambda: _EMPTY)
    published: frozenset[str] = frozenset()
    """Children spawned before a suspension: their tasks are out."""
    finished: Mapping[str, ChildFinished] = field(default_factory=lambda: _EMPTY)
    timers: Mapping[str, Timer] = field(default_factory=lambda: _EMPTY)
    signals: Mapping[str, SignalReceived] = field(default_factory=lambda: _EMPTY)
    pauses: Mapping[str, RunPaused] = field(default_factory=lambda: _EMPTY)
    """The pauses that nobody has ended, by name. Those with ``until`` end by themselves."""
    paused_at: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: _EMPTY)
    """Their journal sequences, by name: one name may have been paused several times."""
    let_go: frozenset[str] = frozenset()
    """The pauses from above that are over, by name: they never come again."""
    denied: GuardDenied | None = None
    """What a guard said of the next model call; None once one was allowed to start (except to wrap up)."""
    prefix: Prefix | None = None
    """What the last request of a turn began with, but for one that wraps up, which is like no other."""
    relief: Relief = NONE
    """What of all this its model does not read any more."""
    wrapped: bool = False
    """Did the turn start that wraps up?"""
    late: frozenset[str] = frozenset()
    """Calls whose result came after the terminal."""
    usage: Usage = Usage()
    """What answered calls used."""
    accounts: Accounts = Accounts()
    """What counts against the run's budget."""

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended, None while it has not."""
        match self.terminal:
            case RunCompleted():
                return "completed"
            case RunFailed():
                return "failed"
            case RunKilled():
                return "killed"
            case None:
                return None
            case _:
                assert_never(self.terminal)

    @property
    def status(self) -> Literal["queued", "running", "suspended", "completed", "failed", "killed"]:
        """One word for people."""
        if self.outcome is not None:
            return self.outcome
        if not self.owner:
            return "queued"
        return "suspended" if self.suspended else "running"

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Children that were spawned and have not finished, in the order of their spawning."""
        return tuple(child for child in self.children if child not in self.finished)

    @property
    def rejected(self) -> tuple[OutputRejected, ...]:
        """Its answers that were not what the agent's ``output`` says."""
        return tuple(turn for turn in self.turns if isinstance(turn, OutputRejected))

    @property
    def in_doubt(self) -> tuple[str, ...]:
        """Calls that must not run twice and of which nobody knows whether they took effect."""
        return tuple(
            call.call
            for call in self.calls.values()
            if call.call not in self.late
            and (call.status == "doubt" or (call.status == "open" and not call.repeatable))
        )

    def owns(self, token: str) -> bool:
        """Is ``token`` the owner of a run that is neither suspended nor over?"""
        return self.owner == token and not self.suspended and self.terminal is None


def arrived(state: RunState, wait: Wait) -> bool:
    """Is what ``wait`` names in the journal?"""
    match wait.kind:
        case "child":
            return wait.name in state.finished
        case "timer":
            timer = state.timers.get(wait.name)
            return timer is not None and timer.fired
        case "signal":
            return wait.name in state.signals
        case "resolution":
            call = state.calls.get(wait.name)
            return call is not None and call.status != "doubt"
        case "go":
            return wait.name not in state.pauses
        case _:
            assert_never(wait.kind)


def ready(state: RunState, waits: tuple[tuple[Wait, ...], ...]) -> bool:
    """Is one of the groups complete? A suspension that names nothing (``run.released``) is always ready."""
    return not waits or any(all(arrived(state, wait) for wait in group) for group in waits)
