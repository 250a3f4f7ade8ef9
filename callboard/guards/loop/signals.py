"""Pure: which signal has fired, and the note about it: what repeats, how often, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from callboard.config.guards import LoopSettings
from callboard.config.times import duration
from callboard.guards.loop.fingerprint import Hash, digest
from callboard.guards.loop.state import PERIODS, Count, LoopState, Signal, Streak

_INSTEAD: Final = "Use what you have, try something different, or finish and say what is missing."
_ANSWER: Final = 4
"""The same answer to a person may be right: so many times as patient as with cycles."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A signal. ``about`` tells the same trouble from another one; ``note`` is for the model."""

    signal: Signal
    about: Hash
    value: float
    threshold: float
    note: str


def fired(state: LoopState, settings: LoopSettings) -> Fired | None:
    """The most telling signal of the turns since the last news."""
    streak = state.streak
    if streak.garbled:
        note = "Your answer says the same words over and over. Say it once, shortly, and go on with the task."
        return Fired("garbled", digest("garbled"), streak.garbled, 1, note)
    return (
        _cycle(streak, settings)
        or _errors(streak, settings)
        or _stuck(streak, settings)
        or _answer(state.answer, settings)
        or _monologue(streak, settings)
        or _stall(streak, settings)
        or _poll(streak, settings)
    )


def hopeless(state: LoopState, settings: LoopSettings) -> bool:
    """Has it given the same answer so often that not even a person gets another one out of it?"""
    most = _ANSWER * settings.repeats
    return state.answer.times == max(2 * most, state.warned + most - 1)


def answered_alike(state: LoopState, settings: LoopSettings) -> int:
    """How often it has given the same answer, if that was worth a note."""
    return state.answer.times if state.answer.times >= _ANSWER * settings.repeats else 0


def _cycle(streak: Streak, settings: LoopSettings) -> Fired | None:
    cycles = streak.cycles
    for period, run, mass in zip(PERIODS, cycles.runs, cycles.masses, strict=True):
        if mass < (settings.repeats - 1) * period:
            continue
        times = 1 + run // period
        marks = cycles.recent[-period:]
        about = digest(str(sorted(mark for mark in marks if mark is not None)))
        if not streak.tools:
            note = f"You have given the same answer {times} times without doing anything. {_INSTEAD}"
        elif period == 1:
            note = f"You called {_names(streak)} {times} times in the same way, and the result was the same. {_INSTEAD}"
        else:
            note = (
                f"You are going in a circle: the same {period} steps ({_names(streak)}) {times} times, "
                f"with the same results. {_INSTEAD}"
            )
        return Fired("cycle", about, times, settings.repeats, note)
    return None


def _errors(streak: Streak, settings: LoopSettings) -> Fired | None:
    errors = max(streak.errors, key=lambda count: count.times)
    if errors.what is None or errors.times < settings.errors:
        return None
    note = (
        f"The last {errors.times} turns ended in the same error, whatever the arguments ({_names(streak)}). "
        f"Do not guess on: find out why, try something different, or finish and say what is missing."
    )
    return Fired("errors", errors.what, errors.times, settings.errors, note)


def _stuck(streak: Streak, settings: LoopSettings) -> Fired | None:
    if streak.stuck < settings.errors:
        return None
    note = (
        f"A change has failed {streak.stuck} times for the same reason, whatever you read in between. Do it in another "
        f"way, or finish and say what is missing."
    )
    return Fired("errors", digest("stuck"), streak.stuck, settings.errors, note)


def _answer(answer: Count, settings: LoopSettings) -> Fired | None:
    if answer.what is None or answer.times != _ANSWER * settings.repeats:
        return None
    note = f"You have given the same answer {answer.times} times, whatever was said to you. {_INSTEAD}"
    return Fired("answer", answer.what, answer.times, _ANSWER * settings.repeats, note)


def _monologue(streak: Streak, settings: LoopSettings) -> Fired | None:
    if streak.silent < settings.monologue:
        return None
    note = f"You have been talking for {streak.silent} turns without doing anything. Call a tool, or finish."
    return Fired("monologue", digest("monologue"), streak.silent, settings.monologue, note)


def _stall(streak: Streak, settings: LoopSettings) -> Fired | None:
    if streak.weight < settings.turns:
        return None
    note = f"Your last {streak.turns} turns ({_names(streak)}) brought nothing new. {_INSTEAD}"
    return Fired("stall", digest(f"stall {streak.tools}"), streak.weight, settings.turns, note)


def _poll(streak: Streak, settings: LoopSettings) -> Fired | None:
    if streak.unchanged < settings.unchanged:
        return None
    note = (
        f"{_names(streak)} has answered the same for {duration(streak.unchanged)}. Look why nothing happens, or finish "
        f"and say what you were waiting for."
    )
    return Fired("poll", digest(f"poll {streak.tools}"), streak.unchanged, settings.unchanged, note)


def _names(streak: Streak) -> str:
    return ", ".join(streak.tools) or "no tool"
