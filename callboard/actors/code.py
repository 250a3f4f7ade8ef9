"""Pure: what a worker can run, and what it needs to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callboard.bus.ports import Blobs, Graveyard, Hints, Journals, Tasks, Timers
from callboard.clock import Clock
from callboard.config.spec import AgentSpec
from callboard.tools.tool import AnyTool

if TYPE_CHECKING:
    from callboard.actors.function import WorkerFunction


@dataclass(frozen=True, slots=True)
class AgentCode:
    """One agent as this worker can run it: new runs keep ``spec``; its code is tools by name, or a function."""

    spec: AgentSpec
    tools: Mapping[str, AnyTool] = field(default_factory=dict[str, AnyTool])
    function: WorkerFunction | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside of a worker."""

    journals: Journals
    tasks: Tasks
    hints: Hints
    timers: Timers
    blobs: Blobs
    graveyard: Graveyard
    clock: Clock
