"""Pure: what a guard would have said of a recorded run, and what would have come of it.

The reducer runs as it does live, entry by entry, with ticks between them at the entries' own times, up to its first
kill: what is recorded behind that would not have happened. It is not known how a model would have answered a nudge or
a denied call; those are counted, and the run goes on as it was recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from callboard.actors.fold import replay
from callboard.bus.guard_words import Action
from callboard.bus.messages import (
    TERMINAL,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    Outcome,
    RunCreated,
    ToolRequested,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.config.kept import known_spec
from callboard.config.spec import AgentSpec
from callboard.guards.hosted import Hosted
from callboard.guards.kit import ACTIONS
from callboard.guards.sidecar.judge import Said, Watched, created_in, watched

_TICK: Final = timedelta(seconds=1)
_COARSE: Final = 64
Respec = Callable[[RunKey, AgentSpec], AgentSpec]
"""The agent of a run, as it is to be judged."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run used behind some point of its journal. Its children have journals, and uses, of their own."""

    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    usd_micros: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.model_calls + other.model_calls,
            self.tool_calls + other.tool_calls,
            self.tokens + other.tokens,
            self.usd_micros + other.usd_micros,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One run. ``outcome`` is the recorded one, None: it was open. ``saved`` is what it used after the first kill.

    ``place`` is that of the strongest verdict's entry among the ``entries`` of the journal, from 1.
    """

    key: RunKey
    agent: str
    outcome: Outcome | None
    entries: int
    said: tuple[Said, ...]
    place: int
    saved: Spent

    @property
    def strongest(self) -> Said | None:
        """The first of the strongest verdicts."""
        return _strongest(self.said)

    @property
    def killed(self) -> bool:
        """Would it have been killed?"""
        return self.strongest is not None and self.strongest.event.action == "kill"

    @property
    def false_alarm(self) -> bool:
        """Would it have been killed, although it finished well?"""
        return self.killed and self.outcome == "completed"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all runs. ``runs`` are those that have the guard; ``skipped`` the others that were read."""

    guard: str
    trials: tuple[Trial, ...]
    skipped: int = 0

    @property
    def runs(self) -> int:
        return len(self.trials)

    def touched(self, action: Action) -> tuple[Trial, ...]:
        """The runs that would have had this verdict at least once."""
        return tuple(trial for trial in self.trials if any(said.event.action == action for said in trial.said))

    @property
    def killed(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.killed)

    @property
    def false_alarms(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.false_alarm)

    @property
    def saved(self) -> Spent:
        """What the runs that did not finish well used after their kill."""
        return sum((trial.saved for trial in self.killed if not trial.false_alarm), Spent())

    @property
    def lost(self) -> Spent:
        """What the false alarms still had to do."""
        return sum((trial.saved for trial in self.false_alarms), Spent())

    @property
    def outcomes(self) -> Counter[str]:
        """How the runs ended as they were recorded."""
        return Counter(trial.outcome or "open" for trial in self.trials)


def as_recorded(_: RunKey, spec: AgentSpec) -> AgentSpec:
    """The settings that the run had."""
    return spec


def judge(
    hosted: Hosted, key: RunKey, entries: Sequence[Stored], *, until: datetime, respec: Respec = as_recorded
) -> Trial | None:
    """One recorded run; None if it has no such guard. What came behind ``until`` does not count."""
    entries = tuple(entry for entry in entries if entry.at is None or entry.at <= until)
    created = created_in(entries)
    made = None if created is None else hosted.make(respec(key, spec_of(created)))
    if created is None or made is None:
        return None
    guard, mode = made
    run = watched(hosted.name, key, created, guard=guard, mode=mode)
    said = _up_to_kill(_said(run, entries, until))
    strongest = _strongest(said)
    place, saved = 0, Spent()
    if strongest is not None:
        place = sum(1 for entry in entries if entry.sequence <= strongest.event.sequence)
    if strongest is not None and strongest.event.action == "kill":
        saved = spent_behind(entries, strongest)
    return Trial(key, created.agent, replay(entries).outcome, len(entries), said, place, saved)


def spec_of(created: RunCreated) -> AgentSpec:
    """The agent as the run keeps it; the defaults, if it does not, or keeps what this version cannot read."""
    try:
        return known_spec(created.spec)
    except ValidationError:
        return AgentSpec(name=created.agent)


def spent_behind(entries: Iterable[Stored], said: Said) -> Spent:
    """What was used by the entries behind the one that ``said`` rests on."""
    spent, over = Spent(), False
    for entry in entries:
        if entry.record is None or entry.sequence <= said.event.sequence:
            continue
        seconds = 0.0 if entry.at is None or over else (entry.at - said.at).total_seconds()
        over = over or any(event.type in TERMINAL for event in entry.record.events)
        for event in entry.record.events:
            match event:
                case ModelRequested():
                    spent += Spent(model_calls=1)
                case ToolRequested():
                    spent += Spent(tool_calls=1)
                case ModelResponded(usage=usage) | ModelFailed(usage=usage) | ModelLateUsage(usage=usage):
                    tokens = usage.input_tokens + usage.output_tokens + usage.cached_tokens + usage.written_tokens
                    spent += Spent(tokens=tokens, usd_micros=usage.cost_usd_micros)
                case _:
                    pass
        spent += Spent(seconds=max(0.0, seconds - spent.seconds))
    return spent


def instants(after: datetime, before: datetime) -> Iterator[datetime]:
    """When time is told to a guard in between: every second, and after a minute ever more rarely."""
    at = after + _TICK
    while at < before:
        yield at
        at += max(_TICK, (at - after) / _COARSE)


def _said(run: Watched, entries: Iterable[Stored], until: datetime) -> Iterator[Said]:
    before: datetime | None = None
    for entry in entries:
        if before is not None and entry.at is not None:
            yield from _ticks(run, before, entry.at)
        yield from run.see(entry)
        before = entry.at or before
    if before is not None:
        yield from _ticks(run, before, until)


def _ticks(run: Watched, after: datetime, before: datetime) -> Iterator[Said]:
    if not run.over:
        for at in instants(after, before):
            yield from run.tick(at)


def _strongest(said: Iterable[Said]) -> Said | None:
    return max(said, key=lambda each: ACTIONS.index(each.event.action), default=None)


def _up_to_kill(said: Iterable[Said]) -> tuple[Said, ...]:
    out: list[Said] = []
    for each in said:
        out.append(each)
        if each.event.action == "kill":
            break
    return tuple(out)
