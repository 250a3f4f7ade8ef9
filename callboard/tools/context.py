"""Shell: what a tool is told about the call that it serves."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from pydantic import JsonValue

from callboard.log import Logger, get_logger

Earlier: TypeAlias = Callable[[str], Awaitable[JsonValue]]


class StartWindow(Protocol):
    """For how long what was announced may start. A thread may get to run late: it asks once more, and then starts."""

    def is_open(self) -> bool:
        """May it start now? Callable from any thread."""
        ...

    async def reopen(self) -> None:
        """Announce it again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """One attempt of one call. A tool gets it by annotating a parameter with this type; the model never sees it.

    ``key`` is the idempotency key, the same on every attempt. ``attempt`` counts from 1. ``deadline`` is in seconds,
    what was left when the attempt started. A context serves one attempt: after a stop it stays stopped.
    """

    run: str
    tenant: str
    call: str
    key: str
    deadline: float
    attempt: int = 1
    window: StartWindow | None = field(default=None, repr=False, compare=False)
    earlier: Earlier | None = field(default=None, repr=False, compare=False)
    """The result of an earlier call of the run, by its id; raises ``ToolError``. None: only agents' runs have it."""
    stop: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    def cancelled(self) -> bool:
        """Whether the call is timed out or cancelled. For loops in sync tools; callable from any thread."""
        return self.stop.is_set()

    async def until_open(self) -> None:
        """Return when the call may start: at once, unless its window is over and it must be announced again."""
        if self.window is not None and not self.window.is_open():
            await self.window.reopen()

    @property
    def log(self) -> Logger:
        """A logger whose lines say run, tenant, call and tool while ``execute`` runs the tool."""
        return get_logger("callboard.tools")
