"""Pure: what a guard says of a run that a test makes up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from callboard.bus.messages import SIGNALS, Event
from callboard.bus.subjects import RunKey
from callboard.guards.kit import Guard, Seen, Verdict, answer_of

_RUN: Final = RunKey("test", "run")
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def verdicts(guard: Guard[Any], *events: Event, apart: float = 1.0) -> list[Verdict]:
    """What ``guard`` says, in order, of a run with ``events``: entries 1, 2, …, ``apart`` seconds from each other.

    Behind each event time is told to the guard (``tick``). It is made, fed and asked
    as beside the bus; nothing stops the run when it says so. What it raises is raised.
    """
    state, said, at = guard.start(_RUN), list[Verdict](), _BEGIN
    for sequence, event in enumerate(events, 1):
        owner = "" if event.type in SIGNALS else "owner"
        state, new = answer_of(guard, guard.observe(state, Seen(_RUN, sequence, at, event, owner, f"e{sequence}")))
        said += new
        at += timedelta(seconds=apart)
        state, new = answer_of(guard, guard.tick(state, at))
        said += new
    return said
