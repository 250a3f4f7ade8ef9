"""Shell: what others write to a run, the moment it is stored. A copy can be lost; the journal cannot."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from callboard.bus.client import Connection, Reply
from callboard.bus.codec import is_by
from callboard.bus.journal import opened
from callboard.bus.ports import Copy
from callboard.bus.subjects import RunKey
from callboard.bus.watch import live_message, previous


class NatsHints:
    """Implements ``Hints`` on the feed that the server republishes: what is heard there is in the journal.

    The subscription is in force when the next request of the same connection has been answered: listen, then read.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def listen(
        self, key: RunKey, hear: Callable[[Copy | None], None], *, owner: Callable[[], str]
    ) -> AsyncGenerator[None]:
        def deliver(message: Reply) -> None:
            if is_by(message.payload, owner()):
                return
            entry = live_message(message)
            if entry is not None:
                hear(Copy(opened(entry), previous(message)))

        async with self._connection.subscribe(self._connection.subjects.live(key), deliver):
            with self._connection.on_reconnect(partial(hear, None)):  # what was published meanwhile is lost
                yield
