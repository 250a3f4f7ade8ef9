"""Shell: core NATS as the fast path. A hint can be lost; the journal cannot."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from callboard.bus.client import Connection
from callboard.bus.subjects import RunKey


class NatsHints:
    """Implements ``Hints``. Give it a connection with ``echo=False``, else a run hints itself.

    The subscription is in force when the next request of the same connection has been answered: listen, then read.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def listen(self, key: RunKey, wake: Callable[[], None]) -> AsyncGenerator[None]:
        async with self._connection.subscribe(self._connection.subjects.run(key), lambda _: wake()):
            with self._connection.on_reconnect(wake):  # what was published meanwhile is lost
                yield
