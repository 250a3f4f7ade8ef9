"""Pure: what a reader has been shown of the answers under way, from the journal and the pieces that were heard.

Pieces may be lost, repeated, late or out of order: only one that continues what is shown is shown. When the journal
has the answer, the rest of it is. So what was shown of an attempt that answered is its text in the journal, exactly,
and nothing was shown twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from callboard.bus.deltas import ModelDelta, TextReplaced
from callboard.bus.messages import TERMINAL, Event, ModelFailed, ModelRequested, ModelResponded


@dataclass(frozen=True, slots=True)
class Answer:
    """What was shown of an attempt: ``text``, from character ``start`` on, and something before it."""

    attempt: int
    start: int = 0
    text: str = ""
    under_way: bool = True

    @property
    def end(self) -> int:
        """How many characters were shown."""
        return self.start + len(self.text)


Answers: TypeAlias = Mapping[str, Answer]
"""The answers that are not in the journal yet, by their call."""
Shown: TypeAlias = tuple[ModelDelta | TextReplaced, ...]
NO_ANSWERS: Final[Answers] = MappingProxyType({})


def said(answers: Answers, delta: ModelDelta) -> tuple[Answers, Shown]:
    """A piece was heard: show what is new of it, if it is of an attempt under way and nothing before it is missing."""
    answer = answers.get(delta.call)
    if answer is None or not answer.under_way or answer.attempt != delta.attempt or delta.n > answer.end:
        return answers, ()
    new = delta.text[answer.end - delta.n :]
    if not new:
        return answers, ()
    longer = replace(answer, text=answer.text + new)
    return {**answers, delta.call: longer}, (_piece(delta.call, answer.attempt, answer.end, text=new),)


def recorded(answers: Answers, event: Event, text: str = "") -> tuple[Answers, Shown]:
    """An event of the journal; ``text`` is the whole of an answer's. Show what goes before the event."""
    if isinstance(event, ModelRequested):
        return _requested(answers, event) if event.purpose == "turn" else (answers, ())
    if isinstance(event, ModelResponded) and event.call in answers:
        return _without(answers, event.call), _rest(event.call, answers[event.call], text)
    if isinstance(event, ModelFailed) and event.call in answers:
        return {**answers, event.call: replace(answers[event.call], under_way=False)}, ()
    return (NO_ANSWERS if event.type in TERMINAL else answers), ()


def resumed(answers: Answers, last: ModelDelta) -> Answers:
    """A reader that comes back was shown the answer up to, and with, ``last``."""
    answer = answers.get(last.call)
    if answer is None or answer.attempt != last.attempt or answer.end > last.n:
        return answers
    return {**answers, last.call: replace(answer, start=last.n, text=last.text)}


def _requested(answers: Answers, event: ModelRequested) -> tuple[Answers, Shown]:
    before = answers.get(event.call)
    if before is not None and before.attempt == event.attempt:  # announced again before it started
        return answers, ()
    void = before is not None and before.end > 0
    shown = (TextReplaced(call=event.call, attempt=before.attempt),) if before is not None and void else ()
    return {**answers, event.call: Answer(event.attempt)}, shown


def _rest(call: str, answer: Answer, text: str) -> Shown:
    """What makes of the answer as it was shown the one of the journal."""
    if text[answer.start : answer.end] == answer.text:
        return (_piece(call, answer.attempt, answer.end, text=text[answer.end :]),) if text[answer.end :] else ()
    whole = (_piece(call, answer.attempt, 0, text=text),) if text else ()
    return (TextReplaced(call=call, attempt=answer.attempt), *whole)


def _piece(call: str, attempt: int, n: int, *, text: str) -> ModelDelta:
    return ModelDelta(call=call, attempt=attempt, n=n, text=text)


def _without(answers: Answers, call: str) -> Answers:
    return {known: answer for known, answer in answers.items() if known != call}
