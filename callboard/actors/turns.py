"""Shell: at most so many at the same time. A free place costs next to nothing: no task, no scope, no pause."""

from __future__ import annotations

import anyio


class Turns:
    """``async with turns:`` is one of ``places``. Enter it shielded, or be cancelled while you wait."""

    def __init__(self, places: int) -> None:
        self._places = anyio.Semaphore(places, fast_acquire=True)

    async def __aenter__(self) -> None:
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            await self._places.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._places.release()
