"""Pure: what guards say, told in lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from callboard.app.held import reason_of
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_words import Action
from callboard.cli.teller import Line, plain

STYLE_OF: Final[Mapping[Action, str]] = {
    "observe": "dim",
    "warn": "yellow",
    "nudge": "blue",
    "throttle": "cyan",
    "deny": "bold yellow",
    "pause": "bold cyan",
    "kill": "bold magenta",
}
SIGN_OF: Final[Mapping[Action, str]] = {
    "observe": "·",
    "warn": "!",
    "nudge": "✎",
    "throttle": "⏳",
    "deny": "⊘",
    "pause": "⏸",
    "kill": "■",
}
_NEVER: Final = "_"


def verdict_line(tenant: str, event: GuardEvent) -> Line:
    """One verdict in one line: what, on which run, why."""
    where = f"{tenant}/{event.run}" if event.run else ("all tenants" if tenant == _NEVER else tenant)
    agent = f" ({event.agent})" if event.agent else ""
    call = f" {event.call}" if event.call else ""
    text = f"{event.guard} {event.action}{said_only(event)}  {where}{agent}{call}  {event.reason}"
    return Line(SIGN_OF[event.action], STYLE_OF[event.action], plain(" ".join(text.split("\n"))), event.at)


def hold_line(event: GuardEvent) -> Line:
    """What a closed guard that a run waits for says, on the run's own screen."""
    why = reason_of(event)
    text = f"waits for guard {event.guard}: {why}" if why else f"guard {event.guard} has caught up: the run goes on"
    return Line("⏸" if why else "▶", STYLE_OF["pause"], plain(text), event.at)


def said_only(event: GuardEvent) -> str:
    """How much of it was done: nothing in the modes ``shadow`` and ``warn``."""
    return "" if event.mode == "enforce" else f" [{event.mode}]"


def verdict_as_json(tenant: str, event: GuardEvent) -> dict[str, JsonValue]:
    """The event with its tenant."""
    return {"tenant": tenant, **event.model_dump(mode="json", exclude_defaults=True), "mode": event.mode}
