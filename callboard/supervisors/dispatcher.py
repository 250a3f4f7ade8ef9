"""Shell: the dispatcher. It follows all journals and pays what entries owe: wake, tell parents, stop children.

It keeps nothing that the journals do not have, may do everything twice, and acknowledges last. Several share the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import anyio

from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus.messages import ChildFinished, Record, Resume, RunKilled, RunPaused, RunResumed, TimerFired
from callboard.bus.ports import DueTimer, DueTimers, Feed, FeedEntry, Graveyard, Journals, Tasks
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.clock import Clock
from callboard.errors import BusError
from callboard.log import bound, get_logger
from callboard.supervisors.dispatch import (
    Duty,
    HandDown,
    KillChild,
    PublishResume,
    TellParent,
    concerns,
    duties,
    handed_down,
)

log = get_logger(__name__)
_Signal: TypeAlias = ChildFinished | RunKilled | TimerFired | RunPaused | RunResumed
_BATCH: Final = 256
_AT_ONCE: Final = 64
_WAIT_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Run it under a supervisor; any number of them, anywhere."""

    journals: Journals
    tasks: Tasks
    feed: Feed
    due: DueTimers
    graveyard: Graveyard
    clock: Clock

    async def run(self, ready: anyio.Event) -> None:
        """Follow the feed and the due timers until cancelled."""
        room = anyio.Semaphore(_AT_ONCE)
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow_feed, room)
            group.start_soon(self._follow_timers, room)
            ready.set()

    async def _follow_feed(self, room: anyio.Semaphore) -> None:
        async with anyio.create_task_group() as group:
            while True:
                try:
                    entries = await self.feed.pull(batch=_BATCH, wait=_WAIT_SECONDS)
                    for entry in entries:
                        if concerns(entry.events, entry.family):
                            await room.acquire()
                            group.start_soon(self._handle, entry, room)
                        else:
                            await entry.acknowledge()
                except BusError as error:
                    log.warning("cannot follow the journals, trying again", error=str(error))
                    await anyio.sleep(_RETRY_SECONDS)

    async def _follow_timers(self, room: anyio.Semaphore) -> None:
        async with anyio.create_task_group() as group:
            while True:
                try:
                    for timer in await self.due.pull(batch=_BATCH, wait=_WAIT_SECONDS):
                        await room.acquire()
                        group.start_soon(self._fire, timer, room)
                except BusError as error:
                    log.warning("cannot follow the timers, trying again", error=str(error))
                    await anyio.sleep(_RETRY_SECONDS)

    async def _handle(self, entry: FeedEntry, room: anyio.Semaphore) -> None:
        try:
            with bound(run=entry.key.run, tenant=entry.key.tenant):
                await self._pay(entry)
                await entry.acknowledge()
        except BusError as error:  # also a full queue. Nobody waits here: the ends of other runs must get through
            log.warning("could not finish an entry, it comes again", sequence=entry.sequence, error=str(error))
        finally:
            room.release()

    async def _pay(self, entry: FeedEntry) -> None:
        before, state, record = await self._read(entry)
        run = entry.key.run
        for duty in (
            *handed_down(run, entry.sequence, record, before, state),
            *duties(run, entry.sequence, record, state, parent=entry.parent),
        ):
            await self._do(entry.key, duty, state)

    async def _read(self, entry: FeedEntry) -> tuple[RunState, RunState, Record | None]:
        """The run before the entry, the run as it is, and the entry."""
        entries = await self.journals.read(entry.key)
        stored = next((each for each in entries if each.sequence == entry.sequence), None)
        if stored is not None and stored.record is None:
            subject = f"{entry.key} entry {entry.sequence}"
            await self.graveyard.bury((entry.key.tenant, "-"), subject, "bad_entry", stored.problem, b"")
        before = replay(each for each in entries if each.sequence < entry.sequence)
        later = (each for each in entries if each.sequence >= entry.sequence)
        return before, replay(later, before), None if stored is None else stored.record

    async def _do(self, key: RunKey, duty: Duty, state: RunState) -> None:
        match duty:
            case PublishResume(signal):
                assert state.created is not None
                address = TaskAddress(key.tenant, state.created.agent, state.created.lane, key.run)
                await self.tasks.publish(address, Resume(resume=signal, run=key.run), dedup=f"{key}@{signal}")
            case TellParent(parent, event):
                await self._signal(RunKey(key.tenant, parent), event)
            case KillChild(child, event):
                await self._signal(RunKey(key.tenant, child), event, parent=key.run)
            case HandDown(child, event):
                await self._signal(RunKey(key.tenant, child), event)

    async def _fire(self, timer: DueTimer, room: anyio.Semaphore) -> None:
        try:
            state = replay(await self.journals.read(timer.key))
            known = state.timers.get(timer.timer)
            if state.terminal is None and known is not None and not known.fired:
                await self._signal(timer.key, TimerFired(timer=timer.timer))
            await timer.acknowledge()
        except BusError as error:
            log.warning("could not fire a timer, it comes again", run=timer.key.run, error=str(error))
        finally:
            room.release()

    async def _signal(self, key: RunKey, event: _Signal, *, parent: str = "") -> None:
        record = Record(id=self.clock.new_id(), at=self.clock.now(), events=(event,))
        await self.journals.signal(key, record, parent=parent)
