"""A guard as users write them. It says everything there is to say, and its state is all that it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from callboard.bus.guard_words import Missing
from callboard.bus.messages import ModelRequested, ModelResponded, SignalReceived, ToolRequested
from callboard.bus.subjects import RunKey
from callboard.guards.kit import Guard, Seen, Verdict

KILL_AT = 8


@dataclass(frozen=True)
class Count:
    answers: int = 0
    intents: int = 0
    last: datetime | None = None


class Own(Guard[Count]):
    """Counts answers and intents."""

    name = "own"
    missing: ClassVar[Missing] = "closed"
    gates = True

    def __init__(self, *, kill_at: int = KILL_AT) -> None:
        self.kill_at = kill_at

    def start(self, run: RunKey) -> Count:
        return Count()

    def observe(self, state: Count, seen: Seen) -> tuple[Count, Sequence[Verdict]]:
        state = replace(state, last=seen.at)
        match seen.event:
            case ModelResponded(tool_calls=calls):
                state = replace(state, answers=state.answers + 1)
                return state, tuple(_on_answer(state.answers, seen.sequence, [call.id for call in calls]))
            case ToolRequested() | ModelRequested():
                state = replace(state, intents=state.intents + 1)
                return state, tuple(self._on_intent(seen.event, state.intents, seen.sequence))
            case SignalReceived():
                return state, (Verdict("pause", "somebody came in between", seconds=5.0),)
            case _:
                return state, ()

    def _on_intent(self, event: ToolRequested | ModelRequested, number: int, sequence: int) -> Sequence[Verdict]:
        if number >= self.kill_at:
            return [Verdict("kill", f"{number} effects", (sequence,), value=number, threshold=self.kill_at)]
        if number % 5 == 4 and isinstance(event, ToolRequested):  # a denied model call would end the run
            return [Verdict("throttle", "not so fast", seconds=0.0), Verdict("deny", f"effect {number}", (sequence,))]
        return [Verdict("throttle", "not so fast", (sequence,), seconds=0.0)] if number % 3 == 0 else []

    def tick(self, state: Count, now: datetime) -> tuple[Count, Sequence[Verdict]]:
        if state.last is None or now - state.last < timedelta(seconds=3_000):
            return state, ()
        return state, (Verdict("warn", "it sleeps"),)


def _on_answer(number: int, sequence: int, calls: Sequence[str]) -> Sequence[Verdict]:
    said = [Verdict("observe", f"answer {number}", (sequence,), value=number)]
    if number == 2:
        said.append(Verdict("nudge", "finish soon", (sequence,)))
    if number % 2 == 0:
        said += [Verdict("deny", f"none in answer {number}", (sequence,), call=call) for call in calls[:1]]
    return said
