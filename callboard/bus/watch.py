"""Shell: one journal, live. The republished feed says what comes; the journal heals every gap in it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

from callboard.bus.client import Connection, Reply
from callboard.bus.deltas import ModelDelta, decode_delta
from callboard.bus.following import Following, Source
from callboard.bus.journal import opened
from callboard.bus.ports import Journals, Stored
from callboard.bus.storage import StreamMessage
from callboard.bus.subjects import RunKey

T = TypeVar("T")
_KEPT: Final = 1_000
"""Live entries that wait for a slow reader; beyond that the journal is read again."""
_LOOK_AGAIN: Final = 5.0
"""Seconds from one look at the journal to the next: a gap shows at once, but not one at the end."""


class JetStreamWatch:
    """Implements ``Watch``."""

    def __init__(self, connection: Connection, journals: Journals) -> None:
        self._connection = connection
        self._journals = journals

    def follow(self, key: RunKey, *, after: int = 0) -> AbstractAsyncContextManager[AsyncIterator[Stored]]:
        live = self._connection.subjects.live(key)
        return self._listening(_Journal(self._journals, key, after), live)

    def follow_text(self, key: RunKey) -> AbstractAsyncContextManager[AsyncIterator[Stored | ModelDelta]]:
        """The journal, and what models say in between: pieces may be missing, the entries are all there.

        A piece comes behind every entry that was written before it was said.
        """
        live, tokens = self._connection.subjects.live(key), self._connection.subjects.tokens(key)
        return self._listening(_Heard(_Journal(self._journals, key, 0), tokens), live, tokens)

    @asynccontextmanager
    async def _listening(self, source: Source[T], *subjects: str) -> AsyncGenerator[AsyncIterator[T]]:
        following = Following(source, look_again=_LOOK_AGAIN)
        async with AsyncExitStack() as stack:
            for subject in subjects:
                await stack.enter_async_context(self._connection.subscribe(subject, following.arrived))
            stack.enter_context(self._connection.on_reconnect(following.read_again))
            await self._connection.barrier()
            yield following


class _Heard:
    """Implements ``Source``: a journal, and the pieces that were heard since its last entry."""

    def __init__(self, journal: _Journal, tokens: str) -> None:
        self._journal = journal
        self._tokens = tokens
        self._said: deque[ModelDelta] = deque(maxlen=_KEPT)
        self.missing = True

    def hear(self, message: Reply) -> None:
        if message.subject != self._tokens:
            self._journal.hear(message)
        elif (delta := decode_delta(message.payload)) is not None:
            self._said.append(delta)

    def next(self) -> Stored | ModelDelta | None:
        self._journal.missing = self._journal.missing or self.missing
        entry = self._journal.next()
        self.missing = self._journal.missing
        if entry is not None or self.missing or not self._said:
            return entry
        return self._said.popleft()

    async def read(self) -> None:
        self._journal.missing = False
        await self._journal.read()


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
            message = live_message(self._live[0])
            if message is None or message.sequence <= self._seen:
                self._live.popleft()
            elif previous(self._live[0]) > self._seen:
                self.missing = True
            else:
                self._live.popleft()
                return opened(message)
        return None


def live_message(message: Reply) -> StreamMessage | None:
    """A republished entry; None for what somebody published to the live subject by hand."""
    headers = message.headers
    try:
        sequence = int(headers.get("Nats-Sequence", ""))
        at = datetime.fromisoformat(headers.get("Nats-Time-Stamp", ""))
    except ValueError:
        return None
    return StreamMessage(message.subject, sequence, message.payload, headers, at.astimezone(UTC))


def previous(message: Reply) -> int:
    """The sequence of the entry before a republished one; 0 for the first, or if it does not say."""
    try:
        return int(message.headers.get("Nats-Last-Sequence", ""))
    except ValueError:
        return 0
