"""Pure: what a turn brought. Either something new, or a weight: how sure it is that it brought nothing.

1 is certain: the same call with the same result. Less is doubtful: a search that finds nothing may be a good search.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    tally = _Tally(dict(memory.calls), dict(memory.results), dict(memory.tools), memory.changes)
    if turn.said is not None:
        weighed = Weighed(SURE if _note(tally.results, turn.said) else _SPOKE, mark=turn.said)
    else:
        for asked, outcome in turn.answered:
            tally.add(asked, outcome, at)
        weighed = tally.weighed()
    if turn.garbled:
        weighed = replace(weighed, weight=GARBLED, polled=False, unchanged=0.0)
    return tally.memory(), weighed


@dataclass(slots=True)
class _Tally:
    """One turn, call by call, over a copy of what is known."""

    calls: dict[Hash, Known]
    results: dict[Hash, None]
    tools: dict[str, Hash]
    changes: int
    weights: list[float] = field(default_factory=list[float])
    marks: list[str] = field(default_factory=list[str])
    suspects: list[Hash] = field(default_factory=list[Hash])
    errors: list[Hash | None] = field(default_factory=list["Hash | None"])
    unchanged: list[float] = field(default_factory=list[float])

    def add(self, asked: Asked, outcome: Outcome, at: datetime) -> None:
        before = self.calls.pop(asked.key, None)
        varies = self.tools.pop(asked.tool, outcome.shape) != outcome.shape
        self.tools[asked.tool] = outcome.shape
        weight = _weight(self.results, asked, outcome, before=before, varies=varies)
        if before is None and asked.kind == "write" and outcome.mood in {"good", "void"} and not outcome.long:
            self.changes += 1
        elif before is not None and before.changes < self.changes and asked.kind in {"read", "write"}:
            weight = min(weight, FAINT)
        known = self.calls[asked.key] = replace(_known(before, outcome, at), changes=self.changes)
        if asked.kind == "poll" and weight != NEW:
            self.unchanged.append((at - known.since).total_seconds())
        if asked.kind != "poll":
            self.suspects.append(asked.key)
        if before is not None or weight == NEW:  # else: a new call is not what repeats here
            self.marks.append(f"{asked.key}{'' if asked.kind == 'delegate' else outcome.same}")
        self.weights.append(weight)
        self.errors.append(outcome.shape if outcome.mood == "bad" else None)

    def weighed(self) -> Weighed:
        news = NEW in self.weights or not self.weights
        mean = sum(self.weights) / max(1, len(self.weights))
        same = {each for each in self.errors if each is not None} if None not in self.errors else set[Hash]()
        return Weighed(
            NEW if news or self.unchanged else mean * _width(len(self.weights)),
            mark=digest("|".join(sorted(self.marks))) if self.marks and not self.unchanged else None,
            suspects=tuple(self.suspects),
            error=digest(str(sorted(same))) if same else None,
            polled=bool(self.unchanged) and not news,
            unchanged=max(self.unchanged, default=0.0),
        )

    def memory(self) -> Memory:
        return Memory(_last(self.calls, CALLS), _last(self.results, RESULTS), _last(self.tools, TOOLS), self.changes)


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
