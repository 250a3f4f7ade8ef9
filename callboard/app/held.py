"""Pure: what holds a run back now: pauses, closed guards that it waits for, a guard that put its next call off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from callboard.actors.pauses import in_force
from callboard.actors.state import RunState
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import RunKilled, RunPaused, RunSteered
from callboard.bus.ports import Stored
from callboard.config.times import instant
from callboard.guards.pulses import HOLD

Kind: TypeAlias = Literal["pause", "guard", "later"]
_NOTHING: Final[Mapping[str, datetime]] = {}


@dataclass(frozen=True, slots=True)
class Hold:
    """``pause``: ``by`` paused it. ``guard``: it waits for a closed guard. ``later``: a guard put ``call`` off.

    ``since`` is None where nobody looked it up; ``until`` None where it does not end by itself.
    """

    kind: Kind
    by: str
    reason: str
    guard: str = ""
    call: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON; instants are ISO 8601."""
        return {
            "kind": self.kind,
            "by": self.by,
            "guard": self.guard,
            "reason": self.reason,
            "call": self.call,
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }

    def __str__(self) -> str:
        since = "" if self.since is None else f" since {instant(self.since)}"
        until = "" if self.until is None else f" until {instant(self.until)}"
        before = f" before {self.call}" if self.call else ""
        head = {"pause": "paused by", "guard": "waits for", "later": "held by"}[self.kind]
        return f"{head} {self.by}{since}{until}{before}: {self.reason}"


def holds(
    state: RunState, *, now: datetime, said: Iterable[GuardEvent] = (), paused: Mapping[str, datetime] = _NOTHING
) -> tuple[Hold, ...]:
    """All that holds a run back. ``said``: what guards said of it, in order; ``paused``: since when, by pause."""
    if state.terminal is not None:
        return ()
    found = [
        Hold("pause", who(pause), _reason(pause), pause.guard, since=paused.get(pause.name), until=pause.until)
        for pause in in_force(state, now)
    ]
    found += (
        Hold("guard", f"guard {event.guard}", reason_of(event), event.guard, event.call, since=event.at)
        for event in waited_for(state, said)
    )
    denied = state.denied
    if denied is not None and denied.retry_at is not None:
        by, reason = f"guard {denied.guard}", denied.problem.message
        found.append(Hold("later", by, reason, denied.guard, until=denied.retry_at))
    return tuple(found)


def waited_for(state: RunState, said: Iterable[GuardEvent]) -> tuple[GuardEvent, ...]:
    """The last words of the closed guards that a run waits for: until one is there again, or the run went on."""
    waits: dict[str, GuardEvent] = {}
    for event in said:
        if not is_hold(event):
            continue
        if reason_of(event):
            waits.setdefault(event.guard, event)
        else:
            waits.pop(event.guard, None)
    started = max((call.sequence for call in state.calls.values()), default=0)
    went_on = max(state.claim, state.suspended, started)
    return tuple(event for event in waits.values() if state.terminal is None and event.sequence >= went_on)


def is_hold(event: GuardEvent) -> bool:
    """Is it about a closed guard that a run waits for, or waits for no more?"""
    return isinstance(event.data, dict) and HOLD in event.data


def paused_since(entries: Sequence[Stored], state: RunState) -> Mapping[str, datetime]:
    """When the pauses of ``state`` were written, by their names."""
    return {
        event.name: entry.at
        for entry in entries
        if entry.record is not None and entry.at is not None
        for event in entry.record.events
        if isinstance(event, RunPaused) and state.pauses.get(event.name) == event
    }


def who(event: RunKilled | RunPaused | RunSteered) -> str:
    """Whose signal it is."""
    return f"guard {event.guard}" if event.guard else event.by or "somebody"


def _reason(pause: RunPaused) -> str:
    return pause.reason or "no reason given"


def reason_of(event: GuardEvent) -> str:
    """Why a closed guard holds the run back; empty: it does so no more."""
    return str(event.data[HOLD]) if isinstance(event.data, dict) else ""
