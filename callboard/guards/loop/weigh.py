"""Pure: what a turn brought: so much news, and so much weight: how sure it is that it brought nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Final

from callboard.guards.loop.fingerprint import Asking, Hash, Outcome, Words, digest
from callboard.guards.loop.known import Sieve
from callboard.guards.loop.state import CALLS, RESULTS, TOOLS, Answer, Asked, Known, Memory, Turn, youngest
from callboard.guards.loop.verbs import writes
from callboard.guards.loop.weighed import NEWS, WORK, Errors, Weighed
from callboard.guards.loop.worth import (
    DONE,
    DOUBTFUL,
    MANY,
    SURE,
    Found,
    Likeness,
    Worth,
    again,
    brings_nothing,
    has_moved,
    looks,
    shown,
    went_well,
    worth,
)

GARBLED: Final = 2.0
_SLIGHT: Final = 0.1
"""So much is new where only a number is, or the answer is another one of those that were there."""
_HALF: Final = 0.5
_LEAST: Final = 40
"""Letters. A shorter answer counts as one of them."""
_SPOKE: Final = 0.5
_THOUGHT: Final = 0.75
_TELLING: Final = 3
_ENOUGH: Final = 6
"""Words of a call. Fewer may well be the same, and in another order."""
_REWORDED: Final = 0.25
_PAGE: Final = 24
"""Words of a call. So many, all of them known, are no step further, whatever number stands beside them."""
_LONG: Final = 30
"""Words."""
_MUCH: Final = 24
"""Words. Who is told so many new ones is told something."""
_STALE: Final = 0.25
_TOLD: Final = 8
"""Words. Who says so many beside the calls, most of them new, says what a picture shows."""


_AGAIN: Final = digest("again")


def weigh(memory: Memory, turn: Turn, at: datetime) -> tuple[Memory, Weighed]:
    """What the turn brought, and what is known with it."""
    tally = _Tally(
        dict(memory.calls), dict(memory.results), dict(memory.tools), memory.changes, memory.tuned, Sieve(memory.pieces)
    )
    share = tally.known.share(turn.text[1:])
    stale = tally.hear(turn.text)
    if turn.said is not None:
        gain = share * min(1.0, len(turn.text) / _MUCH)
        spoke = SURE - _THOUGHT * share if turn.thinks else _SPOKE
        weighed = Weighed(SURE if _note(tally.results, turn.said) or stale else spoke, gain, mark=turn.said)
    else:
        told = len(turn.text) >= _TOLD and share >= _HALF
        for asked, outcome in turn.answered:
            tally.add(asked, outcome, at, told=told)
        weighed = tally.weighed()
        if stale and weighed.weight:
            weighed = replace(weighed, weight=max(weighed.weight, DOUBTFUL))
    if turn.garbled:
        weighed = replace(weighed, weight=GARBLED, gain=0.0, polled=False, unchanged=0.0)
    return tally.memory(), weighed


@dataclass(slots=True)
class _Tally:
    """One turn, call by call, over a copy of what is known."""

    calls: dict[Hash, Known]
    results: dict[Hash, None]
    tools: dict[str, Answer]
    changes: int
    tuned: int
    known: Sieve
    worths: list[tuple[Worth, int]] = field(default_factory=list[tuple[Worth, int]])
    marks: list[str] = field(default_factory=list[str])
    suspects: list[Hash] = field(default_factory=list[Hash])
    faults: list[Outcome] = field(default_factory=list[Outcome])
    unchanged: list[float] = field(default_factory=list[float])
    slept: bool = False
    worked: bool = False
    """Beside what it repeats it did something that was not done before."""
    stuck: int | None = None

    def hear(self, text: Words) -> bool:
        """Has most of what is said been said, or read, before?"""
        stale = len(text) >= _LONG and self.known.share(text) <= _STALE
        self.known.add(text)
        return stale

    def add(self, asked: Asked, outcome: Outcome, at: datetime, *, told: bool) -> None:
        before = self.calls.pop(asked.asking.key, None)
        further = self._further(asked.asking)
        like = self._likeness(asked.asking, before)
        found = self._found(asked, outcome, further=further, asked_before=before is not None)
        value = worth(asked, outcome, like, found, before)
        changed = before is not None and before.changes < self.changes
        known = _known(before, outcome, at, moved=not changed and has_moved(value, asked, outcome, found))
        if before is None and asked.kind == "write" and went_well(asked, outcome):
            self.changes += 1
            self.tuned = self.tuned + 1 if like == "step" else -1
        elif before is not None and value.share <= DONE.share and asked.kind in {"read", "write"}:
            value = again(value, asked, outcome, known, changed=changed, tuned=self.tuned)
        if value.share * MANY >= NEWS:
            self.tuned = 0
        value = shown(value, outcome) if told else value
        self.known.add(asked.asking.body)
        self.calls[asked.asking.key] = replace(known, changes=self.changes)
        if asked.kind == "poll" and value.share < 1:
            self.unchanged.append((at - known.since).total_seconds() if known.count >= looks(known) else 0.0)
        if asked.kind != "poll" and not asked.sleeps:
            self.suspects.append(asked.asking.key)
        if before is not None or value.share == 1 or (outcome.long and like == "step"):  # else: new, no repeat
            call, result = (asked.asking.bare, outcome.gist) if outcome.long else (asked.asking.key, outcome.same)
            self.marks.append(f"{call}{'' if asked.kind == 'delegate' else result}")
        self._put(asked, outcome, value, new=before is None)

    def _put(self, asked: Asked, outcome: Outcome, value: Worth, *, new: bool) -> None:
        size = 0 if brings_nothing(outcome) and value.share <= DONE.share else max(_LEAST, outcome.size)
        self.worths.append((value, size))
        self.worked = self.worked or (new and value.doubt == 0 and value.share < 1)
        self.slept = self.slept or asked.sleeps
        if writes(asked.tool):
            failed = outcome.mood in {"bad", "transient"}
            self._count_failures(asked.asking.topic, known=failed and value.share * MANY < NEWS)
        if outcome.mood == "bad":
            self.faults.append(outcome)

    def _count_failures(self, tool: str, *, known: bool) -> None:
        answer = self.tools[tool]
        self.tools[tool] = replace(answer, failed=answer.failed + 1 if known else 0)
        self.stuck = max(self.stuck or 0, self.tools[tool].failed)

    def weighed(self) -> Weighed:
        letters = sum(size for _, size in self.worths)
        brought = sum(value.share * size for value, size in self.worths) / letters if letters else self._least()
        gain = min(1.0, MANY * brought)
        if not self.worths:
            gain = 1.0
        doubts = [value.doubt for value, _ in self.worths]
        failed = bool(self.faults) and len(self.faults) == len(self.worths)
        news = gain >= NEWS
        quiet = news or bool(self.unchanged)
        return Weighed(
            WORK if quiet else (1 - gain) * sum(doubts) / len(doubts) * _width(len(doubts)),
            gain,
            sure=sum(value.doubt * value.sure for value, _ in self.worths) / sum(doubts) if any(doubts) else SURE,
            mark=digest("|".join(sorted(self.marks))) if self.marks and not (self.unchanged or self.worked) else None,
            suspects=tuple(self.suspects),
            errors=self._errors(gain) if failed and not (news and self.faults[0].long) else (None, None, None),
            slept=self.slept and not failed,
            polled=bool(self.unchanged) and not news,
            unchanged=max(self.unchanged, default=0.0),
            stuck=self.stuck,
        )

    def _least(self) -> float:
        return max((value.share for value, _ in self.worths), default=0.0)

    def _errors(self, gain: float) -> Errors:
        gists, shapes = (
            _all(hashes) for hashes in zip(*((each.gist, each.shape) for each in self.faults), strict=True)
        )
        return gists, shapes, None if gain >= NEWS else _AGAIN

    def memory(self) -> Memory:
        return Memory(
            youngest(self.calls, CALLS),
            youngest(self.results, RESULTS),
            youngest(self.tools, TOOLS),
            self.changes,
            self.tuned,
            self.known.pieces(),
        )

    def _likeness(self, asking: Asking, before: Known | None) -> Likeness:
        """How the call is like those before. It is known from now on."""
        likeness: Likeness = "same"
        if before is None:
            step, reworded = not self.known.share((asking.bare,)), self.known.share(asking.words) <= _REWORDED
            likeness = "step" if step else "reworded" if reworded and len(asking.words) >= _ENOUGH else "new"
        self.known.add((asking.bare, *asking.words, *asking.numbers, *asking.names))
        return likeness

    def _further(self, asking: Asking) -> bool:
        """Is it about an item that no call of the tool was about? A page of words is no item, whatever its number."""
        marks = (*asking.names, *(asking.numbers if len(asking.words) < _PAGE else ()))
        return bool(marks) and self.known.share(marks) > 0

    def _found(self, asked: Asked, outcome: Outcome, *, further: bool, asked_before: bool) -> Found:
        """What of the result was there before. It is known from now on."""
        answer = Answer(outcome.shape, outcome.same, brought=not brings_nothing(outcome))
        last = self.tools.pop(asked.asking.topic, answer)
        again = last.again + 1 if last.same == outcome.same else 1
        self.tools[asked.asking.topic] = last if asked_before else replace(answer, again=again, failed=last.failed)
        hashes = (outcome.exact, outcome.same, outcome.gist, outcome.shape)
        exact, same, gist, shape = (each in self.results for each in hashes)
        for each in hashes:
            _note(self.results, each)
        fresh, novel = self._shares(outcome, known=gist or shape)
        counts = not (outcome.long or exact) and (gist or shape)
        return Found(
            exact, same, gist or shape, last.shape != outcome.shape, last.brought, again, counts, further, fresh, novel
        )

    def _shares(self, outcome: Outcome, *, known: bool) -> tuple[float, float]:
        words = self.known.share(outcome.words) if len(outcome.words) >= _TELLING else 1.0
        if not outcome.long:
            self.known.add(outcome.words)
            if known:
                return 1.0, _SLIGHT
            # of a failure one word is the news: "No module named ..."
            return 1.0, words if words > _HALF else 1.0 if outcome.mood == "bad" else _SLIGHT * words
        size = sum(piece[3] for piece in outcome.pieces)
        told = sum(piece[3] for piece in outcome.said)
        complaint = self.known.new(outcome.said)[1] / told if told else 0.0
        fresh, novel = self.known.new(outcome.pieces)
        self.known.add({*chain.from_iterable(piece[:3] for piece in outcome.pieces), *outcome.words})
        if not size:
            return 1.0, 1.0
        share = min(novel / size, words)
        return fresh / size, max(complaint, _SLIGHT * share) if told else share


def _all(faults: Iterable[Hash]) -> Hash:
    return digest(str(sorted(set(faults))))


def _known(before: Known | None, outcome: Outcome, at: datetime, *, moved: bool) -> Known:
    moves = 0 if before is None else before.moves + moved
    if before is not None and (outcome.denied or before.same == outcome.same):
        return replace(before, count=before.count + 1)
    again = before is not None and outcome.mood == "bad" and before.gist == outcome.gist
    count = before.count + 1 if before is not None and again else 1
    return Known(outcome.same, count, at, outcome.mood == "waiting", moves=moves, gist=outcome.gist)


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
