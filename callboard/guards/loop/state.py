"""Pure: what the guard remembers of a run: hashes and counts, never a text, and not more of them than fit a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias, TypeVar

from pydantic import JsonValue

from callboard.guards.loop.fingerprint import Asking, Hash, Kind, Outcome, Words
from callboard.guards.loop.known import Pieces

Signal: TypeAlias = Literal["cycle", "errors", "stall", "monologue", "answer", "garbled", "poll", "lineage"]
PERIODS: Final = (1, 2, 3, 4)
CALLS: Final = 96
RESULTS: Final = 160
TOOLS: Final = 32
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of the turn that is going on. ``arguments`` live only as long as the turn."""

    tool: str
    kind: Kind
    asking: Asking
    arguments: JsonValue
    started: bool = False
    sleeps: bool = False
    """It waits, by itself or before it does something."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn that is going on: calls without an outcome yet, and those that have one. ``said``: it has no calls."""

    waiting: Mapping[str, Asked]
    answered: tuple[tuple[Asked, Outcome], ...] = ()
    said: Hash | None = None
    text: Words = ()
    """What was said beside the calls, or instead of them, if it was much."""
    thinks: bool = False
    """It was said to a tool that only takes thoughts."""
    garbled: int = 0
    told: bool = False
    """The note stood in the journal before the model was asked for it."""


@dataclass(frozen=True, slots=True)
class Known:
    """A call that was made before: its last result, how often in a row that was the result, and since when."""

    same: Hash
    count: int
    since: datetime
    waits: bool = False
    changes: int = 0
    """How many there had been in the run by then."""
    moves: int = 0
    """How often its result was another one, and new, although nothing had been changed."""
    gist: Hash = 0
    """Of a failure: the same but for its numbers is the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool said last, how often in a row, and whether it brought anything."""

    shape: Hash
    same: Hash
    brought: bool
    again: int = 1
    failed: int = 0
    """So often in a row it has failed for reasons that were known."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The last calls and results, the oldest first, and what each tool answered last.

    What falls out is new again: the guard forgets in your favour.
    """

    calls: Mapping[Hash, Known] = field(default_factory=dict[Hash, Known])
    results: Mapping[Hash, None] = field(default_factory=dict[Hash, None])
    tools: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    changes: int = 0
    """New calls of tools that write: who looks again after one checks what it did."""
    tuned: int = 0
    """So many of the last of them differed from one before in numbers only."""
    pieces: Pieces = Pieces()


@dataclass(frozen=True, slots=True)
class Cycles:
    """For each period: how many turns in a row equal the one so many turns before, and what they weigh."""

    recent: tuple[Hash | None, ...] = ()
    runs: tuple[int, ...] = (0, 0, 0, 0)
    masses: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Count:
    """The same thing so often in a row."""

    what: Hash | None = None
    times: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """How often in a row persons have said what they had just said, while nothing was new. ``lately``: the last."""

    again: int = 0
    lately: tuple[Words, ...] = ()


@dataclass(frozen=True, slots=True)
class Streak:
    """The turns since the last one that brought something new. ``weight`` of them, ``trail``: where they stand."""

    weight: float = 0.0
    turns: int = 0
    trail: tuple[int, ...] = ()
    suspects: tuple[Hash, ...] = ()
    tools: tuple[str, ...] = ()
    cycles: Cycles = Cycles()
    errors: tuple[Count, Count, Count] = (Count(), Count(), Count())
    """Turns in a row that failed in the same words, but for the words of the call, and as any before."""
    silent: int = 0
    garbled: int = 0
    unchanged: float = 0.0
    """For how many seconds a tool that polls has answered the same, while nothing else was new."""
    stuck: int = 0
    """So often in a row a tool that writes has failed for a known reason, whatever else was done in between."""
    rewritten: Count = Count()
    """What was written anew as a whole, and how often, since the last news."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """``told``: what the nudges were about, how often. ``unheeded`` weighs the turns since the model could read it.

    ``heard``: the note stands in the journal.
    """

    rung: Literal["calm", "nudged", "killed"] = "calm"
    unheeded: float = 0.0
    turns: int = 0
    patience: float = 0.0
    at: datetime | None = None
    sequence: int = 0
    heard: bool = False
    told: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopState:
    """What is known of a run."""

    owner: str = ""
    over: bool = False
    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    path: tuple[str, ...] = ()
    """The agents from the topmost one down to this run's."""
    children: Mapping[str, str] = field(default_factory=dict[str, str])
    turn: Turn | None = None
    memory: Memory = Memory()
    streak: Streak = Streak()
    ladder: Ladder = Ladder()
    answer: Count = Count()
    warned: int = 0
    """How often it had given that answer when a note about it stood in the journal."""
    told: bool = False
    """The note stood in the journal when the model was asked last."""
    person: Person = Person()
    asked: bool = False
    """A person has spoken since the last answer."""
    news_at: datetime | None = None
    polled: bool = False
    """The last turn waited for something: what stands beside it is part of the waiting."""
    slept: bool = False
    """The last turn slept: this one looks what has happened."""


def youngest(entries: dict[K, V], most: int) -> dict[K, V]:
    """Not more than so many of them."""
    while len(entries) > most:
        del entries[next(iter(entries))]
    return entries
