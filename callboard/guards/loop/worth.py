"""Pure: what one call brought: so much of its result is new, and so sure is it that the rest of it was in vain.

Doubt of 1 is certain: the same call with the same result. Less is doubtful: a search that finds nothing may be a good
search. 0 is work: a write that was acknowledged, as others were. It is no news, and no reproach.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from callboard.guards.loop.fingerprint import Outcome
from callboard.guards.loop.state import Asked, Known
from callboard.guards.loop.verbs import handles, reads, watches, writes

SURE: Final = 1.0
FAILED_AGAIN: Final = 0.75
"""The same call with the same failure: trying again is a method, for a while."""
DOUBTFUL: Final = 0.5
ANOTHER_TRY: Final = 0.4
"""The same call, and the fault lies elsewhere and will pass."""
WAITING: Final = 0.15
"""It says that it is not ready. A tool that polls says so in advance, and is judged by time."""
FOUND_AGAIN: Final = 0.7
"""A long result that was there, but for its numbers, for a call that was there but for its numbers or its order."""
FAINT: Final = 0.1
"""The same short answer to something new: rows of a table may well be alike."""
PAGE: Final = 24
"""Words of a call. So many, all of them known, are no step further, whatever number stands beside them."""
STEP: Final = 100
"""Letters of a call. Who goes one step further says so in a few words; the same page of them is the same page."""
MANY: Final = 4
"""One letter in so many, new but for its numbers, is a new page."""

MOVES: Final = 3
"""The same call: what is new in its result is so much more telling, as is one more line of a log."""

Likeness: TypeAlias = Literal["same", "step", "reworded", "new"]
"""How a call is like one before: the same; but for numbers and ids; in the same words, but for their order."""


@dataclass(frozen=True, slots=True)
class Worth:
    """``share`` of the result that is new, and the ``doubt`` about the rest."""

    share: float = 0.0
    doubt: float = 0.0


NEWS: Final = Worth(share=1.0)
WORK: Final = Worth()
DONE: Final = Worth(share=0.0125)
"""Something was done that was not done before. It makes a little of what was in vain worth while."""
FILLED: Final = Worth(share=0.05)
"""The same, and what it says about it is a whole page that was there: a form that is filled in once more."""


@dataclass(frozen=True, slots=True)
class Found:
    """How a result is like those before. ``fresh``: so much of it is new; ``novel``: also without its numbers."""

    exact: bool
    same: bool
    shape: bool
    alternates: bool
    """The tool answered otherwise the last time."""
    after_success: bool
    again: int
    """So often in a row has the tool answered this."""
    counts: bool
    """A short one that was there but for its numbers."""
    further: bool
    """The call has a number that no call of the tool had."""
    fresh: float
    novel: float


def worth(asked: Asked, outcome: Outcome, like: Likeness, found: Found, before: Known | None) -> Worth:
    """What a call brought, judged by what its tool is for."""
    if outcome.denied:
        return Worth(doubt=SURE)
    if before is not None and asked.kind in {"poll", "delegate"}:
        return _of_a_wait(asked, outcome, before, same=found.same)
    if outcome.long and not found.same:
        of_pieces = _of_pieces(asked, outcome, like, found)
        if before is not None and outcome.mood not in {"bad", "transient"}:
            return replace(of_pieces, share=min(1.0, MOVES * of_pieces.share))
        if before is not None or of_pieces.share >= 1:
            return of_pieces
        if asked.kind == "write" and writes(asked.tool) and like == "new" and outcome.mood not in {"bad", "transient"}:
            return replace(FILLED, share=max(FILLED.share, of_pieces.share))
        return WORK if asked.kind == "write" and went_well(outcome) and like != "reworded" else of_pieces
    if before is None:
        return _of_a_new_call(asked, outcome, like, found)
    return _of_the_same_call(asked, outcome, found)


def went_well(outcome: Outcome) -> bool:
    """Was it done, or nothing said against it?"""
    return outcome.mood in {"good", "void"}


def brings_nothing(outcome: Outcome) -> bool:
    """Neither a result nor an acknowledgement."""
    return outcome.mood in {"bad", "transient", "empty", "void"}


def _of_a_wait(asked: Asked, outcome: Outcome, before: Known, *, same: bool) -> Worth:
    if asked.kind == "poll":
        return NEWS if outcome.same != before.same else Worth(doubt=SURE)
    return Worth(doubt=SURE if same else DOUBTFUL)  # a model words the same thing anew each time


def _of_pieces(asked: Asked, outcome: Outcome, like: Likeness, found: Found) -> Worth:
    """A long result that was not there as a whole: how much of it was?"""
    if outcome.mood in {"bad", "transient"}:
        return Worth(found.novel, FAILED_AGAIN)
    if found.fresh * MANY > 1 and like != "reworded":
        return NEWS
    return Worth(found.novel, _of_a_page(asked, like))


def _of_the_same_call(asked: Asked, outcome: Outcome, found: Found) -> Worth:
    if not found.same:
        return Worth(doubt=DOUBTFUL) if found.shape and brings_nothing(outcome) else Worth(found.novel, DOUBTFUL)
    match outcome.mood:
        case "waiting":
            return Worth(doubt=WAITING)
        case "transient":
            return Worth(doubt=ANOTHER_TRY)
        case "bad":
            return Worth(doubt=FAILED_AGAIN)
        case "good" | "void" if asked.kind == "write" and not outcome.long and len(str(asked.arguments)) < STEP:
            return Worth(doubt=DOUBTFUL)  # "ok": going one step further is the same call, too
        case _:
            return Worth(doubt=DOUBTFUL if watches(asked.tool) and not asked.sleeps else SURE)


def _of_a_new_call(asked: Asked, outcome: Outcome, like: Likeness, found: Found) -> Worth:
    again = like == "reworded" and not (found.further and went_well(outcome) and len(asked.asking.words) < PAGE)
    if again and found.shape and not outcome.long and outcome.mood != "bad":
        return Worth(doubt=DOUBTFUL)
    if asked.kind == "write" and went_well(outcome) and not outcome.long:
        return (DONE if like == "new" else WORK) if found.shape else NEWS
    if found.counts and not brings_nothing(outcome):
        return WORK
    if found.alternates and not (brings_nothing(outcome) or outcome.long):
        return Worth(found.novel, FAINT)  # yes and no, high and low: an answer that could have been another one
    if brings_nothing(outcome):
        return _in_a_row(outcome, found) if found.shape else Worth(found.novel, FAILED_AGAIN)
    if not (found.exact or outcome.long) or asked.kind == "poll":
        return Worth(found.novel, FAINT)
    if outcome.long and asked.kind == "write" and writes(asked.tool):
        if like == "new":
            return FILLED
        if not handles(asked.tool):
            return Worth(doubt=FAINT)
    if outcome.mood == "waiting":
        return Worth(doubt=WAITING)
    if outcome.long:
        return Worth(doubt=_of_a_page(asked, like))
    return Worth(doubt=min(DOUBTFUL, FAINT * max(1, found.again / 3)))


def _of_a_page(asked: Asked, like: Likeness) -> float:
    """It was there: who reads finds nothing new; who does something may be told the same each time."""
    return FOUND_AGAIN if like in {"same", "reworded"} or reads(asked.tool) or handles(asked.tool) else DOUBTFUL


def _in_a_row(outcome: Outcome, found: Found) -> Worth:
    """A new call that brought nothing, as others did. After one that did bring something it is one of a batch."""
    if found.after_success:
        return Worth(doubt=FAINT)
    return Worth(doubt=FAILED_AGAIN if outcome.mood == "bad" else DOUBTFUL)
