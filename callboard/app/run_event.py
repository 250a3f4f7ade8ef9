"""Pure: an event of a run as a client sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeAlias

from callboard.bus.deltas import ModelDelta, TextReplaced
from callboard.bus.messages import Event
from callboard.bus.ports import Stored


@dataclass(frozen=True, slots=True)
class RunEvent:
    """An event of a run's journal. Those written together have one ``sequence`` and ``at``, and count by ``index``."""

    sequence: int
    at: datetime | None
    event: Event
    index: int = 0


@dataclass(frozen=True, slots=True)
class TextEvent:
    """Text of an answer, before the journal has it. ``sequence`` is that of the last entry before it."""

    sequence: int
    event: ModelDelta | TextReplaced
    at: datetime | None = None


After: TypeAlias = int | RunEvent
"""Where somebody goes on: behind a sequence, or behind an event, which may have others of its entry behind it."""


def sequence_of(after: After) -> int:
    """The sequence whose entry was read, at least in part."""
    return after.sequence if isinstance(after, RunEvent) else after


def run_events(entry: Stored, *, after: After = 0) -> tuple[RunEvent, ...]:
    """The events of an entry that are behind ``after``; none if it does not validate."""
    if entry.record is None or entry.sequence < sequence_of(after):
        return ()
    known = 0
    if entry.sequence == sequence_of(after):
        known = after.index + 1 if isinstance(after, RunEvent) else len(entry.record.events)
    at = entry.at or entry.record.at
    events = (RunEvent(entry.sequence, at, event, index) for index, event in enumerate(entry.record.events))
    return tuple(islice(events, known, None))
