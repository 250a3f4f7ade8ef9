"""Shell: one guard's pulses, its share of the runs among its replicas, and its marks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.abc import TaskGroup
from pydantic import ValidationError

from callboard.bus.bus import Bus
from callboard.bus.client import Reply
from callboard.bus.guard_messages import Pulse
from callboard.errors import BusError
from callboard.guards.sidecar.desk import Desk, Part
from callboard.guards.sidecar.feed import JournalFeed
from callboard.guards.sidecar.partitions import PARTITIONS, Replicas
from callboard.guards.sidecar.rebuild import rebuild
from callboard.log import get_logger

log = get_logger(__name__)
PULSE_SECONDS: Final = 0.5
_GATHERED: Final = 0.02
"""Seconds that the pulse of a watermark that moved waits for more."""
_ANSWERED: Final = 0.2
"""Seconds that a new replica listens before it judges: the others answer its first pulse at once."""
_SHARE_SECONDS: Final = 0.1
_MARK_SECONDS: Final = 1.0


class Heart:
    """Of one guard in this process, ``replica``."""

    def __init__(self, bus: Bus, desk: Desk, feed: JournalFeed, *, replica: str) -> None:
        self._bus = bus
        self._desk = desk
        self._feed = feed
        self._replica = replica
        self._replicas = Replicas(replica)
        self._newcomer = anyio.Event()
        self._said: dict[int, int] = {}
        """The watermarks that were pulsed last, by partition."""

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Hear the other replicas."""
        subjects = self._bus.connection.subjects
        async with self._bus.connection.subscribe(f"{subjects.prefix}.pulse.{self._desk.hosted.name}.*", self._heard):
            yield

    async def beat(self, tasks: TaskGroup) -> None:
        """Pulse, share and mark for ever."""
        await self._bus.connection.barrier()
        await self._pulse(())
        await anyio.sleep(_ANSWERED)
        tasks.start_soon(self._pulses)
        tasks.start_soon(self._marks)
        while True:
            self._share(tasks)
            await anyio.sleep(_SHARE_SECONDS)

    def _heard(self, message: Reply) -> None:
        try:
            pulse = Pulse.model_validate_json(message.payload)
        except ValidationError:
            return
        if pulse.guard == self._desk.hosted.name and self._replicas.heard(pulse, self._bus.clock.monotonic()):
            self._newcomer.set()
            self._desk.nudge()

    def _share(self, tasks: TaskGroup) -> None:
        parts = self._desk.parts
        mine = self._replicas.mine(frozenset(parts), self._bus.clock.monotonic())
        for number in frozenset(parts) - mine:
            del parts[number]
        gained = [Part(number) for number in sorted(mine - frozenset(parts))]
        parts.update({part.number: part for part in gained})
        if gained:
            tasks.start_soon(rebuild, self._bus, self._desk, gained, self._feed)

    async def _pulses(self) -> None:
        while True:
            await self._pulse(self._desk.parts.values())
            with anyio.move_on_after(PULSE_SECONDS):
                await self._soon()

    async def _soon(self) -> None:
        """Pulse when something was judged; return when a replica came that has to hear everything."""
        self._newcomer = anyio.Event()
        while not self._newcomer.is_set():
            moved = self._desk.judged
            late = [part for part in self._desk.parts.values() if self._is_late(part)]
            if late:
                await anyio.sleep(_GATHERED)
                await self._pulse(late)
            else:
                await moved.wait()

    def _is_late(self, part: Part) -> bool:
        return part.progress.ready and self._said.get(part.number, 0) < part.judged

    async def _pulse(self, parts: Iterable[Part]) -> None:
        """One that judges nothing says that it is there."""
        marks = {part.number: self._watermark(part) for part in parts} or {0: 0}
        self._said.update(marks)
        subjects, name = self._bus.connection.subjects, self._desk.hosted.name
        try:
            for number, watermark in marks.items():
                pulse = Pulse(
                    guard=name,
                    replica=self._replica,
                    partition=number,
                    partitions=PARTITIONS,
                    watermark=watermark,
                    missing=self._desk.hosted.missing,
                )
                payload = pulse.model_dump_json().encode()
                await self._bus.connection.publish(subjects.pulse(name, number), payload)
        except BusError as error:
            log.debug("no pulse", guard=name, error=str(error))

    def _watermark(self, part: Part) -> int:
        return part.progress.watermark(self._feed.position)

    async def _marks(self) -> None:
        while True:
            await anyio.sleep(_MARK_SECONDS)
            try:
                for part in tuple(self._desk.parts.values()):
                    await self._mark(part)
            except BusError as error:
                log.warning("cannot store how far a guard has judged", guard=self._desk.hosted.name, error=str(error))

    async def _mark(self, part: Part) -> None:
        progress, watermark = part.progress, self._watermark(part)
        if watermark > progress.mark and (part.judged > progress.mark or not progress.mark):
            name = self._desk.hosted.name
            await self._bus.states.put("mark", name, str(part.number), value=str(watermark).encode())
            progress.mark = watermark
