"""Pure: what an owner writes, and what it raises when it is one no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from callboard.actors.state import RunState
from callboard.bus.messages import ModelRequested, OwnerEvent, ToolRequested, ToolResolved
from callboard.errors import CallboardError, InvalidMessage

Fact: TypeAlias = OwnerEvent | ToolResolved
"""What an owner writes: its own events, and what a ``verify`` hook found out."""


class OwnershipLost(CallboardError):
    """This process may not write to the run any more. ``state`` says why: another owner, suspended, or over."""

    def __init__(self, state: RunState) -> None:
        super().__init__(f"the run is {state.status}, owner {state.owner!r}")
        self.state = state


class Paused(CallboardError):
    """An intent was not written, because the run is paused. Decide again."""

    def __init__(self) -> None:
        super().__init__("the run is paused")


@dataclass(slots=True)
class Ticket:
    """Events that wait for their record; ``armed_at`` is set once they are written. ``awaited``: by a caller."""

    events: tuple[Fact, ...]
    awaited: bool
    armed_at: float | None = None
    refused: InvalidMessage | Paused | None = None

    @property
    def announces(self) -> bool:
        """Does somebody wait for it to start an effect?"""
        return self.awaited and any(isinstance(event, ModelRequested | ToolRequested) for event in self.events)
