"""Shell: the branches of one play of a function: which of them hold the worker, and what the others wait for.

When every branch only waits, the play is left and the run suspended: nothing holds the worker then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
from anyio.lowlevel import checkpoint

from callboard.bus.messages import Wait
from callboard.errors import ConfigError, StepConflict

_NAME_LENGTH = 100


class Parking:
    """What the branches of a function do right now, and how often each name was used."""

    def __init__(self) -> None:
        self.waits: tuple[tuple[Wait, ...], ...] = ()
        """What the branches waited for when the play was left."""
        self.on_leave: Callable[[], None] = _nobody
        """Cancels the play."""
        self._groups: list[tuple[Wait, ...]] = []
        self._busy = 0
        self._moved = anyio.Event()
        self._open: set[str] = set()
        self._counts: dict[str, int] = {}

    async def park(self, group: tuple[Wait, ...], arrived: Callable[[Wait], bool]) -> None:
        """Return once all of ``group`` has arrived."""
        self._groups.append(group)
        try:
            while not all(arrived(wait) for wait in group):
                moved = self._moved
                if not self._busy:
                    await self._leave_if_idle(moved)
                await moved.wait()
        finally:
            self._groups.remove(group)

    async def _leave_if_idle(self, moved: anyio.Event) -> None:
        for _ in range(3):  # a branch that has just got its result may be about to start its next step
            await checkpoint()
        if not self._busy and moved is self._moved and not self.waits:
            self.waits = tuple(self._groups)
            self.on_leave()

    def wake(self) -> None:
        """Something has changed: let the waiting branches look again."""
        if self._groups:  # else nobody waits, and every step comes here
            self._moved.set()
            self._moved = anyio.Event()

    @contextmanager
    def holding(self) -> Generator[None]:
        """The branch holds the worker: the run is not suspended meanwhile."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self.wake()

    @contextmanager
    def named(self, name: str) -> Generator[None]:
        """A step called ``name`` is under way. Raises ``StepConflict`` if there is one already."""
        if name in self._open:
            raise StepConflict(f"two steps called {name!r} at the same time: give each a name of its own")
        self._open.add(name)
        try:
            yield
        finally:
            self._open.discard(name)

    def occurrence(self, name: object, mark: str = "#") -> str:
        """``name`` with its number: the first ``fetch`` is ``fetch#1``. Raises ``ConfigError`` for no name."""
        if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
            raise ConfigError(f"a name is {name!r}: use a text of 1 to {_NAME_LENGTH} printable characters")
        self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name}{mark}{self._counts[name]}"

    def upcoming(self, name: str) -> str:
        """The number that the next ``name`` will have, without using it."""
        return f"{name}#{self._counts.get(name, 0) + 1}"


def _nobody() -> None:
    """Nobody plays yet."""
