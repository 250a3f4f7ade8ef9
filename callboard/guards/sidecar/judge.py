"""Pure: a guard on one run. The same entries give the same verdicts with the same ids, wherever one begins again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_words import Mode
from callboard.bus.messages import TERMINAL, ModelRequested, RunCreated, ToolRequested
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.errors import ConfigError
from callboard.guards.kit import Guard, Seen, Verdict, answer_of

TICK: Final = -1
"""The place of a verdict that no event led to."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict on its way out: its event, which has not been ``acted`` on, how long to pause, and when it was due.

    ``gated``: it is about an effect that the guard was asked about in the worker, before it started. ``unread``: the
    run has not been given the nudge that it rests on.
    """

    event: GuardEvent
    seconds: float | None
    at: datetime
    gated: bool = False
    unread: bool = False


@dataclass(slots=True)
class Watched:
    """A guard on one run. ``sequence`` is the last entry judged; ``killed``: it has told the run to end."""

    key: RunKey
    name: str
    guard: Guard[Any]
    mode: Mode
    agent: str
    policy: str
    state: Any
    sequence: int = 0
    over: bool = False
    killed: bool = False
    _raised: bool = False
    _ticked: set[str] = field(default_factory=set[str])

    def see(self, entry: Stored) -> Sequence[Said]:
        """Judge one entry. Those that were judged, or come after the end, change nothing."""
        if self.over or entry.sequence <= self.sequence:
            return ()
        self.sequence = entry.sequence
        self._ticked.clear()
        if entry.record is None:
            return ()
        out: list[Said] = []
        at = entry.at or _NEVER
        for place, event in enumerate(entry.record.events):
            seen = Seen(self.key, entry.sequence, at, event, entry.record.owner, entry.record.id, place)
            said = self._ask(partial(self._observe, seen), place, at)
            gated = self.guard.gates and isinstance(event, ModelRequested | ToolRequested)
            out += (replace(each, gated=True) for each in said) if gated else said
            self.over = self.over or event.type in TERMINAL
        return out

    def tick(self, now: datetime) -> Sequence[Said]:
        """Time has passed. What was said since the last entry is not said again."""
        out: list[Said] = []
        for said in self._ask(partial(self._tick, now), TICK, now):
            if said.event.id not in self._ticked:
                self._ticked.add(said.event.id)
                out.append(said)
        return out

    def _observe(self, seen: Seen) -> tuple[Any, Sequence[Verdict]]:
        return self.guard.observe(self.state, seen)

    def _tick(self, now: datetime) -> tuple[Any, Sequence[Verdict]]:
        return self.guard.tick(self.state, now)

    def _ask(self, reduce: Callable[[], tuple[Any, Sequence[Verdict]]], place: int, at: datetime) -> Sequence[Said]:
        try:
            state, verdicts = answer_of(self.guard, reduce())
            said = [self._said(verdict, place, index, at) for index, verdict in enumerate(verdicts)]
        except Exception as error:  # noqa: BLE001 - a guard may raise anything, and ends nothing by it
            return self._fault(error, place, at)
        self.state = state
        return said

    def _fault(self, error: Exception, place: int, at: datetime) -> Sequence[Said]:
        """It says so once, keeps the state that it had, and is asked again at the next event."""
        if self._raised:
            return ()
        self._raised = True
        reason = f"the guard {self.name!r} raised {type(error).__name__}: {error}"
        return (self._said(Verdict("warn", reason), place, 0, at),)

    def _said(self, verdict: Verdict, place: int, index: int, at: datetime) -> Said:
        event = GuardEvent(
            id=identity(self.name, self.key, self.sequence, place=place, action=verdict.action, index=index),
            at=at,
            guard=self.name,
            action=verdict.action,
            mode=self.mode,
            reason=verdict.reason,
            run=self.key.run,
            agent=self.agent,
            call=verdict.call,
            sequence=self.sequence,
            evidence=verdict.evidence,
            threshold=verdict.threshold,
            value=verdict.value,
            policy=self.policy,
            data=verdict.data,
        )
        return Said(event, verdict.seconds, at, unread=verdict.unread)


class Unmade(Guard[None]):
    """Stands for a guard that could not be made: it raises why."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def start(self, run: RunKey) -> None:
        """Nothing."""

    def observe(self, state: None, seen: Seen) -> tuple[None, Sequence[Verdict]]:  # noqa: ARG002 - it sees nothing
        raise ConfigError(self._problem)


def watched(name: str, key: RunKey, created: RunCreated, *, guard: Guard[Any], mode: Mode) -> Watched:
    """A guard on a run of which nothing was seen yet."""
    try:
        state = guard.start(key)
    except Exception as error:  # noqa: BLE001 - as above
        guard, state = Unmade(f"its start raised {type(error).__name__}: {error}"), None
    return Watched(key, name, guard, mode, created.agent, created.digest, state)


def identity(guard: str, key: RunKey, sequence: int, *, place: int, action: str, index: int) -> str:
    """The id of a verdict, and of the signal that carries it out: the same in every process, also the next one."""
    text = json.dumps([guard, key.tenant, key.run, sequence, place, action, index])
    return f"g{hashlib.sha256(text.encode()).hexdigest()[:39]}"


def created_in(entries: Sequence[Stored]) -> RunCreated | None:
    """The event that the run begins with."""
    for entry in entries:
        if entry.record is not None and entry.record.owner:
            for event in entry.record.events:
                if isinstance(event, RunCreated):
                    return event
    return None
