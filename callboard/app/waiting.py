"""Shell: what guards said of the runs that wait for them, read from CB_GUARDS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.app.held import Hold, holds, is_hold, paused_since
from callboard.app.queued import queued_task
from callboard.bus.bus import Bus
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey

_MARGIN: Final = timedelta(minutes=1)
"""By how much the clocks of workers and of the server may differ here."""
_ACTIONS: Final = ("pause", "observe")
"""A hold begins with the one and ends with the other."""


async def said_of_holds(bus: Bus, tenant: str | None, since: datetime) -> Mapping[RunKey, Sequence[GuardEvent]]:
    """What was said since then of closed guards that runs (of one tenant) wait for, by run, in order."""
    after = await bus.guard_log.sequence_before(since - _MARGIN)
    kept = [
        each
        for action in _ACTIONS
        for each in await bus.guard_log.kept(tenant=tenant or "*", action=action, after=after)
        if is_hold(each.event)
    ]
    found: dict[RunKey, list[GuardEvent]] = {}
    for each in sorted(kept, key=lambda each: each.sequence):
        found.setdefault(RunKey(each.tenant, each.event.run), []).append(each.event)
    return found


async def said_of_run(bus: Bus, key: RunKey, state: RunState) -> Sequence[GuardEvent]:
    """The same of one run; nothing if it is over."""
    if state.terminal is not None:
        return ()
    if state.created is not None:
        return (await said_of_holds(bus, key.tenant, state.created.at)).get(key, ())
    task = await queued_task(bus, key)  # a worker that holds the first call of a run has written nothing yet
    return () if task is None else (await said_of_holds(bus, key.tenant, task.at)).get(key, ())


async def holds_of(bus: Bus, key: RunKey, entries: Sequence[Stored]) -> tuple[Hold, ...]:
    """What holds a run back whose journal is ``entries``, and since when."""
    state = replay(entries)
    said = await said_of_run(bus, key, state)
    return holds(state, now=bus.clock.now(), said=said, paused=paused_since(entries, state))
