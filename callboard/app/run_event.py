"""Pure: an event of a run as a client sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from callboard.bus.deltas import ModelDelta, TextReplaced
from callboard.bus.messages import Event
from callboard.bus.ports import Stored


@dataclass(frozen=True, slots=True)
class RunEvent:
    """An event of a run's journal. Events that were written together have the same ``sequence`` and ``at``."""

    sequence: int
    at: datetime | None
    event: Event


@dataclass(frozen=True, slots=True)
class TextEvent:
    """Text of an answer, before the journal has it. ``sequence`` is that of the last entry before it."""

    sequence: int
    event: ModelDelta | TextReplaced
    at: datetime | None = None


def run_events(entry: Stored, *, after: int = 0) -> tuple[RunEvent, ...]:
    """The events of an entry; none if it does not validate, or is not behind ``after``."""
    if entry.record is None or entry.sequence <= after:
        return ()
    at = entry.at or entry.record.at
    return tuple(RunEvent(entry.sequence, at, event) for event in entry.record.events)
