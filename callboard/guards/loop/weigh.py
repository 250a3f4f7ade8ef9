"""Pure: what a turn brought. Either something new, or a weight: how sure it is that it brought nothing.

1 is certain: the same call with the same result. Less is doubtful: a search that finds nothing may be a good search.
0 is work: a write that was acknowledged, as others were. It is no news, and no reproach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias

from callboard.guards.loop.fingerprint import Hash, Outcome, Piece, digest
from callboard.guards.loop.known import Pieces
from callboard.guards.loop.state import CALLS, RESULTS, TOOLS, Answer, Asked, Known, Memory, Turn, youngest

NEWS: Final = None
WORK: Final = 0.0
SURE: Final = 1.0
FAILED_AGAIN: Final = 0.75
"""The same call with the same failure: trying again is a method, for a while."""
DOUBTFUL: Final = 0.5
ANOTHER_TRY: Final = 0.4
"""The same call, and the fault lies elsewhere and will pass."""
WAITING: Final = 0.15
"""It says that it is not ready. A tool that polls says so in advance, and is judged by time."""
COUNTING: Final = 0.4
"""A long result of which only numbers, or words of the call, are new."""
FAINT: Final = 0.1
_STEP: Final = 100
"""Letters of a call. Who goes one step further says so in a few words; the same page of them is the same page."""
"""The same short answer to something new: rows of a table may well be alike."""
IN_VAIN: Final = 0.2
"""For each time that a check after a change has said the same."""
BY_ITSELF: Final = 0.3
"""So much less counts a call whose results have changed without anybody's doing: logs, counters, jobs."""
_MOVES: Final = 2
_QUIET: Final = 10
"""Looks: so long it may stand still."""
_MANY: Final = 4
"""One piece in so many, new but for its numbers, is a new page."""
_TOLD: Final = 8
"""One piece in so many must be new in an error: the rest is the excerpt that it comes with."""
GARBLED: Final = 2.0
_SPOKE: Final = 0.5
WAITED: Final = 0.5
"""So much less counts a turn that waited, or the first one after it: who waits spends time, not money."""


