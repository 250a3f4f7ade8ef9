"""Pure: what repeats over the turns since the last news."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Final

from callboard.guards.loop.fingerprint import Hash, Words
from callboard.guards.loop.state import PERIODS, Count, Cycles, Person, Streak, Turn
from callboard.guards.loop.weighed import Weighed

_TRAIL: Final = 12
_SUSPECTS: Final = 32
_TOOLS: Final = 4
_LATELY: Final = 12
"""Scripts take turns: so many of the last words of persons are compared."""
_HEARD: Final = 33
_TELLING: Final = 4
_REVISED: Final = 3
_VERSION: Final = 0.1
"""For each version from the third on."""
_UNDONE: Final = 0.4
_FAMILIAR: Final = 0.25
"""Of the words of a text, if there are more than a few, at most so many are new."""


def after(streak: Streak, turn: Turn, weighed: Weighed, *, sequence: int) -> Streak:
    """The streak with one more turn. News ends it, except that a cycle needs to know the last turns' marks."""
    cycles = _turned(streak.cycles, weighed)
    gist, shape, any_ = (_again(count, what) for count, what in zip(streak.errors, weighed.errors, strict=True))
    errors = (gist, shape, any_)
    silent = streak.silent + 1 if turn.said is not None else 0
    garbled = streak.garbled + 1 if turn.garbled else 0
    stuck = streak.stuck if weighed.stuck is None else weighed.stuck
    rewritten = _rewritten(streak, turn)
    if weighed.is_news:
        return Streak(cycles=cycles, errors=errors, garbled=garbled, stuck=stuck, rewritten=replace(rewritten, times=1))
    return Streak(
        weight=streak.weight * (1 - weighed.gain) + weighed.weight,
        turns=streak.turns + 1,
        trail=(*streak.trail, sequence)[-_TRAIL:],
        suspects=tuple(dict.fromkeys((*streak.suspects, *weighed.suspects)))[-_SUSPECTS:],
        tools=tuple(dict.fromkeys((*streak.tools, *(asked.tool for asked, _ in turn.answered))))[-_TOOLS:],
        cycles=cycles,
        errors=errors,
        silent=silent,
        garbled=garbled,
        unchanged=weighed.unchanged,
        stuck=stuck,
        rewritten=rewritten,
    )


def written_anew(streak: Streak, turn: Turn, weighed: Weighed) -> Weighed:
    """Who writes the same thing anew, and has learnt nothing since, undoes what was done."""
    times = _rewritten(streak, turn).times
    if weighed.is_news or times < _REVISED or not any(asked.asking.whole for asked, _ in turn.answered):
        return weighed
    return replace(weighed, gain=0.0, weight=max(weighed.weight, min(_UNDONE, _VERSION * (times - _REVISED + 1))))


def _rewritten(streak: Streak, turn: Turn) -> Count:
    """What was written as a whole, and how often by now; what stands beside it changes nothing."""
    whole = next((asked.asking.whole for asked, _ in turn.answered if asked.asking.whole), 0)
    return _again(streak.rewritten, whole) if whole else streak.rewritten


def spoken(count: Count, what: Hash | None) -> Count:
    """The same thing once more, or another one for the first time."""
    return _again(count, what)


def heard_again(person: Person, said: Words) -> Person:
    """A person has spoken: something new, or what one had just said."""
    known = _was_said(said, person.lately)
    return Person(person.again + 1 if known else 0, (*person.lately, said[:_HEARD])[-_LATELY:])


def _was_said(said: Words, lately: tuple[Words, ...]) -> bool:
    """Was it said lately, but for its numbers, or nearly all of it?"""
    if any(said[0] == before[0] for before in lately):
        return True
    words, known = said[1:_HEARD], frozenset(chain.from_iterable(before[1:] for before in lately))
    return len(words) >= _TELLING and sum(word not in known for word in words) <= _FAMILIAR * len(words)


def _again(count: Count, what: Hash | None) -> Count:
    if what is None:
        return Count()
    return replace(count, times=count.times + 1) if what == count.what else Count(what, 1)


def _turned(cycles: Cycles, weighed: Weighed) -> Cycles:
    mark, recent = weighed.mark, cycles.recent
    runs, masses = [0, 0, 0, 0], [0.0, 0.0, 0.0, 0.0]
    if mark is not None and not weighed.is_news:
        for place, period in enumerate(PERIODS):
            if len(recent) >= period and recent[-period] == mark:
                runs[place] = cycles.runs[place] + 1
                masses[place] = cycles.masses[place] + weighed.weight
    return Cycles((*recent, mark)[-PERIODS[-1] :], tuple(runs), tuple(masses))
