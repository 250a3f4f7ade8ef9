"""What is shown of the three runs, as data: ``told`` and ``judged`` take in what comes, the screen draws it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import Event

LINES = 7


@dataclass(frozen=True)
class Tale:
    """One run so far. ``lines`` are (style, text); ``end`` is how it ended, ``""`` while it goes on."""

    agent: str
    does: str
    lines: tuple[tuple[str, str], ...] = ()
    calls: int = 0
    micros: int = 0
    seconds: float = 0.0
    end: str = ""
    by: str = ""
    partial: str = ""


def say(tale: Tale, style: str, text: str) -> Tale:
    """A line more; the oldest ones go."""
    return replace(tale, lines=(*tale.lines, (style, " ".join(text.split())))[-LINES:])


def told(tale: Tale, event: Event, seconds: float) -> Tale:
    """The run's journal has one event more."""
    tale = replace(tale, seconds=seconds)
    match event.type:
        case "model.requested":
            return replace(tale, calls=tale.calls + 1)
        case "model.responded":
            tale = replace(tale, micros=tale.micros + event.usage.cost_usd_micros)
            asks = ", ".join(call.name for call in event.tool_calls)
            return say(tale, "white", f"“{event.text.value}”" + (f" → {asks}" if asks else ""))
        case "tool.returned" if event.problem is not None:
            return say(tale, "yellow", f"✗ {event.problem.message}")
        case "tool.returned":
            return say(tale, "dim", f"  {event.result.value}")
        case "run.steered":
            return say(tale, "magenta", f"» {event.text}")
        case "guard.denied":
            return say(tale, "yellow", f"✗ {event.problem.message}")
        case "run.failed":
            partial = str(event.partial.value) if event.partial is not None else ""
            return replace(tale, end=event.problem.kind, by=event.guard or event.problem.kind, partial=partial)
        case "run.killed":
            return replace(tale, end="killed", by=event.guard or event.by)
        case "run.completed":
            return replace(tale, end="completed")
        case _:
            return tale


@dataclass(frozen=True)
class Verdict:
    """A guard event as a row."""

    agent: str
    guard: str
    action: str
    acted: bool
    reason: str


def judged(event: GuardEvent, agents: dict[str, str]) -> Verdict:
    """The row of a guard event; ``agents`` is run id -> agent."""
    reason = " ".join(event.reason.split())
    return Verdict(agents.get(event.run, event.agent), event.guard, event.action, event.acted, reason)
