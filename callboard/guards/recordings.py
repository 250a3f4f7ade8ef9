"""Shell: the recorded runs of a deployment, read one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime

from callboard.bus.bus import Bus
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey


async def recordings(
    bus: Bus, *, since: datetime, until: datetime, tenant: str | None, progress: Callable[[int, int], None]
) -> AsyncGenerator[tuple[RunKey, Sequence[Stored]]]:
    """Every run in which something happened between the instants, with its journal from the beginning.

    ``progress`` hears how many of how many were read.
    """
    async with aclosing(bus.scan(tenant)) as last:
        keys = [entry.key async for entry in last if entry.at >= since]
    for done, key in enumerate(keys):
        progress(done, len(keys))
        entries = await bus.journals.read(key)
        first = entries[0].at if entries else None
        if first is not None and first <= until:
            yield key, entries
    progress(len(keys), len(keys))
