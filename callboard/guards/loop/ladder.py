"""Pure: what is said: a nudge, nothing until the patience is used up, then the kill. News takes the nudge back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from callboard.config.guards import LoopSettings
from callboard.guards.kit import Verdict
from callboard.guards.loop.signals import Fired, fired, hopeless
from callboard.guards.loop.state import Count, Ladder, LoopState, Streak
from callboard.guards.loop.weighed import Weighed

_TOLD: Final = 8
_ONLY_ERRORS: Final = 3
"""So many times the errors that a note is given for, in a row: whatever else they say, nobody has heeded the note."""


def climb(
    state: LoopState, weighed: Weighed, settings: LoopSettings, *, told: bool, at: datetime, sequence: int
) -> tuple[Ladder, Sequence[Verdict]]:
    """The rung after a turn, and what is said on it, once. Only news and persons lead downwards.

    ``told``: the model could read the note. Until the note stands in the journal all turns count, but then the kill is
    only said: who reads old journals learns what would have been, and nobody is killed for a note that was not sent.
    """
    ladder, streak = state.ladder, state.streak
    if weighed.is_news and not streak.garbled and ladder.rung != "killed":
        ladder = Ladder(told=ladder.told)
    if ladder.rung == "killed":
        return ladder, ()
    if ladder.rung == "nudged" and (told or not ladder.heard):
        ladder = replace(
            ladder,
            unheeded=ladder.unheeded * (1 - weighed.gain) + weighed.weight * weighed.sure,
            turns=ladder.turns + 1,
        )
    if _is_over(ladder, state, settings, at=at):
        return replace(ladder, rung="killed"), (_kill(ladder, state),)
    found = fired(state, settings) if ladder.rung == "calm" else None
    if found is None:
        return ladder, ()
    return nudged(ladder, found, settings, streak=streak, at=at, sequence=sequence)


def nudged(
    ladder: Ladder, found: Fired, settings: LoopSettings, *, streak: Streak, at: datetime, sequence: int
) -> tuple[Ladder, Sequence[Verdict]]:
    """The note to the model. Told the same before, and back to it: half the patience."""
    before = next((told for told in ladder.told if told.what == found.about), Count(found.about))
    others = tuple(told for told in ladder.told if told.what != found.about)
    rung = Ladder(
        rung="nudged",
        patience=settings.patience / (2 if before.times else 1),
        at=at,
        sequence=sequence,
        told=(*others, replace(before, times=before.times + 1))[-_TOLD:],
    )
    verdict = Verdict(
        "nudge",
        found.note,
        evidence=streak.trail or (sequence,),
        value=found.value,
        threshold=found.threshold,
        data={"signal": found.signal, "tools": list(streak.tools)},
    )
    return rung, (verdict,)


def heard(ladder: Ladder, at: datetime) -> Ladder:
    """The note stands in the journal: only what comes now is unheeded, and a kill that was only said is not due."""
    if ladder.rung == "calm" or ladder.heard:
        return ladder
    return replace(ladder, rung="nudged", heard=True, unheeded=0.0, turns=0, at=at)


def _is_over(ladder: Ladder, state: LoopState, settings: LoopSettings, *, at: datetime) -> bool:
    if hopeless(state, settings):
        return True
    if ladder.rung == "calm" or ladder.at is None:
        return False
    if ladder.unheeded >= ladder.patience or _only_fails(ladder, state, settings):
        return True
    if ladder.turns < settings.repeats or state.streak.unchanged < settings.unchanged:
        return False
    return (at - ladder.at).total_seconds() >= settings.unchanged


def _only_fails(ladder: Ladder, state: LoopState, settings: LoopSettings) -> bool:
    """Has every turn ended in the same error for long, and for long enough after the note?"""
    times = max(count.times for count in state.streak.errors)
    return times >= _ONLY_ERRORS * settings.errors and ladder.turns >= settings.errors


def _kill(ladder: Ladder, state: LoopState) -> Verdict:
    streak, answer = state.streak, state.answer
    if ladder.rung == "calm":
        reason = f"it gave the same answer {answer.times} times, whatever was said to it"
        return Verdict(
            "kill",
            reason,
            evidence=streak.trail,
            value=answer.times,
            data={"signal": "answer"},
            unread=not state.warned,
        )
    names = f" ({', '.join(streak.tools)})" if streak.tools else ""
    return Verdict(
        "kill",
        f"{ladder.turns} more turns{names} brought nothing new after the note at entry {ladder.sequence}",
        evidence=tuple(sorted({ladder.sequence, *streak.trail})),
        value=ladder.unheeded,
        threshold=ladder.patience,
        data={"tools": list(streak.tools)},
        unread=not ladder.heard,
    )
