"""Pure: a reader of a run: the events of its journal with the text of its answers in between, as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from callboard.actors.fold import EMPTY, replay
from callboard.actors.state import RunState
from callboard.app.answers import NO_ANSWERS, Answers, Shown, recorded, resumed, said
from callboard.app.run_event import After, RunEvent, TextEvent, run_events, sequence_of
from callboard.bus.deltas import ModelDelta
from callboard.bus.ports import Stored

_NOTHING: Final[Shown] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """What it has read, ``sequence`` the last. It has been told what goes up to ``after``, and up to ``last``."""

    after: After = 0
    last: ModelDelta | None = None
    state: RunState = EMPTY
    answers: Answers = field(default_factory=lambda: NO_ANSWERS)
    sequence: int = 0


def heard(reader: Reader, delta: ModelDelta) -> tuple[Reader, tuple[TextEvent, ...]]:
    """A piece of an answer was heard."""
    if reader.sequence < sequence_of(reader.after):  # still among what it has been told
        return reader, ()
    answers, shown = said(reader.answers, delta)
    return replace(reader, answers=answers), _told(reader, shown)


def entered(reader: Reader, entry: Stored, texts: Mapping[str, str]) -> tuple[Reader, tuple[RunEvent | TextEvent, ...]]:
    """An entry of the journal was read. ``texts``: the whole answers in it, by their call.

    What its events show goes before them, so that whoever comes back behind their sequence has it.
    """
    answers, shown = reader.answers, _NOTHING
    for event in entry.record.events if entry.record is not None else ():
        answers, more = recorded(answers, event, texts.get(getattr(event, "call", ""), ""))
        answers = answers if reader.last is None else resumed(answers, reader.last)
        shown += more
    told = _told(reader, shown) if entry.sequence > sequence_of(reader.after) else ()
    state = replay((entry,), reader.state)
    read = replace(reader, state=state, answers=answers, sequence=entry.sequence)
    return read, (*told, *run_events(entry, after=reader.after))


def _told(reader: Reader, shown: Shown) -> tuple[TextEvent, ...]:
    return tuple(TextEvent(reader.sequence, text) for text in shown)
