"""Pure: an effect that may start, as the events that its journal would have: what a guard is asked in the worker."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, assert_never

from callboard.actors.gate import Ask
from callboard.actors.identity import idempotency_key
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_words import Action, Missing, Mode
from callboard.bus.messages import (
    DoubtPolicy,
    Event,
    ModelRequested,
    ModelResponded,
    Record,
    RunPaused,
    RunResumed,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.guards.hosted import pause_name
from callboard.guards.kit import ACTIONS, Guard, Seen, Verdict, answer_of

_GATED: Final = frozenset(ACTIONS[ACTIONS.index("throttle") :])
"""What a gate acts on. The rest is the sidecar's, which sees the intent once it is written."""


def seen_in(key: RunKey, sequence: int, record: Record, *, at: datetime) -> Iterator[Seen]:
    """The events of one entry; ``at`` if the record does not say when it was written."""
    for place, event in enumerate(record.events):
        yield Seen(key, sequence, record.at or at, event, record.owner, record.id, place)


def ahead(ask: Ask, last: int, now: datetime) -> Sequence[Seen]:
    """What the journal gets when the effect starts, as one entry behind ``last``: the intent is the last of it.

    Of the intent only ``reserved`` is missing: other gates may be asked after this one.
    """
    events = (*ask.pending, intent_of(ask))
    return tuple(Seen(ask.key, last + 1, now, event, ask.state.owner, "", n) for n, event in enumerate(events))


def intent_of(ask: Ask) -> ModelRequested | ToolRequested:
    """The intent that ``ask`` is about."""
    match ask.kind:
        case "model":
            return ModelRequested(
                call=ask.call, attempt=ask.attempt, model=ask.name, wrap_up=ask.wrap_up, purpose=ask.purpose
            )
        case "tool" | "step":
            return ToolRequested(
                call=ask.call,
                tool=ask.name,
                effect=ask.effect,
                key=idempotency_key(ask.key, ask.call),
                attempt=ask.attempt,
                in_doubt=_policy(ask),
            )
        case _:
            assert_never(ask.kind)


def _policy(ask: Ask) -> DoubtPolicy:
    if ask.kind == "step":
        return "ask" if ask.effect == "critical" else "continue"
    tool = ask.spec.tool(ask.name)
    return "continue" if tool is None else tool.in_doubt


def seconds_left(ask: Ask, now: datetime) -> float:
    """Until the run's deadline, never below 0."""
    created = ask.state.created
    if created is None or created.deadline is None:
        return math.inf
    return max(0.0, (created.deadline - now).total_seconds())


@dataclass(frozen=True, slots=True)
class Judged:
    """What a guard says of an effect, and under which name and in which mode."""

    guard: str
    mode: Mode
    verdict: Verdict

    @property
    def acts(self) -> bool:
        """Is it done, and not only said?"""
        return self.mode == "enforce"


@dataclass(slots=True)
class Previewer:
    """One guard over one run: what it has seen, and what it would say of an effect. ``name`` is its name on the bus."""

    name: str
    guard: Guard[Any]
    mode: Mode
    missing: Missing
    state: Any
    awake: bool = False
    """Must it be asked? See ``Guard.wakes``."""
    _named: dict[str, tuple[Verdict, ...]] = field(default_factory=dict[str, "tuple[Verdict, ...]"])
    """Verdicts on calls that have no outcome yet."""
    _pause: RunPaused | None = None
    _resumed: bool = False
    """Was its pause ended by somebody? Then the next effect may start, whatever it says: once."""
    _failed: bool = False
    """Was it said that it raises? Of an open guard that is said once: nothing else comes of it."""

    def see(self, seen: Seen) -> None:
        """An event that is in the journal."""
        try:
            self.state, verdicts = answer_of(self.guard, self.guard.observe(self.state, seen))
        except Exception:  # noqa: BLE001 - it has not seen this event, neither here nor in the sidecar, which says so
            return
        for verdict in verdicts:
            if verdict.call and verdict.action in _GATED:
                self._named[verdict.call] = (*self._named.get(verdict.call, ()), verdict)
        self._follow(seen.event)

    def _follow(self, event: Event) -> None:
        match event:
            case ToolReturned() | ModelResponded():
                self._named.pop(event.call, None)
            case RunPaused(name=name) if name == pause_name(self.name):
                self._pause, self._resumed = event, False
            case RunResumed(name=name) if name == pause_name(self.name):
                self._pause, self._resumed = None, True
            case ToolRequested() | ModelRequested():
                self._pause, self._resumed = None, False
            case _:
                pass

    def is_woken_by(self, events: Sequence[Event]) -> bool:
        """Must it be asked after these? If it cannot say so, it must."""
        try:
            return any(map(self.guard.wakes, events))
        except Exception:  # noqa: BLE001 - as above
            return True

    def judge(self, call: str, events: Sequence[Seen]) -> Judged | None:
        """The strongest that it says of the effect ``call`` whose intent is the last of ``events``; its state stays.

        If it raises: closed, it denies; open, the effect starts, and the first time a warning is said.
        """
        try:
            found = self._verdicts(call, events)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            action: Action = "deny" if self.missing == "closed" else "warn"
            if action == "warn" and self._failed:
                return None
            self._failed = True
            return Judged(self.name, self.mode, Verdict(action, f"guard {self.name} failed: {error!r}", call=call))
        if self._resumed or self._is_over(events[-1].at):
            found = [verdict for verdict in found if verdict.action != "pause"]
        strongest = max(found, key=lambda verdict: ACTIONS.index(verdict.action), default=None)
        return None if strongest is None else Judged(self.name, self.mode, strongest)

    def _verdicts(self, call: str, events: Sequence[Seen]) -> list[Verdict]:
        state, found = self.state, list(self._named.get(call, ()))
        for seen in events:
            state, verdicts = answer_of(self.guard, self.guard.observe(state, seen))
            found += (each for each in verdicts if each.call == call or (not each.call and seen is events[-1]))
        return [verdict for verdict in found if verdict.action in _GATED]

    def _is_over(self, now: datetime) -> bool:
        return self._pause is not None and self._pause.until is not None and self._pause.until <= now


def said(ask: Ask, judged: Judged, *, at: datetime, sequence: int) -> GuardEvent:
    """The guard event of what a gate did. Asked again for the same attempt, it says the same under the same id."""
    verdict = judged.verdict
    return GuardEvent(
        id=event_id(ask, judged.guard, verdict.action),
        at=at,
        guard=judged.guard,
        action=verdict.action,
        mode=judged.mode,
        acted=judged.acts,
        reason=verdict.reason,
        run=ask.key.run,
        agent=ask.spec.name,
        call=ask.call,
        sequence=sequence,
        evidence=verdict.evidence,
        threshold=verdict.threshold,
        value=verdict.value,
        data=verdict.data,
    )


def event_id(ask: Ask, guard: str, action: Action, mark: str = "gate") -> str:
    """The id of what ``guard`` says of this attempt of this call."""
    what = f"{ask.key}/{guard}/{ask.call}/{ask.attempt}/{action}/{mark}"
    return hashlib.sha256(what.encode()).hexdigest()[:32]
