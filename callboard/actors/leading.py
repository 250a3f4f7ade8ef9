"""Shell: calls of one worker that begin alike. The first goes ahead, the others read what it wrote into the cache.

A provider can read an entry of its prompt cache once the first answer has begun. Calls that start together would each
write it, and pay for that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import anyio

from callboard.clock import Clock

Head: TypeAlias = tuple[str, ...]
"""What requests begin with alike: the model's label, digests of the tools, the schema and the system prompt."""
LIFETIME: Final = 270.0
"""Seconds for which a beginning that was used is believed to be in the cache: providers keep it for five minutes."""
_MANY: Final = 1_000


@dataclass(slots=True)
class Leaders:
    """Who goes ahead, and which beginnings are warm since when. One for each worker."""

    _ahead: dict[Head, anyio.Event] = field(default_factory=dict[Head, anyio.Event])
    _warm: dict[Head, float] = field(default_factory=dict[Head, float])

    def is_led(self, head: Head) -> bool:
        """Is a call ahead of all others that begin with ``head``?"""
        return head in self._ahead

    @asynccontextmanager
    async def behind(self, head: Head, *, within: float, clock: Clock) -> AsyncGenerator[Callable[[], None]]:
        """Enter when ``head`` is warm, when nobody is ahead (then this call is), or after ``within`` seconds.

        Call what it yields when the answer has begun: the others go on. They also do when the block ends before that;
        then one of them is next to go ahead.
        """
        with anyio.move_on_after(within):
            while head in self._ahead:
                await self._ahead[head].wait()
        mine: anyio.Event | None = None
        if head not in self._ahead and clock.monotonic() - self._warm.get(head, -LIFETIME) >= LIFETIME:
            mine = self._ahead[head] = anyio.Event()

        def begun() -> None:
            self._keep(head, clock.monotonic())
            self._let(head, mine)

        try:
            yield begun
        finally:
            self._let(head, mine)

    def _keep(self, head: Head, now: float) -> None:
        self._warm[head] = now
        if len(self._warm) > _MANY:
            self._warm = {each: used for each, used in self._warm.items() if now - used < LIFETIME}

    def _let(self, head: Head, mine: anyio.Event | None) -> None:
        """Those behind ``mine`` may go on."""
        if mine is not None and not mine.is_set():
            del self._ahead[head]
            mine.set()
