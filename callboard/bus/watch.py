"""Shell: one journal, live. The republished feed says what comes; the journal heals every gap in it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from callboard.bus.client import Connection, Reply
from callboard.bus.following import Following
from callboard.bus.journal import opened
from callboard.bus.ports import Journals, Stored
from callboard.bus.storage import StreamMessage
from callboard.bus.subjects import RunKey

_KEPT: Final = 1_000
"""Live entries that wait for a slow reader; beyond that the journal is read again."""
_LOOK_AGAIN: Final = 5.0
"""Seconds from one look at the journal to the next: a gap shows at once, but not one at the end."""


class JetStreamWatch:
    """Implements ``Watch``."""

    def __init__(self, connection: Connection, journals: Journals) -> None:
        self._connection = connection
        self._journals = journals

    @asynccontextmanager
    async def follow(self, key: RunKey, *, after: int = 0) -> AsyncGenerator[AsyncIterator[Stored]]:
        following = Following(_Journal(self._journals, key, after), look_again=_LOOK_AGAIN)
        live = self._connection.subjects.live(key)
        async with self._connection.subscribe(live, following.arrived):
            with self._connection.on_reconnect(following.read_again):
                await self._connection.barrier()
                yield following


class _Journal:
    """Implements ``Source``: the entries in order, those read, then those that come."""

    def __init__(self, journals: Journals, key: RunKey, after: int) -> None:
        self._journals = journals
        self._key = key
        self._seen = after
        self._read: deque[Stored] = deque()
        self._live: deque[Reply] = deque()
        self.missing = True

    def hear(self, message: Reply) -> None:
        if len(self._live) >= _KEPT:
            self._live.clear()
            self.missing = True
        self._live.append(message)

    def next(self) -> Stored | None:
        entry = self._next_known()
        if entry is not None:
            self._seen = entry.sequence
        return entry

    async def read(self) -> None:
        self._read.extend(await self._journals.read(self._key, after=self._seen))

    def _next_known(self) -> Stored | None:
        while self._read:
            entry = self._read.popleft()
            if entry.sequence > self._seen:
                return entry
        while self._live and not self.missing:
            message = _live_message(self._live[0])
            if message is None or message.sequence <= self._seen:
                self._live.popleft()
            elif _previous(self._live[0]) > self._seen:
                self.missing = True
            else:
                self._live.popleft()
                return opened(message)
        return None


def _live_message(message: Reply) -> StreamMessage | None:
    """A republished entry; None for what somebody published to the live subject by hand."""
    headers = message.headers
    try:
        sequence = int(headers.get("Nats-Sequence", ""))
        at = datetime.fromisoformat(headers.get("Nats-Time-Stamp", ""))
    except ValueError:
        return None
    return StreamMessage(message.subject, sequence, message.payload, headers, at.astimezone(UTC))


def _previous(message: Reply) -> int:
    try:
        return int(message.headers.get("Nats-Last-Sequence", ""))
    except ValueError:
        return 0
