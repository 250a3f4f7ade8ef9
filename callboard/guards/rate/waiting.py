"""Shell: a call that waits for its turn, and the place that it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from callboard.actors.gate import Grant
from callboard.guards.rate.wire import Answer


def _nobody() -> None:
    """Nobody need know."""


@dataclass(frozen=True, slots=True)
class Place(Grant):
    """The grant of a call that counts against a limit. ``shared``: against the one of all workers."""

    id: str = ""
    line: str = ""
    shared: bool = False
    begins: Callable[[], None] = _nobody

    def begin(self) -> None:
        """It is on its way to the provider."""
        self.begins()


class Waiting:
    """A call that waits. ``answer`` is the last one; what was granted stays granted. ``shared``: by the limiter."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.shared = False
        self._told = anyio.Event()

    def tell(self, answer: Answer, *, shared: bool) -> None:
        """Here is an answer."""
        if self.answer is None or self.answer.status != "granted":
            self.answer, self.shared = answer, shared
        self._told.set()

    async def hear(self, seconds: float) -> Answer | None:
        """The last answer, after the next one or so many seconds."""
        with anyio.move_on_after(seconds):
            await self._told.wait()
        self._told = anyio.Event()
        return self.answer

    def again(self) -> None:
        """The next answer is to be a new one."""
        if self.answer is None or self.answer.status != "granted":
            self.answer, self._told = None, anyio.Event()
