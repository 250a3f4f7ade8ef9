"""Shell: guards asked in the worker before an effect starts: the reducers of the sidecars, fed by the owner's entries.

What is done in the mode ``enforce``: ``deny`` refuses, ``throttle`` waits, ``pause`` and ``kill`` are appended to the
journal, as the sidecar would (it never sees an intent that was not written). In the other modes these are only said.
``observe``, ``warn`` and ``nudge`` are the sidecar's, which sees the intent once it is written. There is no ``tick``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import anyio

from callboard.actors.gate import GRANT, Answer, Ask, NoGate, Refusal, RunGate
from callboard.bus.messages import Event, Problem, Record, RunKilled, RunPaused
from callboard.bus.ports import Journals
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.config.once import once
from callboard.config.spec import AgentSpec
from callboard.guards.hosted import Hosted, by, kill_id, missing_of, pause_name
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.guards.preview import Judged, Previewer, ahead, said, seconds_left, seen_in
from callboard.guards.speaking import Say

_THROTTLE_SECONDS: Final = 1.0
"""For a ``throttle`` that does not say how long."""
_HINT: Final = "do something else; if it must be this, say why in your answer"


class ReducerGates:
    """Implements ``Gates`` for guards with ``gates = True``."""

    def __init__(self, hosted: Sequence[Hosted], journals: Journals, say: Say, clock: Clock) -> None:
        self.journals, self.say, self.clock = journals, say, clock
        self.asked_of = once(partial(_gating, hosted))
        """Those that are asked before the effects of a spec's runs."""

    def enter(self, key: RunKey) -> RunGate:
        """The guards of one run; which ones, its spec says at the first effect."""
        return _RunReducers(self, key)


@dataclass(slots=True)
class _RunReducers(NoGate):
    gates: ReducerGates
    key: RunKey
    _guards: tuple[Previewer, ...] | None = None
    _kept: list[tuple[int, Record, datetime]] = field(default_factory=list[tuple[int, Record, datetime]])
    """The entries, for guards that sleep, and before the first effect asked for all of them."""
    _last: int = 0
    _awake: Sequence[Previewer] = ()
    _asleep: Sequence[Previewer] = ()

    def folded(self, sequence: int, record: Record | None) -> None:
        self._last = sequence
        if record is None or self._guards == ():
            return
        now = record.at or self.gates.clock.now()
        for guard in self._awake:
            self._show(guard, sequence, record, now)
        if self._asleep or self._guards is None:
            self._kept.append((sequence, record, now))
            self._rouse(record.events)

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        if self._guards is None:
            self._meet(tuple(_asked(self.gates.asked_of(ask.spec), ask.spec, self.key)))
        if not self._awake:
            return GRANT
        now = self.gates.clock.now()
        events = ahead(ask, self._last, now)
        judged = [each for guard in self._awake if (each := guard.judge(ask.call, events))]
        for each in judged:
            self.gates.say(ask.key.tenant, said(ask, each, at=now, sequence=self._last))
        acting = [each for each in judged if each.acts]
        return self._act(ask, acting) if acting else GRANT

    def _meet(self, guards: tuple[Previewer, ...]) -> None:
        self._guards = guards
        self._sort()
        for guard in self._awake:
            self._catch_up(guard)
        self._rouse([event for _, record, _ in self._kept for event in record.events])

    def _sort(self) -> None:
        guards = self._guards or ()
        self._awake = [guard for guard in guards if guard.awake]
        self._asleep = [guard for guard in guards if not guard.awake]

    def _rouse(self, events: Sequence[Event]) -> None:
        """Let those that ``events`` wake see all that has happened; forget it when nobody sleeps any more."""
        for guard in self._asleep:
            if guard.is_woken_by(events):
                guard.awake = True
                self._catch_up(guard)
                self._sort()
        if not self._asleep and self._guards is not None:
            self._kept.clear()

    def _catch_up(self, guard: Previewer) -> None:
        for kept in self._kept:
            self._show(guard, *kept)

    def _show(self, guard: Previewer, sequence: int, record: Record, now: datetime) -> None:
        for seen in seen_in(self.key, sequence, record, at=now):
            guard.see(seen)

    async def _act(self, ask: Ask, judged: Sequence[Judged]) -> Answer:
        refusal: Refusal | None = None
        wait = 0.0
        for each in judged:
            match each.verdict.action:
                case "kill":
                    killed = RunKilled(reason=each.verdict.reason, by=by(each.guard), guard=each.guard)
                    await self._append(killed, once=kill_id(each.guard, self.key))
                    refusal = refusal or _refusal(each)
                case "deny":
                    refusal = refusal or _refusal(each)
                case "pause":
                    await self._append(_pause(each, self.gates.clock.now()))
                case "throttle":
                    wait = max(wait, _THROTTLE_SECONDS if each.verdict.seconds is None else each.verdict.seconds)
                case _:
                    pass
        if refusal is not None:
            return refusal
        if wait:
            await anyio.sleep(min(wait, seconds_left(ask, self.gates.clock.now())))
        return GRANT  # a pause that was just appended holds the effect: no intent is written behind it

    async def _append(self, event: RunKilled | RunPaused, *, once: str = "") -> None:
        clock = self.gates.clock
        await self.gates.journals.signal(self.key, Record(id=once or clock.new_id(), at=clock.now(), events=(event,)))


def _gating(hosted: Sequence[Hosted], spec: AgentSpec) -> tuple[Hosted, ...]:
    return tuple(each for each in hosted if _gates(each, spec))


def _gates(each: Hosted, spec: AgentSpec) -> bool:
    try:
        made = each.make(spec)
    except Exception:  # noqa: BLE001 - the code of others: whoever makes it for a run deals with it
        return True
    return made is not None and made[0].gates


def _asked(hosted: Sequence[Hosted], spec: AgentSpec, key: RunKey) -> Iterator[Previewer]:
    for each in hosted:
        try:
            made = each.make(spec)
            if made is not None:
                guard, mode = made
                missing, awake = missing_of(spec, each.name, guard), type(guard).wakes is Guard[Any].wakes
                yield Previewer(each.name, guard, mode, missing, guard.start(key), awake=awake)
        except Exception as error:  # noqa: BLE001 - the code of others: it fails as a guard that raises does
            yield Previewer(each.name, _Unmade(error), "enforce", each.missing, None, awake=True)


class _Unmade(Guard[None]):
    """Stands for a guard that could not be made."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def start(self, run: RunKey) -> None:
        """Nothing."""

    def observe(self, state: None, seen: Seen) -> tuple[None, Sequence[Verdict]]:  # noqa: ARG002 - the port's
        raise self._error


def _refusal(judged: Judged) -> Refusal:
    kind = "killed" if judged.verdict.action == "kill" else "denied"
    return Refusal(judged.guard, Problem(kind=kind, message=judged.verdict.reason, hint=_HINT))


def _pause(judged: Judged, now: datetime) -> RunPaused:
    seconds = judged.verdict.seconds
    until = None if seconds is None else now + timedelta(seconds=seconds)
    name, reason = pause_name(judged.guard), judged.verdict.reason
    return RunPaused(name=name, reason=reason, by=by(judged.guard), guard=judged.guard, until=until)
