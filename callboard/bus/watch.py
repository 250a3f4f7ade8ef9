"""Shell: one journal, live. The republished feed says what comes; the journal heals every gap in it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import anyio

from callboard.bus.client import Connection, Reply
from callboard.bus.journal import opened
from callboard.bus.ports import Journals, Stored
from callboard.bus.storage import StreamMessage
from callboard.bus.subjects import RunKey
from callboard.errors import BusUnreachable

_KEPT: Final = 1_000
"""Live entries that wait for a slow reader; beyond that the journal is read again."""
_LOOK_AGAIN: Final = 5.0
"""Seconds of silence after which the journal is read: the last live message may be the one that was lost."""


class JetStreamWatch:
    """Implements ``Watch``."""

    def __init__(self, connection: Connection, journals: Journals) -> None:
        self._connection = connection
        self._journals = journals

    @asynccontextmanager
    async def follow(self, key: RunKey, *, after: int = 0) -> AsyncGenerator[AsyncIterator[Stored]]:
        following = _Following(self._journals, key, after)
        live = self._connection.subjects.live(key)
        async with self._connection.subscribe(live, following.arrived):
            with self._connection.on_reconnect(following.read_again):
                await self._connection.barrier()
                yield following


class _Following:
    """The entries in order: those read, then those that come."""

    def __init__(self, journals: Journals, key: RunKey, after: int) -> None:
        self._journals = journals
        self._key = key
        self._seen = after
        self._read: deque[Stored] = deque()
        self._live: deque[Reply] = deque()
        self._must_read = True
        self._changed = anyio.Event()

    def arrived(self, message: Reply) -> None:
        if len(self._live) >= _KEPT:
            self._live.clear()
            self._must_read = True
        self._live.append(message)
        self._changed.set()

    def read_again(self) -> None:
        self._must_read = True
        self._changed.set()

    def __aiter__(self) -> _Following:
        return self

    async def __anext__(self) -> Stored:
        while True:
            entry = self._next_known()
            if entry is not None:
                self._seen = entry.sequence
                return entry
            if self._must_read:
                await self._fetch()
            else:
                await self._wait()

    def _next_known(self) -> Stored | None:
        """The next entry without asking the server; None if there is none, or if a gap must be read first."""
        while self._read:
            entry = self._read.popleft()
            if entry.sequence > self._seen:
                return entry
        while self._live and not self._must_read:
            message = _live_message(self._live[0])
            if message is None or message.sequence <= self._seen:
                self._live.popleft()
            elif _previous(self._live[0]) > self._seen:
                self._must_read = True
            else:
                self._live.popleft()
                return opened(message)
        return None

    async def _fetch(self) -> None:
        self._must_read = False
        try:
            self._read.extend(await self._journals.read(self._key, after=self._seen))
        except BaseException as error:
            self._must_read = True
            if not (isinstance(error, BusUnreachable) and error.retryable):  # the journal has patience, a watch more
                raise

    async def _wait(self) -> None:
        self._changed = anyio.Event()
        with anyio.move_on_after(_LOOK_AGAIN) as silence:
            await self._changed.wait()
        if silence.cancelled_caught:
            self._must_read = True


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
