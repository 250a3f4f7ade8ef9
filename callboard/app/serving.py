"""Shell: whether an agent has ever had a worker on this bus."""

from __future__ import annotations

from typing import Any, cast

from callboard.bus import storage
from callboard.bus.bus import Bus
from callboard.config.expectations import nearest
from callboard.errors import BusError


async def never_served(bus: Bus, agent: str) -> str:
    """``""``, or, if no worker has ever served ``agent``, so in words. Nobody waits long for that: it is a hint."""
    try:
        served = await _served(bus)
    except BusError:
        return ""
    return "" if agent in served else f"no worker has ever served {agent!r}{nearest(agent, served)}"


async def _served(bus: Bus) -> frozenset[str]:
    """The first worker of an agent makes its queues, which stay. One question for 1,024 queues."""
    stream = bus.connection.subjects.stream("TASKS")
    queues: list[str] = []
    while True:
        answer = await storage.api(bus.connection, f"CONSUMER.NAMES.{stream}", {"offset": len(queues)})
        page = cast("list[Any]", answer.get("consumers") or [])
        queues += [str(name) for name in page]
        if not page or len(queues) >= int(answer.get("total", 0)):
            return frozenset(name.rpartition("_")[0] for name in queues)
