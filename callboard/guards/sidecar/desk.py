"""Shell: one guard in this process: the runs of its partitions, from the feed and, when it gains some, from journals.

It keeps nothing that the journals do not have. Reading a journal again says what a process before it had done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from callboard.bus.bus import Bus
from callboard.bus.messages import RunCreated
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.errors import BusUnreachable
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard
from callboard.guards.sidecar.act import Hands
from callboard.guards.sidecar.deeds import Deed, behind, live
from callboard.guards.sidecar.feed import Appended
from callboard.guards.sidecar.judge import Said, Watched, created_in, watched
from callboard.guards.sidecar.posts import Posts
from callboard.guards.sidecar.progress import Progress
from callboard.log import get_logger

log = get_logger(__name__)
_RETRY_SECONDS: Final = 0.25
_NO_TICK: Final = Guard[Any].tick


@dataclass(slots=True)
class Part:
    """A partition that is judged here, its runs by ``<tenant>.<run>``.

    ``since``: runs that ended before that entry concern nobody. ``judged``: the last entry that was.
    ``returning``: runs whose journals are being read, with the last entry that came meanwhile. While all of it is
    being rebuilt, ``strays`` are runs that are not known yet and had an entry, and ``settled`` those that are over, or
    do not have the guard. ``ended``: runs that were over before the feed came to their end.
    """

    number: int
    progress: Progress = field(default_factory=Progress)
    since: int = 0
    judged: int = 0
    runs: dict[str, Watched] = field(default_factory=dict[str, Watched])
    returning: dict[str, int] = field(default_factory=dict[str, int])
    strays: set[str] = field(default_factory=set[str])
    settled: set[str] = field(default_factory=set[str])
    ended: dict[str, int] = field(default_factory=dict[str, int])

    def wants(self, entry: Appended) -> bool:
        """Must the entry be decoded for it?"""
        if not self.progress.ready or entry.name in self.runs or entry.name in self.returning:
            return True
        return entry.events is None or "run.created" in entry.events


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What came of an entry of a partition; its watermark waits for it. ``sequence`` 0: came of no entry."""

    part: Part
    sequence: int
    deeds: Sequence[Deed]


class Desk:
    """A hosted guard and the partitions that it has here. ``parts`` is changed by whoever shares them out."""

    def __init__(self, bus: Bus, hosted: Hosted, *, hands: Hands, tasks: TaskGroup) -> None:
        self.hosted = hosted
        self.parts: dict[int, Part] = {}
        self.judged = anyio.Event()
        """Set, and replaced, whenever an entry was judged."""
        self._journals = bus.journals
        self._clock = bus.clock
        self._hands = hands
        self._posts = Posts(hosted)
        self._tasks = tasks

    def see(self, part: Part, key: RunKey, *, entry: Appended, stored: Stored) -> Outgoing | None:
        """Judge an entry of a run of ``part``; the answer must be handed to ``send``."""
        name = entry.name
        run = part.runs.get(name)
        if run is None:
            if entry.sequence <= part.ended.get(name, 0):
                return None
            if name in part.returning:
                part.returning[name] = entry.sequence
                return None
            created = created_in((stored,))
            if created is None or not entry.first:
                self._unknown(part, key, entry, created)
                return None
            run = self._watch(key, created)
            if run is None:
                return None
            part.runs[name] = run
        return self._judge(part, run, name, stored)

    def nudge(self) -> None:
        """Wake who waits for something to be judged."""
        judged, self.judged = self.judged, anyio.Event()
        judged.set()

    def tick(self, part: Part, name: str, now: datetime) -> Outgoing | None:
        """Time has passed for a run."""
        run = part.runs.get(name)
        if run is None or run.killed or type(run.guard).tick is _NO_TICK:
            return None
        said = run.tick(now)
        return Outgoing(part, 0, live(run, said, now=now)) if said else None

    async def send(self, going: Outgoing) -> None:
        """Do it and say it; when it is out the watermark moves."""
        await self._hands.carry_out(going.deeds)
        if going.sequence:
            going.part.progress.end(going.sequence)

    async def read_again(self, part: Part, key: RunKey, *, mark: int) -> None:
        """Judge a run from the beginning of its journal, and go on with it from there.

        What was said up to ``mark`` is not said again.
        """
        name = f"{key.tenant}.{key.run}"
        if name in part.runs or name in part.returning:
            return
        part.returning[name] = 0
        known: list[Stored] = []
        run: Watched | None = None
        last = 0
        while True:
            known += await self._read(key, after=last)
            last = known[-1].sequence if known else 0
            created = created_in(known)
            if run is None and created is not None:
                run = self._watch(key, created)
            if run is not None:
                await self._catch_up(part, run, known, mark=mark)
            settled = created is not None and (run is None or run.over)
            if settled or part.returning[name] <= last:
                break
        del part.returning[name]
        if run is not None and not run.over:
            part.runs[name] = run
            return
        part.ended[name] = last
        if settled and not part.progress.ready:
            part.settled.add(name)

    async def _catch_up(self, part: Part, run: Watched, known: Sequence[Stored], *, mark: int) -> None:
        said: list[Said] = [each for entry in known for each in run.see(entry)]
        done = {entry.record.id for entry in known if entry.record is not None}
        deeds = behind(run, said, done=done, mark=mark, now=self._clock.now())
        await self._hands.carry_out(deeds)
        part.judged = max(part.judged, run.sequence)

    def _judge(self, part: Part, run: Watched, name: str, stored: Stored) -> Outgoing | None:
        said = run.see(stored)
        part.judged = max(part.judged, stored.sequence)
        self.nudge()
        if run.over:
            del part.runs[name]
        if not said:
            return None
        part.progress.begin(stored.sequence)
        return Outgoing(part, stored.sequence, live(run, said, now=self._clock.now()))

    def _unknown(self, part: Part, key: RunKey, entry: Appended, created: RunCreated | None) -> None:
        """A run that is over, or has not begun; or one with a beginning that has to be read."""
        if not part.progress.ready:
            part.strays.add(entry.name)
        elif created is not None:
            part.progress.begin(entry.sequence)
            self._tasks.start_soon(self._read_late, part, key, entry.sequence)

    async def _read_late(self, part: Part, key: RunKey, sequence: int) -> None:
        await self.read_again(part, key, mark=0)
        part.progress.end(sequence)

    def _watch(self, key: RunKey, created: RunCreated) -> Watched | None:
        post = self._posts.of(created)
        if post.guard is None:
            return None
        return watched(self.hosted.name, key, created, guard=post.guard, mode=post.mode)

    async def _read(self, key: RunKey, *, after: int) -> Sequence[Stored]:
        while True:
            try:
                return await self._journals.read(key, after=after)
            except BusUnreachable as error:
                log.warning("cannot read a journal, trying again", run=key.run, error=str(error))
                await anyio.sleep(_RETRY_SECONDS)
