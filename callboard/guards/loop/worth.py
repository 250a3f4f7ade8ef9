"""Pure: what one call brought: so much of its result is new, and so sure is it that the rest of it was in vain.

Doubt of 1 is certain: the same call with the same result. Less is doubtful: a search that finds nothing may be a good
search. 0 is work: a write that was acknowledged, as others were. It is no news, and no reproach.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from callboard.guards.loop.fingerprint import Outcome
from callboard.guards.loop.state import Asked, Known
from callboard.guards.loop.verbs import handles, reads, types, watches, writes

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
SLEPT: Final = 0.2
"""It waited, and did nothing else."""
FAINT: Final = 0.1
"""The same short answer to something new: rows of a table may well be alike."""
ROUTINE: Final = 0.25
"""What is done for each item anew: a form is opened, a picture is taken. Or only a number has moved."""
STEP: Final = 100
"""Letters of a call. Who goes one step further says so in a few words; the same page of them is the same page."""
MANY: Final = 4
"""One letter in so many, new but for its numbers, is a new page."""

MOVES: Final = 3
"""The same call: what is new in its result is so much more telling, as is one more line of a log."""

IN_VAIN: Final = 0.2
"""For each time that a check after a change has said the same."""
BY_ITSELF: Final = 0.3
"""So much less counts a call whose results have changed without anybody's doing: logs, counters, jobs."""
_MOVED: Final = 2
_QUIET: Final = 10
"""Looks: so long it may stand still."""
_STILL: Final = 4
"""Looks. Fewer that are alike are no standstill, however long each waited."""
_TUNED: Final = 6
"""So often in a row the same change, but for its numbers."""

PROVEN: Final = 1.0
"""The same once more, the same failure, or nothing for ever new words. Who does not heed a note about it is stopped."""
HALF_PROVEN: Final = 0.5
HARDLY_PROVEN: Final = 0.25
"""Nothing for a new item, as for others: an audit finds much of that."""
UNPROVEN: Final = 0.0
"""A new call that went well: it is noted, and no run ends for it."""
_BRACKETS: Final = 2
"""Letters."""
_PRESSED: Final = 2
"""When the same is pressed again half of the page must be new: clocks and counters always are."""
_SOME: Final = 0.02
_MUCH: Final = 0.1
"""So much of a page is new, if only in its numbers: a price, a date. It may be the page of another item."""
_COUNTED: Final = 0.05
"""So much at most is new if the same call answers with another number."""

Likeness: TypeAlias = Literal["same", "step", "reworded", "new"]
"""How a call is like one before: the same; but for numbers and ids; in the same words, but for their order."""


@dataclass(frozen=True, slots=True)
class Worth:
    """``share`` of the result that is new, and the ``doubt`` about the rest."""

    share: float = 0.0
    doubt: float = 0.0
    sure: float = PROVEN
    """So much of the doubt counts for a kill: a note costs little, so much less will do for one."""


NEWS: Final = Worth(share=1.0)
WORK: Final = Worth()
DONE: Final = Worth(share=0.0125)
"""Something was done that was not done before. It makes a little of what was in vain worth while."""
TYPED: Final = Worth(share=0.075)
"""A field has another text. What is pressed before and after it is the same for every row."""
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
    """The call is about something that no call of the tool was about."""
    fresh: float
    novel: float


