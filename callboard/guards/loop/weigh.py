"""Pure: what a turn brought. Either something new, or a weight: how sure it is that it brought nothing.

1 is certain: the same call with the same result. Less is doubtful: a search that finds nothing may be a good search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from callboard.guards.loop.fingerprint import Hash, Outcome, digest
from callboard.guards.loop.state import CALLS, RESULTS, TOOLS, Asked, Known, Memory, Turn

K = TypeVar("K")
V = TypeVar("V")
NEW: Final = 0.0
SURE: Final = 1.0
FAILED_AGAIN: Final = 0.75
"""The same call with the same failure: trying again is a method, for a while."""
DOUBTFUL: Final = 0.5
ANOTHER_TRY: Final = 0.4
"""The same call, and the fault lies elsewhere and will pass."""
WAITING: Final = 0.15
"""It says that it is not ready. A tool that polls says so in advance, and is judged by time."""
FAINT: Final = 0.1
"""The same short answer to something new: rows of a table may well be alike."""
GARBLED: Final = 2.0
_SPOKE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a turn brought. ``weight`` 0 is news, unless the turn ``polled``. ``mark`` is what a cycle repeats."""

    weight: float
    mark: Hash | None = None
    suspects: tuple[Hash, ...] = ()
    error: Hash | None = None
    polled: bool = False
    unchanged: float = 0.0

    @property
    def is_news(self) -> bool:
        """Did it bring something new?"""
        return self.weight == NEW and not self.polled


def weigh(memory: Memory, turn: Turn, at: datetime) -> tuple[Memory, Weighed]:
    """What the turn brought, and what is known with it."""
    calls, results, tools = dict(memory.calls), dict(memory.results), dict(memory.tools)
    if turn.said is not None:
        weighed = Weighed(SURE if _note(results, turn.said) else _SPOKE, mark=turn.said)
        return Memory(calls, _last(results, RESULTS), tools), _garbled(weighed, turn)
    weights: list[float] = []
    marks: list[str] = []
    shapes: set[Hash] = set()
    unchanged: list[float] = []
    for asked, outcome in turn.answered:
        before = calls.pop(asked.key, None)
        known = calls[asked.key] = _known(before, outcome, at)
        varies = tools.pop(asked.tool, outcome.shape) != outcome.shape
        tools[asked.tool] = outcome.shape
        weight = _weight(results, asked, outcome, before=before, varies=varies)
        if asked.kind == "poll" and weight != NEW:
            unchanged.append((at - known.since).total_seconds())
        weights.append(weight)
        if before is None and weight != NEW:
            marks.append("")  # a new call is not what repeats here
        else:
            marks.append(f"{asked.key}{'' if asked.kind == 'delegate' else outcome.same}")
        if outcome.mood == "bad":
            shapes.add(outcome.shape)
    known_now = Memory(_last(calls, CALLS), _last(results, RESULTS), _last(tools, TOOLS))
    if not weights:
        return known_now, _garbled(Weighed(NEW), turn)
    weighed = Weighed(
        0.0 if unchanged or NEW in weights else sum(weights) / len(weights) * _width(len(weights)),
        mark=None if unchanged or not any(marks) else digest("|".join(sorted(mark for mark in marks if mark))),
        suspects=tuple(asked.key for asked, _ in turn.answered if asked.kind != "poll"),
        error=digest(str(sorted(shapes)))
        if shapes and all(outcome.mood == "bad" for _, outcome in turn.answered)
        else None,
        polled=bool(unchanged) and NEW not in weights,
        unchanged=max(unchanged, default=0.0),
    )
    return known_now, _garbled(weighed, turn)


def _weight(results: dict[Hash, None], asked: Asked, outcome: Outcome, *, before: Known | None, varies: bool) -> float:
    """What one call brought, judged by what its tool is for. ``results`` learns it."""
    if outcome.denied:
        return SURE
    hashes = (outcome.exact, outcome.same, outcome.shape)
    exact, same, shape = (each in results for each in hashes)
    for each in hashes:
        _note(results, each)
    if before is None:
        return _of_a_new_call(asked, outcome, exact=exact, shape=shape, varies=varies)
    if asked.kind == "poll":
        return NEW if outcome.same != before.same else SURE
    if asked.kind == "delegate":  # a model words the same thing anew each time
        return SURE if same else DOUBTFUL
    if not same:
        return DOUBTFUL if shape and _brings_nothing(outcome) else NEW
    match outcome.mood:
        case "waiting":
            return WAITING
        case "transient":
            return ANOTHER_TRY
        case "bad":
            return FAILED_AGAIN
        case "good" | "void" if asked.kind == "write" and not outcome.long:
            return DOUBTFUL  # "ok": going one step further is the same call, too
        case _:
            return SURE


def _of_a_new_call(asked: Asked, outcome: Outcome, *, exact: bool, shape: bool, varies: bool) -> float:
    if outcome.mood == "void" and asked.kind == "write":
        return FAINT if exact else NEW
    if varies and outcome.mood not in {"bad", "transient"} and not outcome.long:
        return NEW  # yes and no, high and low: an answer that could have been another one
    if _brings_nothing(outcome):
        return DOUBTFUL if shape else NEW
    if not exact or asked.kind == "poll":
        return NEW
    if outcome.mood == "waiting":
        return WAITING
    if outcome.long:
        return DOUBTFUL
    return NEW if outcome.mood == "good" and asked.kind == "write" else FAINT


def _brings_nothing(outcome: Outcome) -> bool:
    return outcome.mood in {"bad", "transient", "empty", "void"}


def _known(before: Known | None, outcome: Outcome, at: datetime) -> Known:
    if before is not None and (outcome.denied or before.same == outcome.same):
        return replace(before, count=before.count + 1)
    return Known(outcome.same, 1, at, outcome.mood == "waiting")


def _width(calls: int) -> int:
    """Many calls in one turn weigh more than one, by the logarithm: 1 to 4 are 1, 5 to 12 are 2, 13 to 28 are 3."""
    return (calls + 3).bit_length() - 2


def _garbled(weighed: Weighed, turn: Turn) -> Weighed:
    if not turn.garbled:
        return weighed
    return Weighed(GARBLED, mark=weighed.mark, suspects=weighed.suspects, error=weighed.error)


def _note(results: dict[Hash, None], what: Hash) -> bool:
    """Was it there before? It is now, as the youngest."""
    was = what in results
    if was:
        del results[what]
    results[what] = None
    return was


def _last(entries: dict[K, V], most: int) -> dict[K, V]:
    while len(entries) > most:
        del entries[next(iter(entries))]
    return entries
