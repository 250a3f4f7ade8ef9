"""Shell: takes up partitions: reads the journals of their open runs, while the feed goes on.

Runs that ended lately are read too, if the mark says that not everything was said of them: who carried a verdict out
and died had no time to say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Final

import anyio

from callboard.bus.bus import Bus
from callboard.bus.messages import TERMINAL
from callboard.bus.ports import FeedEntry
from callboard.bus.subjects import RunKey
from callboard.errors import BusError
from callboard.guards.sidecar.desk import Desk, Part
from callboard.guards.sidecar.feed import JournalFeed
from callboard.guards.sidecar.partitions import partition_of
from callboard.log import get_logger

log = get_logger(__name__)
_OVER: Final = frozenset({*TERMINAL, "run.settled", "tool.late_result", "model.late_usage"})
_LATELY: Final = timedelta(minutes=10)
"""What a guard would have said of runs that ended before that, nobody waits for."""
_AT_ONCE: Final = 16
_RETRY_SECONDS: Final = 0.25


async def rebuild(bus: Bus, desk: Desk, parts: Collection[Part], feed: JournalFeed) -> None:
    """Make ``parts`` ready. They must be among the desk's already, so that nothing is missed meanwhile."""
    by_number = {part.number: part for part in parts}
    while True:
        try:
            await _read_marks(bus, desk, parts, feed.position)
            open_runs, ended = await _scan(bus, by_number, feed)
            break
        except BusError as error:
            if not error.retryable:
                raise
            log.warning("cannot look for runs, trying again", guard=desk.hosted.name, error=str(error))
            await anyio.sleep(_RETRY_SECONDS)
    await _read_all(desk, by_number, open_runs)
    await _read_all(desk, by_number, ended)
    while strays := [RunKey(*name.split(".", 1)) for part in parts for name in _new(part)]:
        await _read_all(desk, by_number, strays)
    for part in parts:
        part.settled.clear()
        part.progress.ready = True
    log.info("took up runs", guard=desk.hosted.name, partitions=sorted(by_number), open=len(open_runs))


async def _read_marks(bus: Bus, desk: Desk, parts: Collection[Part], position: int) -> None:
    """How far everything was said. A guard that is new has its say about open runs, not about those that have ended."""
    for part in parts:
        key = ("mark", desk.hosted.name, str(part.number))
        found = await bus.states.get(*key)
        if found is None:
            await bus.states.put(*key, value=str(position).encode())
            part.since, part.progress.mark = position, 0
        else:
            part.since = part.progress.mark = int(found.value)


async def _scan(bus: Bus, parts: Mapping[int, Part], feed: JournalFeed) -> tuple[list[RunKey], list[RunKey]]:
    """The open runs, and those that ended lately behind the mark."""
    open_runs: list[RunKey] = []
    ended: list[RunKey] = []
    since = bus.clock.now() - _LATELY
    async for entry in bus.scan():
        part = parts.get(partition_of(entry.key))
        if part is None:
            continue
        if not _over(entry):
            open_runs.append(entry.key)
        elif part.since < entry.sequence and entry.at > since:
            ended.append(entry.key)
        elif entry.sequence > feed.position:
            part.ended[f"{entry.key.tenant}.{entry.key.run}"] = entry.sequence
    return open_runs, ended


def _over(entry: FeedEntry) -> bool:
    return entry.events is not None and not _OVER.isdisjoint(entry.events)


def _new(part: Part) -> list[str]:
    """Strays of runs that have to be read."""
    strays, part.strays = part.strays, set()
    return [name for name in strays if not (name in part.runs or name in part.returning or name in part.settled)]


async def _read_all(desk: Desk, parts: Mapping[int, Part], keys: Iterable[RunKey]) -> None:
    left = iter(keys)

    async def read() -> None:
        for key in left:
            part = parts[partition_of(key)]
            await desk.read_again(part, key, mark=part.progress.mark)

    async with anyio.create_task_group() as group:
        for _ in range(_AT_ONCE):
            group.start_soon(read)
