"""Shell: guards beside the bus. One feed for all guards of the process; each has its desk and its pulse."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from callboard.actors.groups import alone
from callboard.bus.bus import Bus
from callboard.errors import Bug, BusError, BusUnreachable, InvalidMessage
from callboard.guards.hosted import Hosted
from callboard.guards.sidecar.act import Hands
from callboard.guards.sidecar.desk import Desk, Outgoing
from callboard.guards.sidecar.feed import Appended, JournalFeed, following
from callboard.guards.sidecar.partitions import partition_of_name
from callboard.guards.sidecar.pulse import Heart
from callboard.log import get_logger

log = get_logger(__name__)
TICK_SECONDS: Final = 1.0
_AT_ONCE: Final = 1_000
"""Entries of which verdicts are on their way out; beyond that the feed waits."""
_VOICES: Final = 64
"""Guard events that are being published."""
_TURN: Final = 32
"""Entries, or runs, after which others get their turn."""
_NAME: Final = 64


class Sidecar:
    """The guards of one process. ``replica`` is its name among those that host the same guards."""

    def __init__(self, bus: Bus, hosted: Sequence[Hosted], *, replica: str) -> None:
        names = [each.name for each in hosted]
        if len(set(names)) != len(names):
            raise Bug(f"the guards are {names!r}: give each a name of its own")
        self._bus = bus
        self._hosted = tuple(hosted)
        self._replica = replica[-_NAME:]
        self._desks: tuple[Desk, ...] = ()
        self._room = anyio.Semaphore(_AT_ONCE)
        self._tasks: TaskGroup

    async def run(self, ready: anyio.Event) -> None:
        """Follow the feed and judge, until cancelled. Raises ``BusError`` when it has to begin again."""
        with alone(BusError):
            await self._live(ready)

    async def _live(self, ready: anyio.Event) -> None:
        async with (
            anyio.create_task_group() as self._tasks,
            following(self._bus.connection) as feed,
            AsyncExitStack() as stack,
        ):
            hands = Hands(self._bus.journals, self._bus.guard_log, anyio.Semaphore(_VOICES))
            self._desks = tuple(Desk(self._bus, each, hands=hands, tasks=self._tasks) for each in self._hosted)
            for desk in self._desks:
                heart = Heart(self._bus, desk, feed, replica=self._replica)
                await stack.enter_async_context(heart.listening())
                self._tasks.start_soon(heart.beat, self._tasks)
            self._tasks.start_soon(self._tick, feed)
            ready.set()
            while True:
                for count, entry in enumerate(await feed.next()):
                    if await self._hand_out(entry) or count % _TURN == _TURN - 1:
                        await checkpoint()

    async def _hand_out(self, entry: Appended) -> bool:
        """Let all judge who watch the run; was anything said?"""
        number = partition_of_name(entry.name)
        concerned = [(desk, part) for desk in self._desks if (part := desk.parts.get(number)) and part.wants(entry)]
        if not concerned:
            return False
        try:
            key = self._bus.connection.subjects.parse_run(entry.message.subject)
        except InvalidMessage:
            return False  # nothing that has a journal
        stored = entry.opened()
        going = [(desk, desk.see(part, key, entry=entry, stored=stored)) for desk, part in concerned]
        return any([await self._send(desk, each) for desk, each in going])

    async def _send(self, desk: Desk, going: Outgoing | None) -> bool:
        if going is None:
            return False
        await self._room.acquire()
        self._tasks.start_soon(self._out, desk, going)
        return True

    async def _out(self, desk: Desk, going: Outgoing) -> None:
        try:
            await desk.send(going)
        finally:
            self._room.release()

    async def _tick(self, feed: JournalFeed) -> None:
        """About once a second, with a time up to which everything that happened was judged."""
        while True:
            await anyio.sleep(TICK_SECONDS)
            now = self._bus.clock.now()
            try:
                await feed.complete()
            except BusUnreachable as error:
                log.warning("no tick: the bus is away", error=str(error))
                continue
            for desk in self._desks:
                await self._tick_runs(desk, now)
                for part in desk.parts.values():
                    part.ended = {name: last for name, last in part.ended.items() if last > feed.position}

    async def _tick_runs(self, desk: Desk, now: datetime) -> None:
        for part in tuple(desk.parts.values()):
            for count, name in enumerate(tuple(part.runs)):
                if await self._send(desk, desk.tick(part, name, now)) or count % _TURN == _TURN - 1:
                    await checkpoint()