def worth(asked: Asked, outcome: Outcome, like: Likeness, found: Found, before: Known | None) -> Worth:
    """What a call brought, judged by what its tool is for."""
    if outcome.denied:
        return Worth(doubt=SURE)
    if like == "reworded" and _is_another(outcome, found):
        like = "new"
    if before is not None and asked.kind in {"poll", "delegate"}:
        return _of_a_wait(asked, outcome, before, same=found.same)
    if outcome.long and not found.same:
        of_pieces = _of_pieces(asked, outcome, like, found)
        if before is not None and (watches(asked.tool) or outcome.mood not in {"bad", "transient"}):
            doubt = FAINT if watches(asked.tool) else of_pieces.doubt
            times = 1 if handles(asked.tool) or asked.sleeps else MOVES
            return replace(of_pieces, share=min(1.0, times * of_pieces.share), doubt=doubt)
        if before is not None or of_pieces.share >= 1:
            return of_pieces
        if asked.kind == "write" and writes(asked.tool) and like == "new" and outcome.mood not in {"bad", "transient"}:
            return replace(FILLED, share=max(FILLED.share, of_pieces.share))
        if types(asked.tool) and found.further and outcome.mood not in {"bad", "transient"}:
            return TYPED
        done = asked.kind == "write" and went_well(asked, outcome) and not handles(asked.tool)
        return WORK if done and like != "reworded" else of_pieces
    if before is None:
        return _of_a_new_call(asked, outcome, like, found)
    return _of_the_same_call(asked, outcome, found, before)


def again(value: Worth, asked: Asked, outcome: Outcome, known: Known, *, changed: bool, tuned: int) -> Worth:
    """The same call, and nothing new. After a change it is a check: more and more in vain, unless all is well.

    What presses and types is no check: who fills in one row after the other presses the same between them.
    """
    routine = changed and tuned < _TUNED and outcome.mood in {"good", "plain", "void"}
    sure = min(value.sure, HALF_PROVEN) if routine else value.sure
    if writes(asked.tool):
        most = DOUBTFUL if changed and handles(asked.tool) else SURE
        most = ROUTINE if routine and went_well(asked, outcome) and not outcome.long else most
        return Worth(doubt=min(value.doubt, most), sure=sure)
    if changed:
        most = {
            "good": 0.0,
            "void": FAINT,
            "plain": ROUTINE if routine else SURE,
            "bad": FAILED_AGAIN if tuned >= _TUNED else DOUBTFUL,
        }.get(outcome.mood, SURE)
        return Worth(doubt=min(value.doubt, most, IN_VAIN * known.count), sure=sure)
    by_itself = known.moves >= _MOVED and known.count <= _QUIET
    return Worth(doubt=value.doubt * BY_ITSELF if by_itself else value.doubt, sure=sure)


def has_moved(value: Worth, asked: Asked, outcome: Outcome, found: Found) -> bool:
    """Has the answer to a call become another one? Of a log a few numbers are enough."""
    grew = outcome.long and found.fresh > 0 and outcome.mood != "bad" and not writes(asked.tool)
    return grew or value.share * MANY >= 1


def looks(known: Known) -> int:
    """So often a tool that polls must have said the same, for whatever time: what has moved may pause."""
    return _QUIET if known.moves >= _MOVED else _STILL


def shown(value: Worth, outcome: Outcome) -> Worth:
    """The model says something new beside a picture: that is what it shows."""
    return Worth(value.share, min(value.doubt, FAINT), UNPROVEN) if outcome.opaque else value


def went_well(asked: Asked, outcome: Outcome) -> bool:
    """Was it done, or nothing said against it? A tool that writes by its name may say so in any words, or by ``[]``."""
    if outcome.mood == "empty":
        return outcome.size <= _BRACKETS and writes(asked.tool)
    return outcome.mood in {"good", "void"} or (outcome.mood == "plain" and not outcome.long and writes(asked.tool))


def _is_another(outcome: Outcome, found: Found) -> bool:
    """Known words around an item that is new are one more of many, and not the same once more."""
    return found.further and outcome.mood not in {"bad", "transient", "empty"}


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
    pressed = handles(asked.tool) and like != "new"
    if max(found.novel * MANY, found.fresh * (_PRESSED if pressed else MANY)) > 1 and like != "reworded":
        return NEWS
    return Worth(found.novel, _of_a_page(asked, like), _proof_of_a_page(asked, found))


