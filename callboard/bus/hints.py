"""Shell: core NATS as the fast path. A hint can be lost; the journal cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from callboard.bus.client import Connection
from callboard.bus.subjects import RunKey

_FIRST_ECHO: Final = 0.005
_LAST_ECHO: Final = 5.0


class NatsHints:
    """Implements ``Hints``. Give it a connection with ``echo=False``, else a run hints itself.

    The subscription is in force when the next request of the same connection has been answered: listen, then read.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def listen(self, key: RunKey, wake: Callable[[], None]) -> AsyncGenerator[None]:
        echoes = _Echoes(wake)
        async with self._connection.subscribe(self._connection.subjects.run(key), lambda _: echoes.start()):
            with self._connection.on_reconnect(echoes.start):  # what was published meanwhile is lost
                try:
                    yield
                finally:
                    echoes.stop()


class _Echoes:
    """A hint, and its echoes: the message that hints is here before the stream has stored it.

    A publish waits behind the flushes of all others (a hundred kills at once: 0.2 s), so who reads at the hint may read
    too early, and nothing else would make him look again.
    """

    __slots__ = ("_timer", "_wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Wake now, and ever more rarely for some seconds."""
        self.stop()
        self._sound(_FIRST_ECHO)

    def stop(self) -> None:
        """No more echoes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sound(self, pause: float) -> None:
        self._timer = (
            asyncio.get_running_loop().call_later(pause, self._sound, pause * 2) if pause < _LAST_ECHO else None
        )
        self._wake()