Errors: TypeAlias = tuple[Hash | None, Hash | None, Hash | None]
_AGAIN: Final = digest("again")


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a turn brought: ``is_news``, or a ``weight``. ``mark`` is what a cycle repeats."""

    weight: float = WORK
    is_news: bool = False
    mark: Hash | None = None
    suspects: tuple[Hash, ...] = ()
    errors: Errors = (None, None, None)
    """What all its calls failed with: as said, without the words of the calls, and whether it was there before."""
    polled: bool = False
    unchanged: float = 0.0
    slept: bool = False
    """It waited, and did not fail."""

    @property
    def is_work(self) -> bool:
        """Did it bring something new, or do something?"""
        return self.is_news or (self.weight == WORK and not self.polled)


def weigh(memory: Memory, turn: Turn, at: datetime) -> tuple[Memory, Weighed]:
    """What the turn brought, and what is known with it."""
    tally = _Tally(dict(memory.calls), dict(memory.results), dict(memory.tools), memory.changes, memory.pieces)
    stale = tally.hear(turn.text)
    if turn.said is not None:
        weighed = Weighed(SURE if _note(tally.results, turn.said) or stale else _SPOKE, mark=turn.said)
    else:
        for asked, outcome in turn.answered:
            tally.add(asked, outcome, at)
        weighed = tally.weighed()
        if stale and weighed.weight:
            weighed = replace(weighed, weight=max(weighed.weight, DOUBTFUL))
    if turn.garbled:
        weighed = replace(weighed, weight=GARBLED, is_news=False, polled=False, unchanged=0.0)
    return tally.memory(), weighed


@dataclass(slots=True)
class _Tally:
    """One turn, call by call, over a copy of what is known."""

    calls: dict[Hash, Known]
    results: dict[Hash, None]
    tools: dict[str, Answer]
    changes: int
    pieces: Pieces
    weights: list[float | None] = field(default_factory=list["float | None"])
    marks: list[str] = field(default_factory=list[str])
    suspects: list[Hash] = field(default_factory=list[Hash])
    faults: list[Outcome] = field(default_factory=list[Outcome])
    unchanged: list[float] = field(default_factory=list[float])
    slept: bool = False

    def hear(self, text: Sequence[Piece]) -> bool:
        """Has most of what is said been said, or read, before?"""
        fresh, _ = self.pieces.new(text, enough=len(text) + 1)
        self.pieces = self.pieces | text
        return bool(text) and fresh * _MANY <= _size(text)

    def add(self, asked: Asked, outcome: Outcome, at: datetime) -> None:
        before = self.calls.pop(asked.key, None)
        weight = self._weight(asked, outcome, before)
        moved = weight is NEWS and before is not None and before.changes == self.changes
        known = _known(before, outcome, at, moved=moved)
        if before is None and asked.kind == "write" and _went_well(outcome):
            self.changes += 1
        elif before is not None and weight is not None and asked.kind in {"read", "write"}:
            weight = _again(weight, outcome, known, changed=before.changes < self.changes)
        self.calls[asked.key] = replace(known, changes=self.changes)
        if asked.kind == "poll" and weight is not NEWS:
            self.unchanged.append((at - known.since).total_seconds())
        if asked.kind != "poll":
            self.suspects.append(asked.key)
        if before is not None or weight is NEWS:  # else: a new call is not what repeats here
            self.marks.append(f"{asked.key}{'' if asked.kind == 'delegate' else outcome.same}")
        self.weights.append(weight)
        self.slept = self.slept or asked.sleeps
        if outcome.mood == "bad":
            self.faults.append(outcome)

    def weighed(self) -> Weighed:
        weights = [weight for weight in self.weights if weight is not None]
        news = len(weights) < len(self.weights) or not weights
        failed = bool(self.faults) and len(self.faults) == len(self.weights)
        return Weighed(
            WORK if news or self.unchanged else sum(weights) / len(weights) * _width(len(weights)),
            is_news=news,
            mark=digest("|".join(sorted(self.marks))) if self.marks and not self.unchanged else None,
            suspects=tuple(self.suspects),
            errors=self._errors() if failed else (None, None, None),
            slept=self.slept and not failed,
            polled=bool(self.unchanged) and not news,
            unchanged=max(self.unchanged, default=0.0),
        )

    def _errors(self) -> Errors:
        gists, shapes = (
            _all(hashes) for hashes in zip(*((each.gist, each.shape) for each in self.faults), strict=True)
        )
        return gists, shapes, None if None in self.weights else _AGAIN

    def memory(self) -> Memory:
        return Memory(
            youngest(self.calls, CALLS),
            youngest(self.results, RESULTS),
            youngest(self.tools, TOOLS),
            self.changes,
            self.pieces,
        )

    def _weight(self, asked: Asked, outcome: Outcome, before: Known | None) -> float | None:
        """What one call brought, judged by what its tool is for. It is known from now on."""
        answer = Answer(outcome.shape, brought=not _brings_nothing(outcome))
        last = self.tools.pop(asked.tool, answer)
        self.tools[asked.tool] = answer
        if outcome.denied:
            return SURE
        hashes = (outcome.exact, outcome.same, outcome.gist, outcome.shape)
        exact, same, gist, shape = (each in self.results for each in hashes)
        for each in hashes:
            _note(self.results, each)
        fresh, novel = self.pieces.new(outcome.pieces, enough=_enough(outcome))
        self.pieces = self.pieces | outcome.pieces
        if before is not None and asked.kind in {"poll", "delegate"}:
            return _of_a_wait(asked, outcome, before, same=same)
        if outcome.long and not same:
            weight = _of_pieces(outcome, fresh=fresh, novel=novel)
            if weight is NEWS or before is not None:
                return weight
            return WORK if asked.kind == "write" and _went_well(outcome) else weight
        if before is None:
            return _of_a_new_call(asked, outcome, exact=exact, shape=gist or shape, last=last)
        return _of_the_same_call(asked, outcome, same=same, shape=gist or shape)


def _all(faults: Iterable[Hash]) -> Hash:
    return digest(str(sorted(set(faults))))


def _of_a_wait(asked: Asked, outcome: Outcome, before: Known, *, same: bool) -> float | None:
    if asked.kind == "poll":
        return NEWS if outcome.same != before.same else SURE
    return SURE if same else DOUBTFUL  # a model words the same thing anew each time


def _size(pieces: Sequence[Piece]) -> int:
    return sum(piece[3] for piece in pieces)


def _enough(outcome: Outcome) -> int:
    """So many pieces that were never there are news."""
    return 1 + (len(outcome.pieces) // _TOLD if outcome.mood in {"bad", "transient"} else 0)


def _of_pieces(outcome: Outcome, *, fresh: int, novel: int) -> float | None:
    """A long result that was not there as a whole: how much of it was?"""
    if novel >= _enough(outcome) or not outcome.pieces:
        return NEWS
    if outcome.mood in {"bad", "transient"}:
        return FAILED_AGAIN
    if fresh * _MANY > _size(outcome.pieces):
        return NEWS
    return COUNTING if fresh else DOUBTFUL


def _of_the_same_call(asked: Asked, outcome: Outcome, *, same: bool, shape: bool) -> float | None:
    if not same:
        return DOUBTFUL if shape and _brings_nothing(outcome) else NEWS
    match outcome.mood:
        case "waiting":
            return WAITING
        case "transient":
            return ANOTHER_TRY
        case "bad":
            return FAILED_AGAIN
        case "good" | "void" if asked.kind == "write" and not outcome.long and len(str(asked.arguments)) < _STEP:
            return DOUBTFUL  # "ok": going one step further is the same call, too
        case _:
            return SURE


def _of_a_new_call(asked: Asked, outcome: Outcome, *, exact: bool, shape: bool, last: Answer) -> float | None:
    if asked.kind == "write" and outcome.mood in {"good", "void"} and not outcome.long:
        return WORK if shape else NEWS
    if last.shape != outcome.shape and outcome.mood not in {"bad", "transient"} and not outcome.long:
        # yes and no, high and low: an answer that could have been another one; but no news if it is an empty one
        return WORK if shape and _brings_nothing(outcome) else NEWS
    if _brings_nothing(outcome):
        return _in_a_row(outcome, last) if shape else NEWS
    if not (exact or outcome.long) or asked.kind == "poll":
        return NEWS
    if outcome.mood == "waiting":
        return WAITING
    if outcome.long:
        return DOUBTFUL
    return FAINT


def _in_a_row(outcome: Outcome, last: Answer) -> float:
    """A new call that brought nothing, as others did. After one that did bring something it is one of a batch."""
    if last.brought:
        return FAINT
    return FAILED_AGAIN if outcome.mood == "bad" else DOUBTFUL


def _again(weight: float, outcome: Outcome, known: Known, *, changed: bool) -> float:
    """The same call, and nothing new. After a change it is a check: more and more in vain, unless all is well."""
    if changed:
        most = {"good": WORK, "void": FAINT, "bad": DOUBTFUL}.get(outcome.mood, SURE)
        return min(weight, most, IN_VAIN * known.count)
    return weight * BY_ITSELF if known.moves >= _MOVES and known.count <= _QUIET else weight


def _went_well(outcome: Outcome) -> bool:
    return outcome.mood in {"good", "void"}


def _brings_nothing(outcome: Outcome) -> bool:
    return outcome.mood in {"bad", "transient", "empty", "void"}


def _known(before: Known | None, outcome: Outcome, at: datetime, *, moved: bool) -> Known:
    moves = 0 if before is None else before.moves + moved
    if before is not None and (outcome.denied or before.same == outcome.same):
        return replace(before, count=before.count + 1)
    return Known(outcome.same, 1, at, outcome.mood == "waiting", moves=moves)


def _width(calls: int) -> int:
    """Many calls in one turn weigh more than one, by the logarithm: 1 to 4 are 1, 5 to 12 are 2, 13 to 28 are 3."""
    return (calls + 3).bit_length() - 2


def _note(results: dict[Hash, None], what: Hash) -> bool:
    """Was it there before? It is now, as the youngest."""
    was = what in results
    if was:
        del results[what]
    results[what] = None
    return was