def _of_the_same_call(asked: Asked, outcome: Outcome, found: Found, before: Known) -> Worth:
    if not found.same:
        if found.shape and brings_nothing(outcome):
            return Worth(doubt=DOUBTFUL)
        if found.shape and not watches(asked.tool):
            return Worth(min(found.novel, _COUNTED), ROUTINE, UNPROVEN)
        return Worth(found.novel, FAINT if watches(asked.tool) else DOUBTFUL)
    if asked.sleeps and went_well(asked, outcome) and not outcome.long:
        return Worth(doubt=SLEPT)
    if asked.kind == "write" and went_well(asked, outcome) and not outcome.long and len(str(asked.arguments)) < STEP:
        return Worth(doubt=DOUBTFUL)  # "ok": going one step further is the same call, too
    alike = {"waiting": WAITING, "transient": ANOTHER_TRY, "bad": FAILED_AGAIN}.get(outcome.mood)
    if alike is not None:
        return Worth(doubt=alike)
    if before.same != outcome.same and not (brings_nothing(outcome) or handles(asked.tool)):
        return Worth(doubt=DOUBTFUL, sure=HALF_PROVEN if outcome.long else UNPROVEN)
    return Worth(doubt=DOUBTFUL if watches(asked.tool) and not asked.sleeps else SURE)


def _of_a_new_call(asked: Asked, outcome: Outcome, like: Likeness, found: Found) -> Worth:
    if like == "reworded" and found.shape and not outcome.long and outcome.mood != "bad":
        return Worth(doubt=DOUBTFUL)
    if asked.kind == "write" and went_well(asked, outcome) and not outcome.long:
        return _of_an_acknowledgement(asked, like, found)
    is_other = like == "new" or (types(asked.tool) and found.further)
    is_another = like == "new" or found.further
    if found.counts and not brings_nothing(outcome):
        return WORK
    if found.alternates and not (brings_nothing(outcome) or outcome.long):
        # yes and no, high and low: an answer that could have been another one
        return Worth(FILLED.share if found.same else max(found.novel, FILLED.share), FAINT)
    if brings_nothing(outcome):
        return _in_a_row(outcome, found) if found.shape else Worth(found.novel, FAILED_AGAIN)
    if not (found.exact or outcome.long) or asked.kind == "poll":
        return Worth(found.novel, FAINT)
    if outcome.long and asked.kind == "write" and writes(asked.tool) and (is_other or not handles(asked.tool)):
        return (TYPED if types(asked.tool) else FILLED) if is_other else Worth(doubt=FAINT)
    if outcome.mood == "good" and is_another and not (outcome.long and (asked.kind == "read" or reads(asked.tool))):
        return Worth(doubt=FAINT, sure=UNPROVEN)
    if outcome.mood == "waiting" or outcome.long:
        return Worth(doubt=WAITING if outcome.mood == "waiting" else _of_a_page(asked, like))
    often = min(DOUBTFUL, FAINT * max(1, found.again / 3))
    return Worth(doubt=often, sure=UNPROVEN if is_another else PROVEN)


def _of_an_acknowledgement(asked: Asked, like: Likeness, found: Found) -> Worth:
    if not found.shape:
        return NEWS
    if types(asked.tool) and found.further:
        return TYPED
    return DONE if like == "new" or found.further else WORK


def _of_a_page(asked: Asked, like: Likeness) -> float:
    """It was there: who reads finds nothing new; who does something may be told the same each time."""
    looks = asked.kind == "read" or reads(asked.tool) or handles(asked.tool)
    return FOUND_AGAIN if like in {"same", "reworded"} or looks else DOUBTFUL


def _proof_of_a_page(asked: Asked, found: Found) -> float:
    """Of another item a page may be another one by its numbers. What is pressed is no item."""
    if not found.further or found.fresh <= _SOME or handles(asked.tool):
        return PROVEN
    return UNPROVEN if asked.kind == "read" or reads(asked.tool) or found.fresh > _MUCH else HALF_PROVEN


def _in_a_row(outcome: Outcome, found: Found) -> Worth:
    """A new call that brought nothing, as others did. After one that did bring something it is one of a batch."""
    if found.after_success:
        return Worth(0.0 if outcome.mood == "transient" else FILLED.share, FAINT)
    if outcome.mood == "bad":
        return Worth(doubt=FAILED_AGAIN)
    return Worth(doubt=DOUBTFUL, sure=HARDLY_PROVEN if found.further and outcome.mood != "transient" else PROVEN)
