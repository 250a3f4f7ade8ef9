"""Shell: everything that is appended to any journal, in order, each entry once, some hundred microseconds later.

The republished feed is fast and lossy; CB_RUNS heals it. A gap shows at the next message, a lost tail when the stream
is asked for its end: twice a second, and after every reconnect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import anyio

from callboard.bus import storage
from callboard.bus.client import Connection, Reply
from callboard.bus.codec import EVENTS
from callboard.bus.journal import opened
from callboard.bus.ports import Stored
from callboard.bus.storage import StreamMessage
from callboard.errors import BusError, BusUnreachable
from callboard.guards.sidecar.tracker import FeedTracker
from callboard.log import get_logger

log = get_logger(__name__)
_KEPT: Final = 20_000
"""Live messages that wait for a slow guard; what comes then is read from the stream."""
_BATCH: Final = 256
_ASK_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 0.25
_FIRST: Final = "Nats-Expected-Last-Subject-Sequence"


@dataclass(frozen=True, slots=True)
class Appended:
    """One entry of some journal. ``name`` is ``<tenant>.<run>``; ``events`` its types, None: it does not say."""

    sequence: int
    name: str
    message: StreamMessage

    @property
    def events(self) -> str | None:
        return self.message.headers.get(EVENTS)

    @property
    def first(self) -> bool:
        """Is it known to be the first entry of its journal?"""
        return self.message.headers.get(_FIRST) == "0"

    def opened(self) -> Stored:
        """Its record, decoded."""
        return opened(self.message)


class JournalFeed:
    """Made by ``following``, for one reader."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream = connection.subjects.stream("RUNS")
        self._all = f"{connection.subjects.prefix}.run.*.*"
        self._live: deque[Reply] = deque()
        self._tracker = FeedTracker[Appended](0)
        self._changed = anyio.Event()
        self._asked = anyio.Event()
        self._passed = anyio.Event()
        self.position = 0
        """Everything up to here is dealt with: handed out by ``next``, which was called again since."""

    def begin(self, last: int) -> None:
        """What is behind ``last`` comes out."""
        self._tracker = FeedTracker[Appended](last)
        self.position = last

    async def next(self) -> Sequence[Appended]:
        """What came meanwhile, at least one entry. The entries of the call before count as dealt with."""
        self._moved()
        while True:
            if out := self._taken():
                return out
            self._moved()
            if not self._tracker.behind:
                await self._changed.wait()
            elif found := await self._read():
                return found

    async def complete(self) -> None:
        """Return when everything is dealt with that was stored when this was called."""
        last = await self._ask()
        while self.position < last:
            await self._passed.wait()

    def arrived(self, message: Reply) -> None:
        """A message of the live feed."""
        if len(self._live) < _KEPT:
            self._live.append(message)
        self._changed.set()

    def ask_soon(self) -> None:
        """The connection is back: something may have been lost."""
        self._asked.set()

    async def watch_the_end(self) -> None:
        """Ask for the end of the stream for ever."""
        while True:
            self._asked = anyio.Event()
            with anyio.move_on_after(_ASK_SECONDS):
                await self._asked.wait()
            try:
                await self._ask()
            except BusUnreachable as error:
                log.warning("cannot ask for the end of the journals, trying again", error=str(error))

    def _moved(self) -> None:
        if self.position != self._tracker.seen:
            self.position = self._tracker.seen
            passed, self._passed = self._passed, anyio.Event()
            passed.set()

    def _taken(self) -> list[Appended]:
        self._changed = anyio.Event()
        out: list[Appended] = []
        while self._live and len(out) < _BATCH:
            entry = _entry(self._live.popleft())
            if entry is not None:
                out += self._tracker.live(entry.sequence, entry)
        return out

    async def _ask(self) -> int:
        seen = self._tracker.seen
        last = await last_sequence(self._connection)
        if last < seen:
            text = f"stream {self._stream!r} went back from {seen} to {last}: it was restored, begin again"
            raise BusError(text, retryable=True)
        self._tracker.tail(last)
        if self._tracker.behind:
            self._changed.set()
        return last

    async def _read(self) -> Sequence[Appended]:
        """One page of what is missing."""
        end = self._tracker.end
        try:
            page, more = await storage.direct_page(self._connection, self._stream, self._all, after=self._tracker.seen)
            upto = page[-1].sequence if page else self._tracker.seen
            if upto < end and not more:  # a replica that lags, or entries that are gone
                behind = await storage.next_of(self._connection, self._stream, self._all, after=upto)
                page += [] if behind is None else [behind]
                upto = end if behind is None else behind.sequence
        except BusUnreachable as error:
            log.warning("cannot read what was missed, trying again", error=str(error))
            await anyio.sleep(_RETRY_SECONDS)
            return ()
        return self._tracker.read(((message.sequence, _read(message)) for message in page), upto=upto)


@asynccontextmanager
async def following(connection: Connection) -> AsyncGenerator[JournalFeed]:
    """Every entry from now on, of all journals."""
    feed = JournalFeed(connection)
    async with connection.subscribe(f"{connection.subjects.prefix}.live.>", feed.arrived):
        await connection.barrier()
        feed.begin(await last_sequence(connection))
        with connection.on_reconnect(feed.ask_soon):
            async with anyio.create_task_group() as group:
                group.start_soon(feed.watch_the_end)
                yield feed
                group.cancel_scope.cancel()


async def last_sequence(connection: Connection) -> int:
    """The last sequence of CB_RUNS, as its leader has it."""
    stream = connection.subjects.stream("RUNS")
    answer = await storage.patiently(lambda: storage.api(connection, f"STREAM.INFO.{stream}", {}))
    if "error" in answer:
        raise BusError(f"cannot ask for the end of {stream!r}: {answer['error'].get('description')}")
    return int(cast("Mapping[str, Any]", answer["state"])["last_seq"])


def _entry(message: Reply) -> Appended | None:
    """A republished entry; None for what somebody published to a live subject by hand."""
    headers = message.headers
    parts = message.subject.split(".", 2)
    try:
        sequence = int(headers["Nats-Sequence"])
        at = datetime.fromisoformat(headers["Nats-Time-Stamp"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
    return Appended(sequence, parts[2], StreamMessage(message.subject, sequence, message.payload, headers, at))


def _read(message: StreamMessage) -> Appended:
    return Appended(message.sequence, message.subject.split(".", 2)[2], message)
