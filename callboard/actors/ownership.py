"""Pure: what an owner writes, and what it raises when it is one no more."""

from __future__ import annotations

from typing import TypeAlias

from callboard.actors.state import RunState
from callboard.bus.messages import OwnerEvent, ToolResolved
from callboard.errors import CallboardError

Fact: TypeAlias = OwnerEvent | ToolResolved
"""What an owner writes: its own events, and what a ``verify`` hook found out."""


class OwnershipLost(CallboardError):
    """This process may not write to the run any more. ``state`` says why: another owner, suspended, or over."""

    def __init__(self, state: RunState) -> None:
        super().__init__(f"the run is {state.status}, owner {state.owner!r}")
        self.state = state
